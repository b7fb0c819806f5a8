//! What an input was like when it was fetched.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::input::CONTENT;
use crate::TargetError;
use crate::hash::hex;

/// What stands beside an input. It is written when the input is complete.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// Over everything in the input: names, kinds, contents, and which files can be run.
    sha256: String,
}

const RECORD: &str = "input.json";

impl Record {
    /// Writes down what the input in `folder` is like.
    pub(super) async fn write(folder: PathBuf) -> Result<(), TargetError> {
        let path = folder.join(RECORD);
        let written = tokio::task::spawn_blocking(move || {
            let sha256 = fingerprint(&folder.join(CONTENT))?;
            fs::write(folder.join(RECORD), serde_json::to_vec(&Self { sha256 })?)
        });
        let written = written.await.map_err(io::Error::other).flatten();
        written.map_err(|source| TargetError::Io {
            action: "record the hash in",
            path,
            source,
        })
    }

    /// Reports whether the input in `folder` is what was written down.
    pub(super) fn is_true_of(folder: &Path) -> bool {
        let read = || -> io::Result<bool> {
            let record: Self = serde_json::from_slice(&fs::read(folder.join(RECORD))?)?;
            Ok(record.sha256 == fingerprint(&folder.join(CONTENT))?)
        };
        read().unwrap_or(false)
    }
}

fn fingerprint(content: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    add(&mut hash, content)?;
    Ok(hex(&hash.finalize()))
}

/// Adds a file or a folder. Each part has its length in front, so that no two trees are the same text.
fn add(hash: &mut Sha256, path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
        let mut names: Vec<_> = entries.collect::<io::Result<_>>()?;
        names.sort();
        hash.update(b"d");
        hash.update((names.len() as u64).to_be_bytes());
        for name in names {
            add_bytes(hash, name.as_encoded_bytes());
            add(hash, &path.join(name))?;
        }
    } else if metadata.is_symlink() {
        hash.update(b"l");
        add_bytes(hash, fs::read_link(path)?.as_os_str().as_encoded_bytes());
    } else {
        hash.update(if can_be_run(&metadata) { b"x" } else { b"f" });
        hash.update(metadata.len().to_be_bytes());
        add_content(hash, path)?;
    }
    Ok(())
}

fn add_bytes(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn add_content(hash: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            read => hash.update(&piece[..read]),
        }
    }
}

fn can_be_run(metadata: &Metadata) -> bool {
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

    /// A tree that an archive may hold.
    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("there is room");
        let path = |name| folder.path().join(name);
        fs::create_dir(path("bin")).expect("there is room");
        fs::create_dir(path("empty")).expect("there is room");
        fs::write(path("bin/tool"), "tool").expect("there is room");
        fs::write(path("a"), "a").expect("there is room");
        #[cfg(unix)]
        std::os::unix::fs::symlink("bin", path("link")).expect("there is room");
        folder
    }

    fn check_differs(what: &str, change: impl FnOnce(&Path) -> io::Result<()>) {
        let folder = tree();
        let before = fingerprint(folder.path()).expect("it can be read");
        change(folder.path()).expect(what);
        let after = fingerprint(folder.path()).expect("it can be read");
        assert_ne!(before, after, "{what}");
    }

    #[test]
    fn the_same_tree_is_the_same_wherever_it_is() {
        let of = |folder: tempfile::TempDir| fingerprint(folder.path()).expect("it can be read");
        assert_eq!(of(tree()), of(tree()));
    }

    #[test]
    fn whatever_changes_in_a_tree_is_seen() {
        check_differs("other bytes", |path| fs::write(path.join("a"), "b"));
        check_differs("more bytes", |path| fs::write(path.join("a"), "aa"));
        check_differs("another name", |path| {
            fs::rename(path.join("a"), path.join("b"))
        });
        check_differs("another place", |path| {
            fs::rename(path.join("a"), path.join("bin/a"))
        });
        check_differs("less", |path| fs::remove_dir(path.join("empty")));
        check_differs("a file in place of a folder", |path| {
            fs::remove_dir(path.join("empty"))?;
            fs::write(path.join("empty"), "")
        });
    }

    #[cfg(unix)]
    #[test]
    fn links_and_the_right_to_run_are_seen() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        check_differs("another target", |path| {
            fs::remove_file(path.join("link"))?;
            symlink("empty", path.join("link"))
        });
        check_differs("a file that can be run", |path| {
            let permissions = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path.join("bin/tool"), permissions)
        });
    }
}
