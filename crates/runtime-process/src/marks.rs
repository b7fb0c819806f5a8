//! Marks by which the processes of a command are found.
//!
//! All processes of a command inherit two marks from its first one:
//!
//! - An environment variable. A process that clears its environment, overwrites its title or makes itself undumpable
//!   hides it.
//! - A number as the limit of file locks (`RLIMIT_LOCKS`), which Linux has not enforced since 2.4.25. Every process may
//!   read the limits of others. A process may lower its limit, and so lose the mark, but the lower value shows this,
//!   and without `CAP_SYS_RESOURCE` the process cannot raise the limit.
//!
//! Both contain the *owner*: the process folder of the worker in the storage. The root of the storage is identified by
//! device and inode: workers in several containers may have the same path for different folders.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::process::Pid;

use crate::pid_cycle::{self, PidCycle};

/// The variable that names the task to which a process belongs.
pub(crate) const TASK_VARIABLE: &str = "RUNTIME_WORKER_TASK";

/// The parts of a number, from the highest bits: a constant, the root, the process folder, and a serial number.
const KIND: u64 = 0b01;
const ROOT_BITS: u32 = 31;
const FOLDER_BITS: u32 = 16;
const SERIAL_BITS: u32 = 15;

/// The root of a storage: device and inode of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageRoot {
    device: u64,
    inode: u64,
}

impl StorageRoot {
    pub(crate) fn of(root: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(root)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    fn hash(self) -> u64 {
        hash(
            &[self.device.to_ne_bytes(), self.inode.to_ne_bytes()].concat(),
            ROOT_BITS,
        )
    }
}

/// The worker to which processes belong: its process folder in a storage.
#[derive(Clone, Debug)]
pub(crate) struct OwningWorker {
    root: StorageRoot,
    folder: OsString,
}

impl OwningWorker {
    /// Returns the owner for a process folder, `ROOT/FOLDER`.
    pub(crate) fn of(process_folder: &Path) -> io::Result<Self> {
        let (Some(root), Some(folder)) = (process_folder.parent(), process_folder.file_name())
        else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        Ok(Self {
            root: StorageRoot::of(root)?,
            folder: folder.to_owned(),
        })
    }

    /// Returns whether a process with this number belongs to a command of this worker.
    pub(crate) fn owns(&self, number: u64) -> bool {
        number >> SERIAL_BITS == self.prefix()
    }

    /// Returns the value of [`TASK_VARIABLE`] for the commands of a task.
    pub(crate) fn variable(&self, task_folder: &Path) -> OsString {
        let mut variable = OsString::from(format!("{}:{}/", self.root.device, self.root.inode));
        variable.push(&self.folder);
        variable.push("/");
        variable.push(task_folder.file_name().unwrap_or_default());
        variable
    }

    /// Returns whether a value of [`TASK_VARIABLE`] names a task of this worker.
    pub(crate) fn owns_variable(&self, variable: &[u8]) -> bool {
        let own = self.variable(Path::new(""));
        variable.starts_with(own.as_encoded_bytes())
    }

    fn prefix(&self) -> u64 {
        let kind_and_root = (KIND << ROOT_BITS) | self.root.hash();
        (kind_and_root << FOLDER_BITS) | folder_hash(&self.folder)
    }
}

/// The running commands of this process.
///
/// Shared by all engines of this process, because each must recognize the commands of the others.
static COMMANDS: Mutex<Commands> = Mutex::new(Commands {
    leaders: BTreeMap::new(),
    numbers: BTreeMap::new(),
    unsearched: BTreeSet::new(),
    next_serial: 0,
});

struct Commands {
    /// The first process of each command by number; `None` before its start.
    leaders: BTreeMap<u64, Option<i32>>,
    /// The number of each command by its first process.
    numbers: BTreeMap<i32, u64>,
    /// The numbers of ended commands whose remaining processes were not searched.
    unsearched: BTreeSet<u64>,
    next_serial: u64,
}

/// The state of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandState {
    /// The command has ended, or belongs to another process.
    Unknown,
    Starting,
    /// The command runs, and its first process has this pid.
    Running(i32),
}

/// The marks of a command, which are in use until this value is dropped.
#[derive(Debug)]
pub(crate) struct CommandMark {
    /// The value of [`TASK_VARIABLE`].
    pub(crate) variable: OsString,
    /// The limit of file locks.
    pub(crate) number: u64,
    /// The period of pids before the start of its first process.
    pub(crate) cycle: Option<PidCycle>,
    is_searched: AtomicBool,
}

impl CommandMark {
    /// Creates the marks of a command in the folder of its task.
    pub(crate) fn new(owner: &OwningWorker, task_folder: &Path) -> Self {
        let cycle = pid_cycle::observe().map(|last| last.cycle);
        let mut commands = COMMANDS.lock();
        let first = owner.prefix() << SERIAL_BITS;
        let count = 1 << SERIAL_BITS;
        let serials = (0..count).map(|step| (commands.next_serial + step) % count);
        let mut unused = serials.filter(|serial| !commands.leaders.contains_key(&(first | serial)));
        // No process runs that many commands at the same time.
        let serial = unused.next().unwrap_or_default();
        let number = first | serial;
        commands.next_serial = serial + 1;
        commands.leaders.insert(number, None);
        Self {
            variable: owner.variable(task_folder),
            number,
            cycle,
            is_searched: AtomicBool::new(false),
        }
    }

    /// Records the first process of the command.
    pub(crate) fn started(&self, leader: Pid) {
        let leader = leader.as_raw_nonzero().get();
        let mut commands = COMMANDS.lock();
        commands.leaders.insert(self.number, Some(leader));
        commands.numbers.insert(leader, self.number);
    }

    /// Records that the remaining processes of the command were searched.
    pub(crate) fn searched(&self) {
        self.is_searched.store(true, Ordering::Relaxed);
    }

    /// Returns the number of the running command whose first process has this pid, if any.
    pub(crate) fn of_leader(pid: i32) -> Option<u64> {
        COMMANDS.lock().numbers.get(&pid).copied()
    }

    /// Returns whether commands of a worker run, or have ended without a search for their remaining processes.
    pub(crate) fn any_left(owner: &OwningWorker) -> bool {
        let commands = COMMANDS.lock();
        let mut numbers = commands.leaders.keys().chain(&commands.unsearched);
        numbers.any(|number| owner.owns(*number))
    }

    /// Returns whether commands of a worker have ended without a search for their remaining processes since the last
    /// call.
    pub(crate) fn take_unsearched(owner: &OwningWorker) -> bool {
        let unsearched = &mut COMMANDS.lock().unsearched;
        let count = unsearched.len();
        unsearched.retain(|number| !owner.owns(*number));
        unsearched.len() < count
    }

    /// Returns the state of the command with a number.
    pub(crate) fn state(number: u64) -> CommandState {
        match COMMANDS.lock().leaders.get(&number) {
            None => CommandState::Unknown,
            Some(None) => CommandState::Starting,
            Some(Some(leader)) => CommandState::Running(*leader),
        }
    }
}

/// Sets the number of this process, which its children inherit. Makes only a system call.
///
/// Has no effect on systems without such a limit or with a smaller type, and below a worker that runs in a task.
pub(crate) fn set_number(number: u64) {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    {
        let limit = rustix::process::Rlimit {
            current: Some(number),
            maximum: Some(number),
        };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Locks, limit);
    }
    #[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
    let _ = number;
}

impl Drop for CommandMark {
    fn drop(&mut self) {
        let mut commands = COMMANDS.lock();
        let Some(Some(leader)) = commands.leaders.remove(&self.number) else {
            return;
        };
        if commands.numbers.get(&leader) == Some(&self.number) {
            commands.numbers.remove(&leader);
        }
        if !self.is_searched.load(Ordering::Relaxed) {
            commands.unsearched.insert(self.number);
        }
    }
}

/// The process folders of a storage whose workers are alive.
#[derive(Debug)]
pub(crate) struct LiveWorkers {
    root: StorageRoot,
    folders: BTreeSet<OsString>,
    hashes: BTreeSet<u64>,
}

impl LiveWorkers {
    /// Lists the process folders below `root`, except `dead` ones.
    ///
    /// Opening a storage removes the folders of dead workers, so a missing folder belonged to a dead worker.
    pub(crate) fn below(root: &Path, dead: &[&OsStr]) -> io::Result<Self> {
        let names = fs::read_dir(root)?.map(|entry| entry.map(|entry| entry.file_name()));
        let mut folders = names.collect::<io::Result<BTreeSet<_>>>()?;
        folders.retain(|folder| !dead.contains(&&**folder));
        Ok(Self {
            root: StorageRoot::of(root)?,
            hashes: folders.iter().map(|folder| folder_hash(folder)).collect(),
            folders,
        })
    }

    /// Returns whether the variable names a dead worker of this storage.
    pub(crate) fn is_dead(&self, variable: &[u8]) -> bool {
        let variable = String::from_utf8_lossy(variable);
        let mut parts = variable.split('/');
        let root = parts.next();
        let root = root.and_then(|root| root.split_once(':'));
        let root = root.and_then(|(device, inode)| {
            let (device, inode) = (device.parse().ok()?, inode.parse().ok()?);
            Some(StorageRoot { device, inode })
        });
        root == Some(self.root)
            && parts
                .next()
                .is_some_and(|folder| !self.folders.contains(OsStr::new(folder)))
    }

    /// Returns whether the number belongs to a dead worker of this storage.
    pub(crate) fn is_dead_number(&self, number: u64) -> bool {
        let folder = (number >> SERIAL_BITS) % (1 << FOLDER_BITS);
        let kind_and_root = number >> (SERIAL_BITS + FOLDER_BITS);
        kind_and_root == (KIND << ROOT_BITS) | self.root.hash() && !self.hashes.contains(&folder)
    }
}

fn folder_hash(folder: &OsStr) -> u64 {
    hash(folder.as_encoded_bytes(), FOLDER_BITS)
}

/// Returns a hash that is the same in all processes and versions: FNV-1a, cut to some bits.
fn hash(bytes: &[u8], bits: u32) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) % (1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_their_owner() -> io::Result<()> {
        let (root, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let folders = [
            root.path().join("run-a"),
            root.path().join("run-b"),
            other.path().join("run-a"),
        ];
        folders.iter().try_for_each(fs::create_dir)?;
        let [a, b, elsewhere] = folders.each_ref().map(|it| OwningWorker::of(it));
        let (a, b, elsewhere) = (a?, b?, elsewhere?);
        let mark = CommandMark::new(&a, &folders[0].join("task-1"));
        assert_eq!(mark.number >> 62, KIND, "{:x}", mark.number);
        assert!(a.owns(mark.number) && !b.owns(mark.number) && !elsewhere.owns(mark.number));
        let owns = |owner: &OwningWorker| owner.owns_variable(mark.variable.as_encoded_bytes());
        assert!(owns(&a) && !owns(&b) && !owns(&elsewhere));
        let next = CommandMark::new(&a, &folders[0].join("task-1"));
        assert_ne!(mark.number, next.number);
        assert_eq!(CommandMark::state(mark.number), CommandState::Starting);
        mark.started(Pid::from_raw(7).expect("not 0"));
        assert_eq!(CommandMark::state(mark.number), CommandState::Running(7));
        assert_eq!(CommandMark::of_leader(7), Some(mark.number));
        let number = mark.number;
        drop(mark);
        assert_eq!(CommandMark::state(number), CommandState::Unknown);
        assert_eq!(CommandMark::of_leader(7), None);
        Ok(())
    }

    #[test]
    fn only_commands_without_search_are_left() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let owner = OwningWorker::of(root.path())?;
        let unsearched = || CommandMark::take_unsearched(&owner);
        let new = || CommandMark::new(&owner, root.path());
        let (not_started, searched, dropped) = (new(), new(), new());
        for mark in [&searched, &dropped] {
            mark.started(Pid::from_raw(i32::MAX).expect("not 0"));
        }
        searched.searched();
        drop((not_started, searched));
        assert!(!unsearched(), "one runs");
        drop(dropped);
        assert!(CommandMark::any_left(&owner));
        assert!(unsearched() && !unsearched(), "each counts once");
        Ok(())
    }

    #[test]
    fn missing_process_folder_is_dead() -> io::Result<()> {
        let (root, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let folders = [
            root.path().join("run-a"),
            root.path().join("run-b"),
            other.path().join("run-c"),
        ];
        folders.iter().try_for_each(fs::create_dir)?;
        let marks = folders.each_ref().map(|folder| {
            let owner = OwningWorker::of(folder).expect("it exists");
            CommandMark::new(&owner, &folder.join("task-1"))
        });
        let is_dead = |live: &LiveWorkers| {
            marks.each_ref().map(|mark| {
                let by_variable = live.is_dead(mark.variable.as_encoded_bytes());
                assert_eq!(live.is_dead_number(mark.number), by_variable, "{mark:?}");
                by_variable
            })
        };
        assert_eq!(is_dead(&LiveWorkers::below(root.path(), &[])?), [false; 3]);
        let dead = [OsStr::new("run-b")];
        assert_eq!(
            is_dead(&LiveWorkers::below(root.path(), &dead)?),
            [false, true, false]
        );
        fs::remove_dir(&folders[0])?;
        // A folder of another root is not considered missing, because this worker cannot see that root.
        let live = LiveWorkers::below(root.path(), &[])?;
        assert_eq!(is_dead(&live), [true, false, false]);
        for foreign in ["", "/", "x/y/z", "1:2", "1:2/run-a/t", "/data/run-a/task-1"] {
            assert!(!live.is_dead(foreign.as_bytes()), "{foreign}");
        }
        for foreign in [0, u64::MAX, KIND << 62, marks[0].number >> 1] {
            assert!(!live.is_dead_number(foreign), "{foreign:x}");
        }
        Ok(())
    }
}
