//! Hashes that a reference demands of its bytes.

mod digest;
mod verifier;

pub use digest::{Algorithm, Hashes, HexDigest};
pub use verifier::HashMismatch;
pub(crate) use verifier::{Verifier, hex};
