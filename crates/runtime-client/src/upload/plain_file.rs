//! Opens plain files only.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file and returns an error for a link, folder, pipe or device. Blocks, but not on a pipe.
///
/// A link could lead out of the task's folder, and a pipe might never end. The open file is checked instead of the path,
/// so that the task cannot replace it in between.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    sys::set_no_follow(&mut options);
    let file = options.open(path).map_err(|error| {
        if sys::is_link(&error) {
            not_plain()
        } else {
            error
        }
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if kind.is_file() {
        Ok(file)
    } else {
        Err(not_plain())
    }
}

fn not_plain() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a plain file, but a link, pipe or device",
    )
}

#[cfg(unix)]
mod sys {
    use std::fs::OpenOptions;
    use std::io;
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    /// Lets `open` fail for a link, and not wait for the writer of a pipe.
    pub(super) fn set_no_follow(options: &mut OpenOptions) {
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }

    pub(super) fn is_link(error: &io::Error) -> bool {
        Errno::from_io_error(error) == Some(Errno::LOOP)
    }
}

#[cfg(windows)]
mod sys {
    use std::fs::OpenOptions;
    use std::io;
    use std::os::windows::fs::OpenOptionsExt as _;

    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    /// Without this flag, opening a folder fails with "access denied", which would be misleading.
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

    /// Opens a link itself, which then fails the check for a plain file.
    pub(super) fn set_no_follow(options: &mut OpenOptions) {
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS);
    }

    pub(super) fn is_link(_: &io::Error) -> bool {
        false
    }
}
