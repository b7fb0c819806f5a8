//! Checks of a relative path by its text.

use std::path::{Path, PathBuf};

/// Why a text is no path inside a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelativePathError {
    /// It is empty, or names the folder itself.
    #[error("the path {path:?} names nothing inside its folder")]
    Empty {
        /// The path as it was given.
        path: String,
    },
    /// It starts at the root of a file system.
    #[error("the path {path:?} is absolute; give it relative to its folder")]
    Absolute {
        /// The path as it was given.
        path: String,
    },
    /// A part of it starts with the letter of a drive, as paths on Windows do. Joined to a folder, that part
    /// would take the place of the folder there.
    #[error("the path {path:?} has a drive letter; give it relative to its folder, without")]
    DriveLetter {
        /// The path as it was given.
        path: String,
    },
    /// It goes to a parent folder, even if it comes back.
    #[error("the path {path:?} contains `..`; give it without")]
    Parent {
        /// The path as it was given.
        path: String,
    },
    /// It contains a zero byte, which no file name does.
    #[error("the path {path:?} contains a zero byte")]
    Zero {
        /// The path as it was given.
        path: String,
    },
}

/// Checks that a text is a path that stays inside a folder, on every system, and gives it without `.` and
/// empty parts.
///
/// `\` counts as a separator in the checks everywhere, so that what is harmless here does not turn harmful
/// where it is passed on to; on Unix it stays part of the name. The text alone says nothing about symlinks:
/// open the path in a [`Root`](crate::Root).
///
/// # Errors
///
/// If the path is empty, absolute, has a drive letter, goes to a parent folder, or contains a zero byte.
///
/// # Example
///
/// ```
/// use runtime_ioext::relative_path;
///
/// assert_eq!(relative_path("public//./logs/live.log").unwrap(), std::path::Path::new("public/logs/live.log"));
/// for wrong in ["", ".", "/etc/passwd", "a/../../b", r"..\b", "C:/b", r"\\host\b"] {
///     assert!(relative_path(wrong).is_err());
/// }
/// ```
pub fn relative_path(path: &str) -> Result<PathBuf, RelativePathError> {
    let owned = || path.to_owned();
    if path.contains('\0') {
        return Err(RelativePathError::Zero { path: owned() });
    }
    if path.starts_with(['/', '\\']) {
        return Err(RelativePathError::Absolute { path: owned() });
    }
    let mut parts = path.split(['/', '\\']);
    if parts.clone().any(has_drive_letter) {
        return Err(RelativePathError::DriveLetter { path: owned() });
    }
    if parts.any(is_parent) {
        return Err(RelativePathError::Parent { path: owned() });
    }
    match normal_parts(path) {
        parts if parts.as_os_str().is_empty() => Err(RelativePathError::Empty { path: owned() }),
        parts => Ok(parts),
    }
}

fn has_drive_letter(part: &str) -> bool {
    matches!(part.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// Windows leaves out spaces and dots at the end of a name, so that `.. ` is a parent there.
fn is_parent(part: &str) -> bool {
    part.starts_with("..") && part.trim_end_matches([' ', '.']).is_empty()
}

fn normal_parts(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    parts
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .collect()
}
