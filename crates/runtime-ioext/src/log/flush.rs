//! Moves pending bytes to the file in few, large writes.

use std::io;

use bytes::Bytes;

use super::backing::{Backing, write_all_at};
use crate::chunks::CHUNK;

/// Segments from this size on are written as they are; smaller neighbours are gathered first.
const WORTH_A_WRITE: usize = CHUNK / 4;

/// Writes segments one after the other, and tells how many bytes are in the file for sure.
pub(super) fn write_out(
    backing: &dyn Backing,
    segments: &[Bytes],
    start: u64,
) -> (u64, io::Result<()>) {
    let mut written = 0;
    let mut gathered = Vec::new();
    for batch in batches(segments) {
        let bytes = match batch {
            [one] => &one[..],
            many => {
                gathered.clear();
                many.iter()
                    .for_each(|bytes| gathered.extend_from_slice(bytes));
                &gathered
            }
        };
        match write_all_at(backing, bytes, start + written) {
            Ok(()) => written += bytes.len() as u64,
            Err((partial, error)) => return (written + partial, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Groups neighbours: a large segment alone, small ones together up to about a chunk.
fn batches(mut segments: &[Bytes]) -> impl Iterator<Item = &[Bytes]> {
    std::iter::from_fn(move || {
        let (batch, rest) = segments.split_at(batch_len(segments));
        segments = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

fn batch_len(segments: &[Bytes]) -> usize {
    let mut total = 0;
    let small = segments.iter().take_while(|bytes| {
        total += bytes.len();
        bytes.len() < WORTH_A_WRITE && total <= CHUNK
    });
    small.count().max(usize::from(!segments.is_empty()))
}
