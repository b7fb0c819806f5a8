//! The folder `/dev` of a sandbox.

use std::ffi::OsStr;
use std::path::Path;

use super::mount_calls::{Mounts, NO_EXECUTION, NO_SETUID};
use crate::error::{SpawnError, SpawnStep};
use crate::plan::Cell;

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
pub(super) const EMPTY_FOLDER: &str = "/dev/.empty";

impl Mounts<'_> {
    /// Opens the device nodes of the machine.
    pub(super) fn open_devices(&mut self) -> Result<Vec<Cell>, SpawnError> {
        let open = |(path, ..): (&str, u32, u32)| {
            self.plan.step_on(SpawnStep::Mount, Path::new(path));
            let mount = self.clone_tree(Path::new(path), 0)?;
            self.set_attributes(mount.into(), "", 0, NO_SETUID | NO_EXECUTION)?;
            Ok(mount)
        };
        DEVICES.into_iter().map(open).collect()
    }

    /// Fills `/dev`. The step of a failure is the mount of a device.
    pub(super) fn device_folder(&mut self, devices: &[Cell]) -> Result<(), SpawnError> {
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
}
