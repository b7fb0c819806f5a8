//! Ended logs whose bytes are in memory.

use std::io;

use bytes::Bytes;

use super::shared::SharedLog;
use super::state::End;
use super::write_out::write_out;

/// Closes the log if this does not block: if it is short and has no file. Returns whether it did.
pub(super) fn close(shared: &SharedLog) -> bool {
    let mut state = shared.lock();
    if state.end.is_some() || state.large_call || !shared.stays_in_memory(&state) {
        return false;
    }
    state.closing = true;
    shared.set_end(state, End::Closed);
    true
}

/// Returns all bytes of a log that has ended, if none is in the file.
pub(super) fn bytes(shared: &SharedLog) -> Option<Bytes> {
    let mut state = shared.lock();
    let is_in_memory = state.end.is_some() && state.tail.start() == 0;
    let segments = is_in_memory.then(|| state.tail.snapshot());
    drop(state);
    segments.map(|mut segments| match segments.len() {
        1 => segments.remove(0),
        _ => segments.concat().into(),
    })
}

/// Writes the bytes of a closed log to its file, if they are in memory. They stay there too, for readers.
pub(super) fn write_file(shared: &SharedLog) -> io::Result<()> {
    let pending = shared.lock().tail.snapshot();
    shared.backing.create()?;
    write_out(&*shared.backing, &pending, 0).1
}
