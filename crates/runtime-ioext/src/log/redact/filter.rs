//! A set of short byte strings that is queried for every few bytes of output.

/// Length of the byte strings, unless secrets may be shorter.
pub(super) const MAX_GRAM: usize = 4;

/// Maximum distance of the positions at which output is compared with the set.
pub(super) const MAX_STRIDE: usize = 8;

const MIN_BITS: u32 = 15;
/// At most one bit of 32 is set, as long as the table is smaller than 1 MiB.
const BITS_PER_GRAM: usize = 32;
const MAX_BITS: u32 = 23;

/// A set of byte strings of equal length, up to [`MAX_GRAM`]. It may contain strings that were not added.
///
/// Output is compared with the set at every `stride`-th byte: each secret has `stride` strings in the set for
/// each spelling, one of which is at such a position wherever the secret starts. The vector searches of
/// `aho-corasick` accept about a hundred strings, and fewer than a hundred secrets in all spellings have more.
#[derive(Debug)]
pub(super) struct GramFilter {
    len: usize,
    /// The bits of a window of four bytes that belong to a string.
    mask: u32,
    grams: Vec<u32>,
    bits: Vec<u64>,
    /// Number of bits of a hash to drop.
    shift: u32,
}

impl GramFilter {
    /// Creates an empty set of strings of `len` bytes.
    pub(super) fn new(len: usize) -> Self {
        Self {
            len,
            mask: u32::MAX >> (8 * (MAX_GRAM - len)),
            grams: Vec::new(),
            bits: vec![0; 1 << (MIN_BITS - 6)],
            shift: u32::BITS - MIN_BITS,
        }
    }

    /// Adds the first `len` bytes of `bytes`.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let gram = self.gram(bytes);
        self.grams.push(gram);
        if self.grams.len() * BITS_PER_GRAM > self.bits.len() * 64 && self.shift > 32 - MAX_BITS {
            // Enlarged by a factor, so that the cost per string stays constant.
            self.shift -= 2;
            self.bits = vec![0; self.bits.len() * 4];
            (0..self.grams.len()).for_each(|i| self.set(self.grams[i]));
        }
        self.set(gram);
    }

    /// Returns the first position at or after `from`, in steps of `stride`, at which a string of the set may
    /// start. If there is none, returns the first position that is followed by too few bytes for the
    /// comparison.
    pub(super) fn find(&self, bytes: &[u8], from: usize, stride: usize) -> Found {
        match stride {
            1 => self.find_by::<1>(bytes, from),
            2 => self.find_by::<2>(bytes, from),
            3 => self.find_by::<3>(bytes, from),
            4 => self.find_by::<4>(bytes, from),
            5 => self.find_by::<5>(bytes, from),
            6 => self.find_by::<6>(bytes, from),
            7 => self.find_by::<7>(bytes, from),
            _ => self.find_by::<MAX_STRIDE>(bytes, from),
        }
    }

    fn find_by<const STRIDE: usize>(&self, bytes: &[u8], from: usize) -> Found {
        let mut at = from;
        // Four positions at once, so that the processor compares them in parallel.
        while let Some(chunk) = first_chunk::<{ 3 * MAX_STRIDE + MAX_GRAM }>(bytes, at) {
            let is_set = |i: usize| {
                let start = i * STRIDE;
                let window = [
                    chunk[start],
                    chunk[start + 1],
                    chunk[start + 2],
                    chunk[start + 3],
                ];
                self.contains(u32::from_le_bytes(window))
            };
            // `|` and not `||`: the four lookups have no branches between them. Which one was set
            // is found by the loop below.
            if is_set(0) | is_set(1) | is_set(2) | is_set(3) {
                break;
            }
            at += 4 * STRIDE;
        }
        while let Some(gram) = first_chunk(bytes, at) {
            if self.contains(u32::from_le_bytes(*gram)) {
                return Found::Gram(at);
            }
            at += STRIDE;
        }
        Found::End(at)
    }

    fn gram(&self, bytes: &[u8]) -> u32 {
        let mut window = [0; MAX_GRAM];
        window[..self.len].copy_from_slice(&bytes[..self.len]);
        u32::from_le_bytes(window)
    }

    fn set(&mut self, gram: u32) {
        let bit = self.bit(gram);
        self.bits[bit / 64] |= 1 << (bit % 64);
    }

    fn contains(&self, window: u32) -> bool {
        let bit = self.bit(window);
        self.bits[bit / 64] >> (bit % 64) & 1 != 0
    }

    /// Returns the bit of the string at the start of a window.
    fn bit(&self, window: u32) -> usize {
        // Multiplication by 2^32 / golden ratio moves the differences of all bytes to the high bits.
        ((window & self.mask).wrapping_mul(0x9E37_79B9) >> self.shift) as usize
    }
}

fn first_chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// The end of a search in output.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// The position of a string that may be in the set.
    Gram(usize),
    /// The first position that was not compared.
    End(usize),
}
