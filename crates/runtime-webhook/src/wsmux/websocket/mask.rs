//! Masks of frames, RFC 6455 section 5.3.

use std::hash::{BuildHasher as _, RandomState};

use crate::wsmux::config::Role;

/// The key of a masked frame.
pub(in crate::wsmux) type MaskKey = [u8; 4];

/// The keys of the frames that one end sends.
#[derive(Debug)]
pub(in crate::wsmux) struct MaskKeys {
    /// `None` for a server, which does not mask.
    hasher: Option<RandomState>,
    count: u64,
}

impl MaskKeys {
    pub(in crate::wsmux) fn new(role: Role) -> Self {
        Self {
            hasher: (role == Role::Client).then(RandomState::new),
            count: 0,
        }
    }

    /// Returns the key of the next frame.
    pub(in crate::wsmux) fn next_key(&mut self) -> Option<MaskKey> {
        // Keys must be unpredictable for those who choose the payload. A hash with a random key needs no system call.
        let hash = self.hasher.as_ref()?.hash_one(self.count);
        self.count += 1;
        Some((hash as u32).to_ne_bytes())
    }
}

/// Masks or unmasks bytes that start `offset` bytes after the start of the payload.
pub(super) fn apply_mask(bytes: &mut [u8], mut key: MaskKey, offset: usize) {
    key.rotate_left(offset % size_of::<MaskKey>());
    // Eight bytes at once, which the compiler turns into vector instructions.
    let wide_key = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let (chunks, rest) = bytes.as_chunks_mut();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide_key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide_key.to_ne_bytes()) {
        *byte ^= key;
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_are_masked_like_the_whole() {
        let key = *b"\x01\x20\x40\x80";
        let plain: Vec<u8> = (0..100).collect();
        let masked: Vec<u8> = plain
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        for split in 0..plain.len() {
            let mut bytes = plain.clone();
            let (first, second) = bytes.split_at_mut(split);
            apply_mask(first, key, 0);
            apply_mask(second, key, split);
            assert_eq!(bytes, masked);
        }
    }

    #[test]
    fn only_clients_mask() {
        assert_eq!(MaskKeys::new(Role::Server).next_key(), None);
        let mut keys = MaskKeys::new(Role::Client);
        assert_ne!(keys.next_key().unwrap(), keys.next_key().unwrap());
    }
}
