//! Checks of relative paths that do not look at the file system.

use std::path::{Path, PathBuf};

/// The error of [`relative_path`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelativePathError {
    /// The path is empty or `.`.
    #[error("invalid path {path:?}: it names no entry of its folder")]
    Empty {
        /// The path.
        path: String,
    },
    /// The path is absolute.
    #[error("invalid path {path:?}: it is absolute; use a path relative to its folder")]
    Absolute {
        /// The path.
        path: String,
    },
    /// A component starts with a Windows drive letter. On Windows, [`Path::join`] with such a path replaces
    /// the folder.
    #[error("invalid path {path:?}: it has a drive letter; use a path relative to its folder")]
    DriveLetter {
        /// The path.
        path: String,
    },
    /// The path contains `..`. Even `a/../b` is refused, because `a` may be a symlink.
    #[error("invalid path {path:?}: it contains `..`")]
    Parent {
        /// The path.
        path: String,
    },
    /// The path contains a NUL byte.
    #[error("invalid path {path:?}: it contains a NUL byte")]
    NulByte {
        /// The path.
        path: String,
    },
}

/// Checks that a path stays inside its folder, and returns it without `.` and empty components.
///
/// The result does not depend on the operating system: `\` counts as a separator everywhere, so that a path
/// accepted on Unix is safe on Windows too. On Unix it remains part of the name. Symlinks are not
/// considered: open the path in a [`Root`](crate::Root) to refuse them.
///
/// # Errors
///
/// If the path is empty or absolute, or contains a drive letter, `..` or a NUL byte.
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
        return Err(RelativePathError::NulByte { path: owned() });
    }
    if path.starts_with(['/', '\\']) {
        return Err(RelativePathError::Absolute { path: owned() });
    }
    let mut parts = path.split(['/', '\\']);
    // In any component: pushing `C:` onto a path replaces the path on Windows.
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

/// Returns whether a component is a parent. Windows ignores trailing spaces and dots of a name, so that
/// `.. ` is one too.
fn is_parent(part: &str) -> bool {
    part.starts_with("..") && part.trim_end_matches([' ', '.']).is_empty()
}

fn normal_parts(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    parts
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .collect()
}
