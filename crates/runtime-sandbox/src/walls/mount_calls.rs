//! Mounts with the system calls for detached mounts, and the creation of their mount points.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::error::{SpawnError, SpawnStep};
use crate::plan::{Argument, Cell, Plan};

const OPEN_TREE_CLONE: u32 = 1;
const CLOSE_ON_EXEC: u32 = libc::O_CLOEXEC as u32;
pub(super) const RECURSIVE: u32 = 0x8000;
const EMPTY_PATH: u32 = libc::AT_EMPTY_PATH as u32;
const MOVE_FROM_EMPTY_PATH: u32 = 4;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

pub(super) const READ_ONLY: u64 = 1;
pub(super) const NO_SETUID: u64 = 2;
pub(super) const NO_DEVICES: u64 = 4;
pub(super) const NO_EXECUTION: u64 = 8;

/// Adds operations about mounts to a plan.
pub(super) struct Mounts<'a> {
    pub(super) plan: &'a mut Plan,
}

impl Mounts<'_> {
    /// Opens a copy of a mount, detached.
    pub(super) fn clone_tree(&mut self, path: &Path, recursive: u32) -> Result<Cell, SpawnError> {
        let path = self.plan.string(path)?;
        let flags = OPEN_TREE_CLONE | CLOSE_ON_EXEC | recursive;
        let arguments = [libc::AT_FDCWD.into(), path, flags.into()];
        Ok(self.plan.open(libc::SYS_open_tree, arguments))
    }

    /// Sets attributes of a mount, and of those below it with [`RECURSIVE`].
    pub(super) fn set_attributes(
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

    pub(super) fn attach(&mut self, mount: Cell, target: &Path) -> Result<(), SpawnError> {
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
    pub(super) fn file_system<'b>(
        &mut self,
        kind: &str,
        options: impl IntoIterator<Item = (&'b str, &'b OsStr)>,
        flags: &[&str],
        attributes: u64,
    ) -> Result<Cell, SpawnError> {
        let kind = self.plan.string(kind)?;
        // 1 is `FSOPEN_CLOEXEC`, and `FSMOUNT_CLOEXEC` below.
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
    pub(super) fn parents(&mut self, path: &Path) -> Result<(), SpawnError> {
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

    pub(super) fn folder(&mut self, path: impl AsRef<Path>, mode: u32) -> Result<(), SpawnError> {
        let path = self.plan.string(path.as_ref())?;
        let arguments = [libc::AT_FDCWD.into(), path, mode.into()];
        // It may exist. After any other failure, a mount on it or below it fails too, with its
        // path.
        self.plan.attempt(libc::SYS_mkdirat, arguments);
        Ok(())
    }

    pub(super) fn file(&mut self, path: &Path) -> Result<(), SpawnError> {
        let path = self.plan.string(path)?;
        let mode = libc::S_IFREG | 0o644;
        let arguments = [libc::AT_FDCWD.into(), path, mode.into(), 0.into()];
        // Not by `open`, which would leave a descriptor to close.
        self.plan.attempt(libc::SYS_mknodat, arguments);
        Ok(())
    }

    pub(super) fn node(&mut self, path: &Path, mode: u32, device: u32) -> Result<(), SpawnError> {
        let path = self.plan.string(path)?;
        let arguments = [libc::AT_FDCWD.into(), path, mode.into(), device.into()];
        self.plan.call(libc::SYS_mknodat, arguments);
        Ok(())
    }

    pub(super) fn link(&mut self, text: &OsStr, path: &Path) -> Result<(), SpawnError> {
        let (text, path) = (self.plan.string(text)?, self.plan.string(path)?);
        self.plan
            .attempt(libc::SYS_symlinkat, [text, libc::AT_FDCWD.into(), path]);
        Ok(())
    }

    pub(super) fn mode_mask(&mut self, mask: u32) {
        self.plan.call(libc::SYS_umask, [mask.into()]);
    }

    /// Turns a folder of the memory into a mount, which stays writable and has no devices.
    pub(super) fn make_own(&mut self, folder: &str, target: &str) -> Result<(), SpawnError> {
        self.plan.step_on(SpawnStep::Mount, Path::new(target));
        let mount = self.clone_tree(Path::new(folder), 0)?;
        self.set_attributes(mount.into(), "", 0, NO_SETUID | NO_DEVICES)?;
        self.attach(mount, Path::new(target))
    }

    /// Turns a detached mount into the root folder.
    pub(super) fn pivot(&mut self, root: Cell) -> Result<(), SpawnError> {
        self.plan.step(SpawnStep::PivotRoot);
        let (empty, slash, dot) = (
            self.plan.string("")?,
            self.plan.string("/")?,
            self.plan.string(".")?,
        );
        let here = libc::AT_FDCWD;
        let flags = MOVE_FROM_EMPTY_PATH;
        // `pivot_root` accepts only a mount point, which a detached mount is not.
        let arguments = [root.into(), empty, here.into(), slash, flags.into()];
        self.plan.call(libc::SYS_move_mount, arguments);
        // By the descriptor: the path `/` still leads to the old root, below the new mount.
        self.plan.call(libc::SYS_fchdir, [root.into()]);
        // The old root is then mounted above the new one, where `.` finds it.
        self.plan.call(libc::SYS_pivot_root, [dot, dot]);
        self.plan
            .call(libc::SYS_umount2, [dot, libc::MNT_DETACH.into()]);
        self.plan.call(libc::SYS_chdir, [slash]);
        Ok(())
    }
}
