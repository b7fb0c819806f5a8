//! The fingerprint of an input: a hash over everything in it, recorded when it was fetched.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::layout::CONTENT;
use crate::target::TargetError;
use runtime_core::util::hex;

/// The file in the folder of an input that holds its fingerprint.
const FILE_NAME: &str = "input.json";

/// A hash over the names, kinds, contents and executable bits of an input.
///
/// Modification times are left out: copies of the cache's disk need not preserve them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fingerprint {
    sha256: String,
}

impl Fingerprint {
    /// Writes the fingerprint of the input in `folder`.
    pub(super) async fn record(folder: PathBuf) -> Result<(), TargetError> {
        let path = folder.join(FILE_NAME);
        let written = tokio::task::spawn_blocking(move || {
            let sha256 = fingerprint(&folder.join(CONTENT))?;
            fs::write(
                folder.join(FILE_NAME),
                serde_json::to_vec(&Self { sha256 })?,
            )
        });
        let written = written.await.map_err(io::Error::other).flatten();
        written.map_err(|source| TargetError::Io {
            action: "record the fingerprint in",
            path,
            source,
        })
    }

    /// Returns whether the input in `folder` has its recorded fingerprint. Reads the whole input.
    pub(super) fn matches(folder: &Path) -> bool {
        let compare = || -> io::Result<bool> {
            let recorded: Self = serde_json::from_slice(&fs::read(folder.join(FILE_NAME))?)?;
            Ok(recorded.sha256 == fingerprint(&folder.join(CONTENT))?)
        };
        // Fetching an intact input again is cheaper than using a damaged one, so an error is a mismatch.
        compare().unwrap_or(false)
    }
}

fn fingerprint(content: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    // A list instead of recursion: an archive may nest folders deeper than the stack. Entries share the path of their
    // folder, because an archive may have a million of them.
    let mut pending = Vec::new();
    add_entry(&mut hash, content, &mut pending)?;
    while let Some((folder, name)) = pending.pop() {
        add_bytes(&mut hash, name.as_encoded_bytes());
        add_entry(&mut hash, &folder.join(name), &mut pending)?;
    }
    Ok(hex(&hash.finalize()))
}

/// Adds a file, a link or the number of entries of a folder, which then follow with their names. Names and contents
/// have a length prefix, so that two different trees never hash the same sequence of bytes.
fn add_entry(
    hash: &mut Sha256,
    path: &Path,
    pending: &mut Vec<(Arc<Path>, OsString)>,
) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
        let mut names: Vec<_> = entries.collect::<io::Result<_>>()?;
        // The order of `read_dir` differs between file systems. Reversed, because the last entry is the next one.
        names.sort_by(|a, b| b.cmp(a));
        hash.update(b"d");
        hash.update((names.len() as u64).to_be_bytes());
        let folder: Arc<Path> = path.into();
        pending.extend(names.into_iter().map(|name| (Arc::clone(&folder), name)));
    } else if metadata.is_symlink() {
        hash.update(b"l");
        add_bytes(hash, fs::read_link(path)?.as_os_str().as_encoded_bytes());
    } else {
        hash.update(if is_executable(&metadata) { b"x" } else { b"f" });
        hash.update(metadata.len().to_be_bytes());
        add_content(hash, path)?;
    }
    Ok(())
}

fn add_bytes(hash: &mut Sha256, bytes: &[u8]) {
    // The length first: otherwise bytes could move between adjacent names or contents without a
    // change of the hash.
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn add_content(hash: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn is_executable(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a tree as an archive may contain it.
    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("disk has space");
        let path = |name| folder.path().join(name);
        fs::create_dir(path("bin")).expect("disk has space");
        fs::create_dir(path("empty")).expect("disk has space");
        fs::write(path("bin/tool"), "tool").expect("disk has space");
        fs::write(path("a"), "a").expect("disk has space");
        #[cfg(unix)]
        std::os::unix::fs::symlink("bin", path("link")).expect("disk has space");
        folder
    }

    fn check_differs(what: &str, change: impl FnOnce(&Path) -> io::Result<()>) {
        let folder = tree();
        let before = fingerprint(folder.path()).expect("tree is readable");
        change(folder.path()).expect(what);
        let after = fingerprint(folder.path()).expect("tree is readable");
        assert_ne!(before, after, "{what}");
    }

    #[test]
    fn equal_trees_have_equal_fingerprints() {
        let of = |folder: tempfile::TempDir| fingerprint(folder.path()).expect("tree is readable");
        assert_eq!(of(tree()), of(tree()));
    }

    #[test]
    fn every_change_alters_the_fingerprint() {
        check_differs("other bytes", |path| fs::write(path.join("a"), "b"));
        check_differs("more bytes", |path| fs::write(path.join("a"), "aa"));
        check_differs("another name", |path| {
            fs::rename(path.join("a"), path.join("b"))
        });
        check_differs("another folder", |path| {
            fs::rename(path.join("a"), path.join("bin/a"))
        });
        check_differs("a missing folder", |path| {
            fs::remove_dir(path.join("empty"))
        });
        check_differs("a file instead of a folder", |path| {
            fs::remove_dir(path.join("empty"))?;
            fs::write(path.join("empty"), "")
        });
    }

    #[cfg(unix)]
    #[test]
    fn symlinks_and_executable_bits_count() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        check_differs("another link target", |path| {
            fs::remove_file(path.join("link"))?;
            symlink("empty", path.join("link"))
        });
        check_differs("an executable file", |path| {
            let permissions = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path.join("bin/tool"), permissions)
        });
    }
}
