//! The owner of a task's files.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

/// Gives a folder and everything in it to a user and its group. Links are not followed. Blocks.
///
/// Only entries with another owner are changed. No process of a task may run that can change the folder: it could
/// replace a folder by a link meanwhile.
pub(super) fn give_to(folder: &Path, user: u32) -> io::Result<()> {
    let mut remaining = vec![folder.to_owned()];
    // A loop, since tasks may nest folders deeper than the stack.
    while let Some(path) = remaining.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if (metadata.uid(), metadata.gid()) != (user, user) {
            lchown(&path, Some(user), Some(user))?;
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                remaining.push(entry?.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_not_followed() -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let [outside, inside] = ["outside", "inside"].map(|it| folder.path().join(it));
        fs::create_dir_all(inside.join("deep"))?;
        fs::write(&outside, "")?;
        fs::write(inside.join("deep/file"), "")?;
        symlink(&outside, inside.join("link"))?;
        symlink(folder.path(), inside.join("folder"))?;
        give_to(&inside, 54321)?;
        let owner = |path: &Path| fs::symlink_metadata(path).map(|it| (it.uid(), it.gid()));
        for given in ["", "deep", "deep/file", "link", "folder"] {
            assert_eq!(owner(&inside.join(given))?, (54321, 54321), "{given}");
        }
        assert_ne!(owner(&outside)?.0, 54321);
        assert_ne!(owner(folder.path())?.0, 54321);
        Ok(())
    }
}
