//! Hashes that a reference requires of its bytes.

mod digest;
mod verifier;

pub use digest::{Algorithm, HashMismatch, Hashes, HexDigest};
pub(crate) use verifier::Verifier;
