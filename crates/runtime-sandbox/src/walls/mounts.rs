//! The root folder of a sandbox.
//!
//! The operations first open all files of the machine as detached mounts, then leave the machine's root folder, and
//! then attach the mounts. A link inside a foreign root folder is therefore resolved there, and not in the machine's
//! file system.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::devices::EMPTY_FOLDER;
use super::mount_calls::{Mounts, NO_DEVICES, NO_EXECUTION, NO_SETUID, READ_ONLY, RECURSIVE};
use crate::error::{SpawnError, SpawnStep};
use crate::files::{BindMount, FileAccess, FileView, RootFolder};
use crate::plan::{Cell, Plan};

/// Files of the process namespace that show the worker's keys, which belong to a user and not to a namespace.
const HIDDEN_PROCESS_FILES: [&str; 2] = ["/proc/keys", "/proc/key-users"];

/// The size in memory for each file, and the number of files in a small one.
const BYTES_PER_INODE: u64 = 4096;
const LEAST_INODES: u64 = 1024;

/// Sets up a root folder with the files of the view.
///
/// `create_devices`: device nodes are created, which needs root. Otherwise they are those of the machine.
pub(crate) fn change_root(
    plan: &mut Plan,
    view: &FileView,
    create_devices: bool,
) -> Result<(), SpawnError> {
    own_mounts(plan, SpawnStep::MountNamespace)?;
    let mut mounts = Mounts { plan };
    let process_files = mounts.process_files()?;
    let mut binds = Vec::new();
    for bind in &view.binds {
        binds.extend(mounts.open_bind(bind)?);
    }
    let devices = if create_devices {
        Vec::new()
    } else {
        mounts.open_devices()?
    };
    let memory = mounts.memory(view.memory_size)?;
    let root = mounts.open_root(&view.root)?;
    mounts.pivot(root.unwrap_or(memory))?;

    // The worker's mask would remove bits from modes such as 1777.
    mounts.mode_mask(0);
    let read_only_root = root.is_none();
    if root.is_some() {
        // The folder `dev` of the root receives the memory, and `/tmp` a part of it.
        mounts.attach(memory, Path::new("/dev"))?;
        mounts.folder("/dev/.tmp", 0o1777)?;
        mounts.make_own("/dev/.tmp", "/tmp")?;
    } else {
        for folder in ["/dev", "/proc"] {
            mounts.folder(folder, 0o755)?;
        }
        mounts.folder("/tmp", 0o1777)?;
        mounts.make_own("/tmp", "/tmp")?;
    }
    mounts.device_folder(&devices)?;
    mounts.attach(process_files, Path::new("/proc"))?;
    for bind in &binds {
        mounts.attach_bind(bind)?;
    }
    for hidden in &view.hidden {
        if let Some(original) = origin(view, hidden) {
            mounts.hide(&original, hidden)?;
        }
    }
    for hidden in HIDDEN_PROCESS_FILES.map(Path::new) {
        mounts.hide(hidden, hidden)?;
    }
    // Last, because the targets of the mounts are created in the root folder.
    if read_only_root {
        mounts.set_attributes(libc::AT_FDCWD.into(), "/", 0, READ_ONLY)?;
    } else {
        mounts.set_attributes(libc::AT_FDCWD.into(), "/dev", 0, READ_ONLY)?;
    }
    mounts.mode_mask(0o022);
    Ok(())
}

/// Mounts a `/proc` of the process namespace in the machine's root folder.
pub(crate) fn change_process_files(plan: &mut Plan) -> Result<(), SpawnError> {
    own_mounts(plan, SpawnStep::ProcessFiles)?;
    let mut mounts = Mounts { plan };
    let process_files = mounts.process_files()?;
    mounts.attach(process_files, Path::new("/proc"))
}

/// Creates a mount namespace, whose changes are not visible on the machine.
fn own_mounts(plan: &mut Plan, step: SpawnStep) -> Result<(), SpawnError> {
    plan.step(step);
    plan.call(libc::SYS_unshare, [libc::CLONE_NEWNS.into()]);
    // The copies of shared mounts are shared: without this, the mounts of a sandbox of root would
    // appear on the machine.
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let root = plan.string("/")?;
    plan.call(
        libc::SYS_mount,
        [0.into(), root, 0.into(), private.into(), 0.into()],
    );
    Ok(())
}

/// A part of the machine that was opened, with its target.
enum OpenBind<'a> {
    Mount {
        mount: Cell,
        is_folder: bool,
        target: &'a Path,
    },
    Link {
        text: PathBuf,
        target: &'a Path,
    },
}

impl Mounts<'_> {
    /// Opens a file or folder of the machine. Returns `None` for a missing system folder.
    fn open_bind<'b>(&mut self, bind: &'b BindMount) -> Result<Option<OpenBind<'b>>, SpawnError> {
        let target = bind.target.as_path();
        let is_system_folder = bind.is_system_folder();
        // A link, such as `/bin` to `usr/bin`, remains a link.
        if is_system_folder && let Ok(text) = fs::read_link(&bind.source) {
            return Ok(Some(OpenBind::Link { text, target }));
        }
        let is_folder = bind.source.is_dir();
        if is_system_folder && !is_folder {
            return Ok(None);
        }
        self.plan.step_on(SpawnStep::Mount, &bind.source);
        let mount = self.clone_tree(&bind.source, RECURSIVE)?;
        let access = match bind.access {
            FileAccess::ReadOnly => READ_ONLY,
            FileAccess::ReadWrite => 0,
        };
        self.set_attributes(mount.into(), "", RECURSIVE, access | NO_SETUID | NO_DEVICES)?;
        Ok(Some(OpenBind::Mount {
            mount,
            is_folder,
            target,
        }))
    }

    /// Opens the root folder, or returns `None` for the memory.
    fn open_root(&mut self, root: &RootFolder) -> Result<Option<Cell>, SpawnError> {
        match root {
            RootFolder::Empty => Ok(None),
            RootFolder::Folder(folder) => {
                self.plan.step_on(SpawnStep::Mount, folder);
                let mount = self.clone_tree(folder, RECURSIVE)?;
                let attributes = READ_ONLY | NO_SETUID | NO_DEVICES;
                self.set_attributes(mount.into(), "", RECURSIVE, attributes)?;
                Ok(Some(mount))
            }
            RootFolder::Overlay { lower, upper, work } => {
                self.plan.step_on(SpawnStep::Mount, upper);
                let options = [
                    ("lowerdir", layers(lower)),
                    ("upperdir", upper.as_os_str().to_owned()),
                    ("workdir", work.as_os_str().to_owned()),
                ];
                // `userxattr`: overlays store their state in attributes, and in a user namespace
                // the process may not write those named `trusted`.
                let options = options.iter().map(|(key, value)| (*key, value.as_os_str()));
                let mount =
                    self.file_system("overlay", options, &["userxattr"], NO_SETUID | NO_DEVICES)?;
                Ok(Some(mount))
            }
        }
    }

    /// Opens the files of the process namespace.
    fn process_files(&mut self) -> Result<Cell, SpawnError> {
        self.plan.step(SpawnStep::ProcessFiles);
        let options = [("hidepid", OsStr::new("invisible"))];
        self.file_system("proc", options, &[], NO_SETUID | NO_DEVICES | NO_EXECUTION)
    }

    /// Opens an empty folder in memory.
    fn memory(&mut self, size: u64) -> Result<Cell, SpawnError> {
        self.plan.step_on(SpawnStep::Mount, Path::new("/tmp"));
        // The kernel's memory for an inode does not count as size.
        let inodes = (size / BYTES_PER_INODE).max(LEAST_INODES).to_string();
        let size = size.to_string();
        let options = [
            ("mode", OsStr::new("755")),
            ("size", OsStr::new(&size)),
            ("nr_inodes", OsStr::new(&inodes)),
        ];
        self.file_system("tmpfs", options, &[], NO_SETUID)
    }

    fn attach_bind(&mut self, bind: &OpenBind<'_>) -> Result<(), SpawnError> {
        match bind {
            OpenBind::Link { text, target } => self.link(text.as_os_str(), target),
            OpenBind::Mount {
                mount,
                is_folder,
                target,
            } => {
                self.plan.step_on(SpawnStep::Mount, target);
                self.parents(target)?;
                if *is_folder {
                    self.folder(target, 0o755)?;
                } else {
                    self.file(target)?;
                }
                self.attach(*mount, target)
            }
        }
    }

    /// Covers a file or folder, if the machine has the original.
    fn hide(&mut self, original: &Path, path: &Path) -> Result<(), SpawnError> {
        let Ok(metadata) = fs::symlink_metadata(original) else {
            return Ok(());
        };
        self.plan.step_on(SpawnStep::Mount, path);
        let cover = if metadata.is_dir() {
            EMPTY_FOLDER
        } else {
            "/dev/null"
        };
        let cover = self.clone_tree(Path::new(cover), 0)?;
        self.attach(cover, path)
    }
}

/// Joins the paths of layers, with the separator of the kernel's option escaped.
fn layers(folders: &[PathBuf]) -> std::ffi::OsString {
    let mut joined = Vec::new();
    for (index, folder) in folders.iter().enumerate() {
        if index > 0 {
            joined.push(b':');
        }
        for byte in folder.as_os_str().as_bytes() {
            if matches!(byte, b':' | b'\\') {
                joined.push(b'\\');
            }
            joined.push(*byte);
        }
    }
    OsStr::from_bytes(&joined).to_owned()
}

/// Returns the path on the machine of a path inside.
fn origin(view: &FileView, path: &Path) -> Option<PathBuf> {
    let relative = |bind: &BindMount| {
        path.strip_prefix(&bind.target)
            .ok()
            .map(|it| bind.source.join(it))
    };
    // The last mount covers earlier ones.
    let bound = view.binds.iter().rev().find_map(relative);
    bound.or_else(|| match &view.root {
        RootFolder::Folder(folder) => Some(folder.join(path.strip_prefix("/").ok()?)),
        _ => None,
    })
}
