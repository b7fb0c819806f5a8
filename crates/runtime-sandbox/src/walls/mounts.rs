//! The root folder of a sandbox.
//!
//! The operations first open everything of the machine as detached mounts, then leave the machine's root folder, and
//! attach the mounts only then: a link inside a foreign root folder is resolved there, and not on the machine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::error::{SpawnError, SpawnStep};
use crate::files::{BindMount, FileAccess, FileView, RootFolder};
use crate::plan::{Argument, Cell, Plan};

/// The device nodes of `/dev`, with major and minor number.
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The links of `/dev`.
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// An empty folder that covers hidden folders.
const EMPTY_FOLDER: &str = "/dev/.empty";

/// Files of the process namespace that show the worker's keys, which belong to a user and not to a namespace.
const HIDDEN_PROCESS_FILES: [&str; 2] = ["/proc/keys", "/proc/key-users"];

/// The size in memory for each file, and the number of files in a small one.
const BYTES_PER_INODE: u64 = 4096;
const LEAST_INODES: u64 = 1024;

const OPEN_TREE_CLONE: u32 = 1;
const CLOSE_ON_EXEC: u32 = libc::O_CLOEXEC as u32;
const RECURSIVE: u32 = 0x8000;
const EMPTY_PATH: u32 = libc::AT_EMPTY_PATH as u32;
const MOVE_FROM_EMPTY_PATH: u32 = 4;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

const READ_ONLY: u64 = 1;
const NO_SETUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const NO_EXECUTION: u64 = 8;

/// Gives the process a root folder with the files of the view.
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
    if read_only_root {
        mounts.set_attributes(libc::AT_FDCWD.into(), "/", 0, READ_ONLY)?;
    } else {
        mounts.set_attributes(libc::AT_FDCWD.into(), "/dev", 0, READ_ONLY)?;
    }
    mounts.mode_mask(0o022);
    Ok(())
}

/// Gives the process a `/proc` of its process namespace, in the machine's root folder.
pub(crate) fn change_process_files(plan: &mut Plan) -> Result<(), SpawnError> {
    own_mounts(plan, SpawnStep::ProcessFiles)?;
    let mut mounts = Mounts { plan };
    let process_files = mounts.process_files()?;
    mounts.attach(process_files, Path::new("/proc"))
}

/// Creates a mount namespace, of which the machine does not see the changes.
fn own_mounts(plan: &mut Plan, step: SpawnStep) -> Result<(), SpawnError> {
    plan.step(step);
    plan.call(libc::SYS_unshare, [libc::CLONE_NEWNS.into()]);
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

struct Mounts<'a> {
    plan: &'a mut Plan,
}

impl Mounts<'_> {
    /// Opens a file or folder of the machine. Returns `None` for a missing system folder.
    fn open_bind<'b>(&mut self, bind: &'b BindMount) -> Result<Option<OpenBind<'b>>, SpawnError> {
        let target = bind.target.as_path();
        let mut is_folder = bind.source.is_dir();
        if bind.is_system_folder() {
            // A link, such as `/bin` to `usr/bin`, remains a link.
            if let Ok(text) = fs::read_link(&bind.source) {
                return Ok(Some(OpenBind::Link { text, target }));
            }
            if !is_folder {
                return Ok(None);
            }
            is_folder = true;
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

    /// Opens the device nodes of the machine.
    fn open_devices(&mut self) -> Result<Vec<Cell>, SpawnError> {
        let open = |(path, ..): (&str, u32, u32)| {
            self.plan.step_on(SpawnStep::Mount, Path::new(path));
            let mount = self.clone_tree(Path::new(path), 0)?;
            self.set_attributes(mount.into(), "", 0, NO_SETUID | NO_EXECUTION)?;
            Ok(mount)
        };
        DEVICES.into_iter().map(open).collect()
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

    /// Makes a detached mount the root folder.
    fn pivot(&mut self, root: Cell) -> Result<(), SpawnError> {
        self.plan.step(SpawnStep::PivotRoot);
        let (empty, slash, dot) = (
            self.plan.string("")?,
            self.plan.string("/")?,
            self.plan.string(".")?,
        );
        let here = libc::AT_FDCWD;
        let flags = MOVE_FROM_EMPTY_PATH;
        let arguments = [root.into(), empty, here.into(), slash, flags.into()];
        self.plan.call(libc::SYS_move_mount, arguments);
        self.plan.call(libc::SYS_fchdir, [root.into()]);
        // The old root is then mounted above the new one, where `.` finds it.
        self.plan.call(libc::SYS_pivot_root, [dot, dot]);
        self.plan
            .call(libc::SYS_umount2, [dot, libc::MNT_DETACH.into()]);
        self.plan.call(libc::SYS_chdir, [slash]);
        Ok(())
    }

    /// Fills `/dev`. The step of a failure is the mount of a device.
    fn device_folder(&mut self, devices: &[Cell]) -> Result<(), SpawnError> {
        for (index, (path, major, minor)) in DEVICES.into_iter().enumerate() {
            self.plan.step_on(SpawnStep::Mount, Path::new(path));
            match devices.get(index) {
                Some(device) => {
                    self.file(Path::new(path))?;
                    self.attach(*device, Path::new(path))?;
                }
                None => {
                    let device = libc::makedev(major, minor) as u32;
                    self.node(Path::new(path), libc::S_IFCHR | 0o666, device)?;
                }
            }
        }
        for (link, text) in DEVICE_LINKS {
            self.link(OsStr::new(text), Path::new(link))?;
        }
        self.folder(EMPTY_FOLDER, 0o555)?;
        self.folder("/dev/shm", 0o1777)?;
        self.make_own("/dev/shm", "/dev/shm")?;
        self.folder("/dev/pts", 0o755)?;
        self.plan.step_on(SpawnStep::Mount, Path::new("/dev/pts"));
        let options = [("mode", OsStr::new("620")), ("ptmxmode", OsStr::new("666"))];
        let terminals = self.file_system("devpts", options, &[], NO_SETUID | NO_EXECUTION)?;
        self.attach(terminals, Path::new("/dev/pts"))
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

    /// Makes a folder of the memory a mount, which stays writable and has no devices.
    fn make_own(&mut self, folder: &str, target: &str) -> Result<(), SpawnError> {
        self.plan.step_on(SpawnStep::Mount, Path::new(target));
        let mount = self.clone_tree(Path::new(folder), 0)?;
        self.set_attributes(mount.into(), "", 0, NO_SETUID | NO_DEVICES)?;
        self.attach(mount, Path::new(target))
    }

    /// Opens a copy of a mount, detached.
    fn clone_tree(&mut self, path: &Path, recursive: u32) -> Result<Cell, SpawnError> {
        let path = self.plan.string(path)?;
        let flags = OPEN_TREE_CLONE | CLOSE_ON_EXEC | recursive;
        let arguments = [libc::AT_FDCWD.into(), path, flags.into()];
        Ok(self.plan.open(libc::SYS_open_tree, arguments))
    }

    /// Sets attributes of a mount, and of those below it with [`RECURSIVE`].
    fn set_attributes(
        &mut self,
        mount: Argument,
        path: &str,
        recursive: u32,
        attributes: u64,
    ) -> Result<(), SpawnError> {
        let path = self.plan.string(path)?;
        // `struct mount_attr`: set, clear, propagation, user namespace.
        let mut structure = [0; 32];
        structure[..8].copy_from_slice(&attributes.to_ne_bytes());
        let structure = self.plan.address(&structure);
        let flags = EMPTY_PATH | recursive;
        let arguments = [mount, path, flags.into(), structure, 32.into()];
        self.plan.call(libc::SYS_mount_setattr, arguments);
        Ok(())
    }

    fn attach(&mut self, mount: Cell, target: &Path) -> Result<(), SpawnError> {
        let (empty, target) = (self.plan.string("")?, self.plan.string(target)?);
        let flags = MOVE_FROM_EMPTY_PATH;
        let arguments = [
            mount.into(),
            empty,
            libc::AT_FDCWD.into(),
            target,
            flags.into(),
        ];
        self.plan.call(libc::SYS_move_mount, arguments);
        Ok(())
    }

    /// Opens a new file system, detached.
    fn file_system<'b>(
        &mut self,
        kind: &str,
        options: impl IntoIterator<Item = (&'b str, &'b OsStr)>,
        flags: &[&str],
        attributes: u64,
    ) -> Result<Cell, SpawnError> {
        let kind = self.plan.string(kind)?;
        let context = self.plan.open(libc::SYS_fsopen, [kind, 1.into()]);
        for (key, value) in options {
            let (key, value) = (self.plan.string(key)?, self.plan.string(value)?);
            self.configure(context, FSCONFIG_SET_STRING, key, value);
        }
        for flag in flags {
            let flag = self.plan.string(flag)?;
            self.configure(context, FSCONFIG_SET_FLAG, flag, 0.into());
        }
        self.configure(context, FSCONFIG_CMD_CREATE, 0.into(), 0.into());
        let arguments = [context.into(), 1.into(), attributes.into()];
        let mount = self.plan.open(libc::SYS_fsmount, arguments);
        self.plan.call(libc::SYS_close, [context.into()]);
        Ok(mount)
    }

    fn configure(&mut self, context: Cell, command: u32, key: Argument, value: Argument) {
        let arguments = [context.into(), command.into(), key, value, 0.into()];
        self.plan.call(libc::SYS_fsconfig, arguments);
    }

    /// Creates the folders above a path. Those that exist stay as they are.
    fn parents(&mut self, path: &Path) -> Result<(), SpawnError> {
        let mut folder = PathBuf::from("/");
        let parent = path.parent().unwrap_or(Path::new("/"));
        for component in parent
            .components()
            .filter(|it| matches!(it, Component::Normal(_)))
        {
            folder.push(component);
            self.folder(&folder, 0o755)?;
        }
        Ok(())
    }

    fn folder(&mut self, path: impl AsRef<Path>, mode: u32) -> Result<(), SpawnError> {
        let path = self.plan.string(path.as_ref())?;
        let arguments = [libc::AT_FDCWD.into(), path, mode.into()];
        self.plan.attempt(libc::SYS_mkdirat, arguments);
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), SpawnError> {
        let path = self.plan.string(path)?;
        let mode = libc::S_IFREG | 0o644;
        let arguments = [libc::AT_FDCWD.into(), path, mode.into(), 0.into()];
        self.plan.attempt(libc::SYS_mknodat, arguments);
        Ok(())
    }

    fn node(&mut self, path: &Path, mode: u32, device: u32) -> Result<(), SpawnError> {
        let path = self.plan.string(path)?;
        let arguments = [libc::AT_FDCWD.into(), path, mode.into(), device.into()];
        self.plan.call(libc::SYS_mknodat, arguments);
        Ok(())
    }

    fn link(&mut self, text: &OsStr, path: &Path) -> Result<(), SpawnError> {
        let (text, path) = (self.plan.string(text)?, self.plan.string(path)?);
        self.plan
            .attempt(libc::SYS_symlinkat, [text, libc::AT_FDCWD.into(), path]);
        Ok(())
    }

    fn mode_mask(&mut self, mask: u32) {
        self.plan.call(libc::SYS_umask, [mask.into()]);
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
