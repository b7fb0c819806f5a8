//! The owner of a task's files.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchown, fstat, openat,
    statat,
};

const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Changes the owner of a folder and its contents to a user and its group. Links are not followed. Blocks.
///
/// Only entries with another owner are changed. During the call, no process of a task may be able to change the folder.
///
/// Earlier tasks may have created deeper folders than paths, descriptors or the stack permit. Therefore only one folder
/// is open at a time, and the next folder is opened relative to it.
pub(super) fn give_to(folder: &Path, user: u32) -> io::Result<()> {
    let mut open = openat(CWD, folder, OPEN_FOLDER, Mode::empty())?;
    let stat = fstat(&open)?;
    if (stat.st_uid, stat.st_gid) != (user, user) {
        fchown(&open, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?;
    }
    // The folders that remain to be visited, for the open one and each above it, with the identity of each.
    let mut levels = vec![(identity(&stat), give_entries(&open, user)?)];
    while let Some((_, remaining)) = levels.last_mut() {
        if let Some(name) = remaining.pop() {
            open = openat(&open, name, OPEN_FOLDER, Mode::empty())?;
            levels.push((identity(&fstat(&open)?), give_entries(&open, user)?));
        } else {
            levels.pop();
            if let Some((parent, _)) = levels.last() {
                open = openat(&open, c"..", OPEN_FOLDER, Mode::empty())?;
                // A process that an earlier task left behind may have moved the folder, so that `..` is outside.
                if identity(&fstat(&open)?) != *parent {
                    return Err(io::Error::other(
                        "a folder was moved while it was given to a user",
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Returns the device and the inode of a folder.
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Changes the owner of the entries of a folder. Returns the names of the folders among them.
fn give_entries(folder: &OwnedFd, user: u32) -> io::Result<Vec<CString>> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if (stat.st_uid, stat.st_gid) != (user, user) {
            let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
            chownat(
                folder,
                name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            folders.push(name.to_owned());
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use rustix::fs::mkdirat;

    use super::*;

    const USER: u32 = 54321;

    fn is_root() -> bool {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root {
            eprintln!("skipped: needs root");
        }
        is_root
    }

    #[test]
    fn links_are_not_followed() -> io::Result<()> {
        if !is_root() {
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let [outside, inside] = ["outside", "inside"].map(|it| folder.path().join(it));
        for deep in ["deep/deeper", "other/empty"] {
            fs::create_dir_all(inside.join(deep))?;
        }
        fs::write(&outside, "")?;
        fs::write(inside.join("deep/file"), "")?;
        fs::write(inside.join("other/file"), "")?;
        symlink(&outside, inside.join("link"))?;
        symlink(folder.path(), inside.join("folder"))?;
        give_to(&inside, USER)?;
        let owner = |path: &Path| fs::symlink_metadata(path).map(|it| (it.uid(), it.gid()));
        for given in [
            "",
            "deep/deeper",
            "deep/file",
            "other/empty",
            "other/file",
            "link",
            "folder",
        ] {
            assert_eq!(owner(&inside.join(given))?, (USER, USER), "{given}");
        }
        assert_ne!(owner(&outside)?.0, USER);
        assert_ne!(owner(folder.path())?.0, USER);
        assert!(give_to(&inside.join("folder"), USER).is_err(), "a link");
        Ok(())
    }

    #[test]
    fn folders_beyond_path_limits_are_given() -> io::Result<()> {
        if !is_root() {
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let name = CString::new("n".repeat(200))?;
        let mut open = openat(CWD, folder.path(), OPEN_FOLDER, Mode::empty())?;
        // Longer than the maximum length of a path, which is 4096.
        for _ in 0..50 {
            mkdirat(&open, &*name, Mode::RWXU)?;
            open = openat(&open, &*name, OPEN_FOLDER, Mode::empty())?;
        }
        give_to(folder.path(), USER)?;
        assert_eq!(fstat(&open)?.st_uid, USER);
        Ok(())
    }
}
