//! Opens a plain file, and nothing else in its place.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file that is no link, folder, pipe or device. A link could lead out of the task's folder,
/// and a pipe would never end. Blocks, but not on a pipe.
///
/// What is opened is what is checked, so that nobody can exchange it in between.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    sys::do_not_follow(&mut options);
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
        "it is a link or another thing that is no plain file",
    )
}

#[cfg(unix)]
mod sys {
    use std::fs::OpenOptions;
    use std::io;
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    /// Makes opening fail on a link, and not wait for the other end of a pipe.
    pub(super) fn do_not_follow(options: &mut OpenOptions) {
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
    /// Without it, a folder fails to open with "access denied", which would be a wrong reason.
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

    /// Opens a link itself, which is then found to be no plain file.
    pub(super) fn do_not_follow(options: &mut OpenOptions) {
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS);
    }

    pub(super) fn is_link(_: &io::Error) -> bool {
        false
    }
}
