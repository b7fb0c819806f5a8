//! Puts entries into a folder that nobody else writes to.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runtime_ioext::relative_path;

use super::limits::Budget;
use super::{EntryRejection, UnpackError, Unpacked};

/// The folder, and what is in it so far.
///
/// While files are written there is no symlink anywhere in it: they are made at the end.
pub(super) struct Tree<'a> {
    root: PathBuf,
    budget: Budget<'a>,
    folders: HashSet<PathBuf>,
    links: Vec<Symlink>,
}

struct Symlink {
    /// As it stands in the archive, for messages.
    name: Vec<u8>,
    place: PathBuf,
    target: String,
}

/// What an archive says of a file besides its content.
#[derive(Clone, Copy, Default)]
pub(super) struct Attributes {
    pub(super) mode: Option<u32>,
    pub(super) modified: Option<SystemTime>,
}

/// How much is read at a time.
const PIECE: usize = 128 * 1024;

impl<'a> Tree<'a> {
    pub(super) fn new(root: &Path, budget: Budget<'a>) -> Self {
        Self {
            root: root.to_owned(),
            budget,
            folders: HashSet::new(),
            links: Vec::new(),
        }
    }

    /// Checks how many entries are to come.
    pub(super) fn expect(&self, entries: u64) -> Result<(), UnpackError> {
        self.budget.expect(entries)
    }

    /// Adds a folder; one that is there already keeps what it has.
    pub(super) fn folder(&mut self, name: &[u8], mode: Option<u32>) -> Result<(), UnpackError> {
        if is_root(name) {
            return Ok(());
        }
        let path = path_of(name)?;
        self.make_folders(name, &path)?;
        match mode {
            Some(mode) => set_folder_mode(&self.root.join(path), mode),
            None => Ok(()),
        }
    }

    /// Adds a file with all that `content` gives.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        attributes: Attributes,
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        let path = self.prepare(name)?;
        let mut file = create(&path, attributes.mode).map_err(|error| self.failed(name, error))?;
        self.copy(content, &mut file, &path)?;
        if let Some(modified) = attributes.modified {
            // A time that the system cannot keep is no reason to refuse the file.
            let _ = file.set_modified(modified);
        }
        Ok(())
    }

    /// Adds a symlink, which is made at the end.
    pub(super) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let refuse = |refusal: EntryRejection| UnpackError::refused(name, refusal);
        if cfg!(not(unix)) {
            return Err(refuse(EntryRejection::Kind(
                "a symlink, which this system does not make",
            )));
        }
        let path = path_of(name)?;
        let target = std::str::from_utf8(target).map_err(|_| refuse(EntryRejection::NotText))?;
        if !stays_inside(&path, target) {
            let to = target.to_owned();
            return Err(refuse(EntryRejection::Link { to }));
        }
        self.budget.entry()?;
        self.budget.name(name.len() + target.len())?;
        self.links.push(Symlink {
            name: name.to_owned(),
            place: path,
            target: target.to_owned(),
        });
        Ok(())
    }

    /// Adds another name of a file that is there.
    pub(super) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let refuse = || {
            let to = String::from_utf8_lossy(target).into_owned();
            UnpackError::refused(name, EntryRejection::HardLink { to })
        };
        let original = path_of(target).map_err(|_| refuse())?;
        let original = self.root.join(original);
        if !runtime_ioext::is_plain_file(&original) {
            return Err(refuse());
        }
        let path = self.prepare(name)?;
        fs::hard_link(original, path).map_err(|error| self.failed(name, error))
    }

    /// Makes the symlinks.
    pub(super) fn finish(mut self) -> Result<Unpacked, UnpackError> {
        for Symlink {
            name,
            place,
            target,
        } in std::mem::take(&mut self.links)
        {
            if let Some(parent) = place.parent() {
                self.make_folders(&name, parent)?;
            }
            let made = make_symlink(&target, &self.root.join(&place));
            made.map_err(|error| self.failed(&name, error))?;
        }
        Ok(self.budget.used())
    }

    /// Counts an entry, makes its parent, and gives its place.
    fn prepare(&mut self, name: &[u8]) -> Result<PathBuf, UnpackError> {
        let path = path_of(name)?;
        self.budget.entry()?;
        if let Some(parent) = path.parent() {
            self.make_folders(name, parent)?;
        }
        Ok(self.root.join(path))
    }

    /// Makes a folder with those above it; each counts as an entry.
    fn make_folders(&mut self, name: &[u8], path: &Path) -> Result<(), UnpackError> {
        if path.as_os_str().is_empty() || self.folders.contains(path) {
            return Ok(());
        }
        let mut above = PathBuf::new();
        for part in path.components() {
            above.push(part);
            if self.folders.contains(&above) {
                continue;
            }
            self.budget.entry()?;
            self.budget.name(above.as_os_str().len())?;
            let made = fs::create_dir(self.root.join(&above));
            made.map_err(|error| self.failed(name, error))?;
            self.folders.insert(above.clone());
        }
        Ok(())
    }

    fn copy(
        &mut self,
        content: &mut dyn Read,
        file: &mut File,
        path: &Path,
    ) -> Result<(), UnpackError> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = match content.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(UnpackError::Damaged(error)),
            };
            self.budget.bytes(read as u64)?;
            let written = file.write_all(&piece[..read]);
            written.map_err(|source| io_error("write", path, source))?;
        }
    }

    /// Says whether the archive or the machine is to blame that something could not be made.
    fn failed(&self, name: &[u8], error: io::Error) -> UnpackError {
        match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
                UnpackError::refused(name, EntryRejection::Conflict)
            }
            ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
                UnpackError::refused(name, EntryRejection::Name)
            }
            _ => io_error("unpack into", &self.root, error),
        }
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The path of an entry within the folder.
fn path_of(name: &[u8]) -> Result<PathBuf, UnpackError> {
    let refuse = |refusal| UnpackError::refused(name, refusal);
    let text = std::str::from_utf8(name).map_err(|_| refuse(EntryRejection::NotText))?;
    // Windows keeps hidden streams behind a colon.
    if cfg!(windows) && text.contains(':') {
        return Err(refuse(EntryRejection::Name));
    }
    relative_path(text).map_err(|error| refuse(error.into()))
}

/// Archives name their own root as `./`.
fn is_root(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .split(|byte| *byte == b'/')
            .all(|part| matches!(part, b"" | b"."))
        && name[0] != b'/'
}

/// Reports whether a symlink at `path` leads to a place inside the folder.
///
/// The parents of a link are folders and no links. `..` in front climbs from there as far as the text
/// says; what follows only goes down, or over links for which the same holds.
fn stays_inside(path: &Path, target: &str) -> bool {
    if target.is_empty() || target.contains('\0') || target.starts_with(['/', '\\']) {
        return false;
    }
    let depth = path.components().count() - 1;
    let mut parts = target
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .peekable();
    let mut climbs = 0;
    while parts.next_if_eq(&"..").is_some() {
        climbs += 1;
    }
    climbs <= depth && parts.all(|part| part != "..")
}

fn create(path: &Path, mode: Option<u32>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(mode.map_or(0o666, |mode| (mode & 0o777) | 0o600));
    }
    let _ = mode;
    options.open(path)
}

fn set_folder_mode(path: &Path, mode: u32) -> Result<(), UnpackError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Without the right to write, nobody could unpack into it or remove it; others never may.
        let permissions = fs::Permissions::from_mode((mode & 0o755) | 0o700);
        let set = fs::set_permissions(path, permissions);
        set.map_err(|source| io_error("set the permissions of", path, source))?;
    }
    let _ = (path, mode);
    Ok(())
}

#[cfg(unix)]
fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn make_symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
