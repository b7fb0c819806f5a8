//! Writes pending segments to the file in few, large writes.

use std::io;

use bytes::Bytes;

use super::backing::{Backing, write_all_at};
use crate::segments::SEGMENT_SIZE;

/// Segments of at least this size are written by themselves. Smaller ones are first copied together: a copy
/// in memory is cheaper than a system call.
const MIN_DIRECT_WRITE: usize = SEGMENT_SIZE / 4;

/// Writes segments in order. Returns the number of bytes that are in the file, even after an error.
pub(super) fn write_out(
    backing: &dyn Backing,
    segments: &[Bytes],
    start: u64,
) -> (u64, io::Result<()>) {
    let mut written = 0;
    // One buffer for all batches, allocated by the first that needs it. Vectored writes would save
    // the copy, but standard positioned writes have none, and Windows lacks them for cached files.
    let mut coalesced = Vec::new();
    for batch in batches(segments) {
        let bytes = match batch {
            [one] => &one[..],
            many => {
                coalesced.clear();
                many.iter()
                    .for_each(|bytes| coalesced.extend_from_slice(bytes));
                &coalesced
            }
        };
        match write_all_at(backing, bytes, start + written) {
            Ok(()) => written += bytes.len() as u64,
            // The bytes before the error are in the file, so the caller removes them from memory.
            Err((partial, error)) => return (written + partial, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Groups adjacent segments: a large one alone, small ones together up to a segment size.
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
        bytes.len() < MIN_DIRECT_WRITE && total <= SEGMENT_SIZE
    });
    // At least one segment: a large first one is not counted above.
    small.count().max(usize::from(!segments.is_empty()))
}
