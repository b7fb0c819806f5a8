//! The last lines of a log whose file cannot grow.

use std::io;

use super::backing::{Backing, write_all_at};
use super::shared::SharedLog;
use super::state::{End, Placement};

/// Maximum number of bytes in which the end of a line is searched.
const MAX_LINE_LEN: u64 = 32 * 1024;

/// Overwrites the end of the file with `lines`, and forgets the bytes that did not reach the file. If none did, appends the
/// lines in memory, where the whole log is.
pub(super) fn replace_failed_end(shared: &SharedLog, lines: &[u8]) -> io::Result<()> {
    let end = {
        let mut state = shared.lock();
        if !matches!(state.end, Some(End::Failed(_))) {
            let message = "cannot replace the end of a log that has not failed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if state.tail.start() == 0 {
            state.prepare(Placement::NewLine);
            state.tail.push(lines);
            return Ok(());
        }
        state.tail.start()
    };
    // No thread writes to the file after a failure, so this needs no lock.
    let new_end = overwrite(&*shared.backing, end, lines)?;
    shared.lock().set_file_len(new_end);
    Ok(())
}

/// Overwrites the last lines of a file of length `end` with `lines`: overwriting bytes needs no further disk space.
/// Returns the new length.
fn overwrite(file: &dyn Backing, end: u64, lines: &[u8]) -> io::Result<u64> {
    // One byte more, in case a line feed is needed.
    let start = end.saturating_sub(lines.len() as u64 + 1);
    let before = read_range(file, start.saturating_sub(MAX_LINE_LEN), start)?;
    let unfinished = before.rsplit(|&byte| byte == b'\n').next();
    let (start, lines) = match unfinished.map_or(0, <[u8]>::len) {
        0 => (start, lines.to_vec()),
        // The rest of this line is overwritten, so it is removed, unless it is very long.
        len if len < before.len() => (start - len as u64, lines.to_vec()),
        _ => (start, [b"\n", lines].concat()),
    };
    write_all_at(file, &lines, start).map_err(|(_, error)| error)?;
    let new_end = start + lines.len() as u64;
    file.truncate(new_end)?;
    Ok(new_end)
}

fn read_range(file: &dyn Backing, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], start + read as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
