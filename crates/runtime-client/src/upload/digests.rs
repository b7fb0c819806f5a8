//! What is known of the bytes of an artifact, before any encoding.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256, SHA512};

/// Length and hashes of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) length: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: String,
    /// Lower-case hexadecimal.
    pub(super) sha512: String,
}

/// Computes [`Digests`] in one pass.
pub(super) struct Digester {
    length: u64,
    sha256: Context,
    sha512: Context,
}

impl Digester {
    pub(super) fn new() -> Self {
        Self {
            length: 0,
            sha256: Context::new(&SHA256),
            sha512: Context::new(&SHA512),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.sha256.update(bytes);
        self.sha512.update(bytes);
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            length: self.length,
            sha256: hex(self.sha256),
            sha512: hex(self.sha512),
        }
    }
}

fn hex(hash: Context) -> String {
    let mut text = String::new();
    for byte in hash.finish().as_ref() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
