//! What is known of the bytes of an artifact, before any encoding.

use std::fmt::Write as _;

use sha2::{Digest, Sha256, Sha512};

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
#[derive(Default)]
pub(super) struct Digester {
    length: u64,
    sha256: Sha256,
    sha512: Sha512,
}

impl Digester {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.sha256.update(bytes);
        self.sha512.update(bytes);
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            length: self.length,
            sha256: hex(&self.sha256.finalize()),
            sha512: hex(&self.sha512.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
