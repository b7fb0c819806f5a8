//! Reads `/proc`. No other module of this crate does.
//!
//! Processes start and end at any time, so unreadable entries are skipped.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirEntryExt as _;
use std::path::Path;

use rustix::param::page_size;
use rustix::process::Pid;

#[cfg(target_os = "linux")]
use crate::memory_timer::MachineMemory;

/// Sufficient for most files, because the kernel returns at most a page at once.
const READ_BYTES: usize = 4096;

/// The flag of kernel threads in `/proc/PID/stat`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The constant between a process id and the position of the process in the list of `/proc`. Other files precede the
/// processes.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const PROC_PID_OFFSET: i64 = 258;

/// The fields of `/proc/PID/stat` that the engine uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcStat {
    pub(crate) pid: i32,
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) is_kernel_thread: bool,
    /// CPU time in user and kernel mode, in clock ticks, without the time of reaped children.
    pub(crate) cpu_ticks: u64,
    /// Resident memory in bytes; zero after its end.
    pub(crate) resident_memory: u64,
    /// The address of the environment, which changes when the process executes a program; zero if its variables cannot
    /// be read.
    pub(crate) environment: u64,
}

/// Returns the state of each process on this machine or in this container.
pub(crate) fn all_stats() -> impl Iterator<Item = ProcStat> {
    process_keys().filter_map(|key| stat(key.pid))
}

/// Returns the state of a process.
pub(crate) fn stat(pid: i32) -> Option<ProcStat> {
    parse_stat(&read(pid, "stat")?)
}

/// Returns the process group and the session of this process; 0 for one that was created outside of its pid namespace,
/// such as those of the first process of a container.
///
/// rustix takes 0 for an impossible result of `getsid` and `getpgrp`. The file `stat` has both, but the kernel adds up
/// the times of all threads for it.
#[cfg(target_os = "linux")]
pub(crate) fn own_group_and_session() -> (i32, i32) {
    #[expect(unsafe_code, reason = "rustix takes 0 for an impossible result")]
    // SAFETY: both calls only return a number.
    unsafe {
        (libc::getpgrp(), libc::getsid(0))
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn own_group_and_session() -> (i32, i32) {
    let own = stat(std::process::id().cast_signed());
    own.map_or((0, 0), |stat| (stat.group, stat.session))
}

/// Returns the session of a process, without a read of its files; 0 for one that was created outside of the pid namespace
/// of this process. `None` if the process has ended.
#[cfg(target_os = "linux")]
pub(crate) fn session(pid: i32) -> Option<i32> {
    #[expect(unsafe_code, reason = "rustix takes 0 for an impossible result")]
    // SAFETY: the call only returns a number.
    let session = unsafe { libc::getsid(pid) };
    (session >= 0).then_some(session)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn session(pid: i32) -> Option<i32> {
    stat(pid).map(|stat| stat.session)
}

/// Identifies a process, even if another process had the same pid before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessKey {
    pub(crate) pid: i32,
    /// The inode of `/proc/PID`. Each process gets a new inode. If the inode of a running process changes, the process
    /// is treated as a new one.
    inode: u64,
}

impl ProcessKey {
    /// Returns a key that precedes those of all processes with this pid or a higher one.
    pub(crate) fn lowest_of(pid: i32) -> Self {
        Self { pid, inode: 0 }
    }
}

/// Lists all processes without reading any of their files.
pub(crate) fn process_keys() -> impl Iterator<Item = ProcessKey> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let inode = entry.ino();
        Some(ProcessKey { pid, inode })
    })
}

/// Lists the processes whose pids are at least that of `first`, which is not reaped yet, without a list of all processes.
///
/// The position of a process in the list of `/proc` is its pid plus a constant (`proc_pid_readdir` in `fs/proc/base.c`).
/// Returns `None` if `first` is not at its position, as when the mount option `hidepid` hides it.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn process_keys_since(first: i32) -> Option<Vec<ProcessKey>> {
    use rustix::fs::{Dir, Mode, OFlags, open};

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut entries = Dir::new(open("/proc", flags, Mode::empty()).ok()?).ok()?;
    entries.seek(i64::from(first) + PROC_PID_OFFSET).ok()?;
    let mut keys = Vec::new();
    for entry in entries {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str().ok()?.parse().ok()?;
        let inode = entry.ino();
        keys.push(ProcessKey { pid, inode });
    }
    (keys.first()?.pid == first).then_some(keys)
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn process_keys_since(_first: i32) -> Option<Vec<ProcessKey>> {
    None
}

/// Returns the pid that the kernel has assigned last in the pid namespace of this process, to a process or a thread.
///
/// Not every kernel has the first file (`CONFIG_CHECKPOINT_RESTORE`). In some containers, `lxcfs` replaces the second one,
/// and its number is not the last pid, so that it is only read where the kernel lacks the first one.
pub(crate) fn last_pid() -> Option<i32> {
    if let Some(pid) = read_once("/proc/sys/kernel/ns_last_pid") {
        return pid.trim().parse().ok();
    }
    let load = read_once("/proc/loadavg")?;
    load.split_ascii_whitespace().last()?.parse().ok()
}

/// Returns the number of pids of the kernel.
pub(crate) fn max_pid() -> Option<u32> {
    let max = read_once("/proc/sys/kernel/pid_max")?;
    max.trim().parse().ok()
}

/// Returns the value of an environment variable at the time when a process executed its program.
///
/// Fails if the process has ended or belongs to another user.
pub(crate) fn environment_variable(pid: i32, name: &str) -> io::Result<Option<Vec<u8>>> {
    let environment = read_file(format!("/proc/{pid}/environ"))?;
    let mut variables = environment.split(|byte| *byte == 0);
    Ok(variables.find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=").map(<[u8]>::to_vec)
    }))
}

/// Returns the hard limit of file locks of a process; `u64::MAX` without a limit.
///
/// Every user may read the limit, even that of an undumpable process or a zombie.
pub(crate) fn file_lock_limit(pid: i32) -> Option<u64> {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    {
        match limit_by_call(pid) {
            // Processes of other users have only the file.
            Err(rustix::io::Errno::PERM) => {}
            limit => return limit.ok(),
        }
    }
    parse_file_lock_limit(&read(pid, "limits")?)
}

/// Asks for the limit of a process that this process may control. This takes a tenth of the time of reading the file.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn limit_by_call(pid: i32) -> Result<u64, rustix::io::Errno> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    #[expect(unsafe_code, reason = "rustix can only change limits of others")]
    // SAFETY: the kernel accepts no new limit, and writes one `rlimit`.
    let result =
        unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut limit) };
    if result == 0 {
        return Ok(limit.rlim_max);
    }
    let error = io::Error::last_os_error();
    Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::PERM))
}

fn parse_file_lock_limit(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let limits = lines.find_map(|line| line.strip_prefix("Max file locks "))?;
    match limits.split_ascii_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        limit => limit.parse().ok(),
    }
}

/// Returns the children that the main thread of this process has started, and the orphans that this process has adopted.
/// `None` if the kernel does not list them, or the main thread has ended.
pub(crate) fn children() -> Option<Vec<i32>> {
    let pid = std::process::id();
    let list = read_text(format!("/proc/self/task/{pid}/children"))?;
    let pids = list.split_ascii_whitespace().map(str::parse);
    pids.collect::<Result<_, _>>().ok()
}

/// Bytes that a process transferred from and to disks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DiskIo {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// Returns the disk traffic of a process, or zero if it cannot be read.
pub(crate) fn disk_io(pid: i32) -> DiskIo {
    let text = read(pid, "io").unwrap_or_default();
    DiskIo {
        read: number_after(&text, "read_bytes:").unwrap_or(0),
        written: number_after(&text, "write_bytes:").unwrap_or(0),
    }
}

/// Sets the score that the kernel adds when it chooses a process to kill because memory is low.
pub(crate) fn set_oom_score_adj(pid: Pid, score: i32) {
    let pid = pid.as_raw_nonzero();
    // Fails if the process has ended.
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string());
}

/// Returns the number of processes that the kernel has killed since boot because the machine's memory was low.
pub(crate) fn oom_kills(vmstat: &Path) -> Option<u64> {
    number_after(&read_text(vmstat)?, "oom_kill")
}

/// Returns the memory of the machine, given the file in which the kernel counts it.
#[cfg(target_os = "linux")]
pub(crate) fn machine_memory(meminfo: &Path) -> Option<MachineMemory> {
    let text = read_text(meminfo)?;
    let bytes = |label| number_after(&text, label).map(|kib| kib.saturating_mul(1024));
    Some(MachineMemory {
        total: bytes("MemTotal:")?,
        available: bytes("MemAvailable:")?,
    })
}

/// Returns the number on the line that starts with `label`, in a text of labels and numbers.
pub(crate) fn number_after(text: &str, label: &str) -> Option<u64> {
    // The blank excludes labels of which this one is a prefix.
    let mut lines = text.lines();
    let number = lines.find_map(|line| line.strip_prefix(label)?.strip_prefix([' ', '\t']))?;
    number.split_ascii_whitespace().next()?.parse().ok()
}

fn read(pid: i32, file: &str) -> Option<String> {
    read_once(format!("/proc/{pid}/{file}"))
}

/// Reads a file of the kernel that it writes as a whole into the buffer, if that is large enough, so that no second read
/// is needed to notice the end.
fn read_once(path: impl AsRef<Path>) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut bytes = vec![0; READ_BYTES];
    let length = file.read(&mut bytes).ok()?;
    bytes.truncate(length);
    if length == READ_BYTES {
        file.read_to_end(&mut bytes).ok()?;
    }
    String::from_utf8(bytes).ok()
}

/// Reads a file of the kernel that contains text.
pub(crate) fn read_text(path: impl AsRef<Path>) -> Option<String> {
    String::from_utf8(read_file(path).ok()?).ok()
}

/// Reads a file of the kernel. `fs::read` would query the length, which is always 0, and then read 32, 64, ... bytes;
/// `take` avoids this.
fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(READ_BYTES);
    File::open(path)?.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Parses `pid (name) state parent group session ...`, where the name may contain any character, even brackets.
fn parse_stat(stat: &str) -> Option<ProcStat> {
    let (pid, rest) = stat.split_once(' ')?;
    let mut fields = rest.rsplit_once(')')?.1.split_ascii_whitespace();
    let mut next = |skipped| fields.nth(skipped);
    Some(ProcStat {
        pid: pid.parse().ok()?,
        state: next(0)?.chars().next()?,
        parent: next(0)?.parse().ok()?,
        group: next(0)?.parse().ok()?,
        session: next(0)?.parse().ok()?,
        // `flags`, the field 9 of proc_pid_stat(5).
        is_kernel_thread: next(2)?.parse::<u32>().ok()? & PF_KTHREAD != 0,
        // `utime` and `stime`, the fields 14 and 15.
        cpu_ticks: next(4)?.parse::<u64>().ok()? + next(0)?.parse::<u64>().ok()?,
        // `rss`, the field 24.
        resident_memory: next(8)?.parse::<u64>().ok()? * page_size() as u64,
        // `env_start`, the field 50.
        environment: next(25).and_then(|it| it.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests;
