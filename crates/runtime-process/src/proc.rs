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

/// Identifies a process, even if another process had the same pid before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessKey {
    pub(crate) pid: i32,
    /// The inode of `/proc/PID`. Each process gets a new inode. If the inode of a running process changes, the process
    /// is treated as a new one.
    inode: u64,
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

/// Lists the processes that started after `first`, which is not reaped yet, without a list of all processes. The list may
/// contain `first`.
///
/// The kernel assigns ascending pids, and the position of a process in the list of `/proc` is its pid plus a constant.
/// Returns `None` if `first` is not at its position, or if the pids have started over since it was created. If they
/// have started over twice, this is not detected, so `first` must be a recent process.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn process_keys_since(first: i32) -> Option<Vec<ProcessKey>> {
    use rustix::fs::{Dir, Mode, OFlags, open};

    if last_pid()? == first {
        return Some(Vec::new());
    }
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
    // Read after the list, so that it also covers its time.
    (keys.first()?.pid == first && last_pid()? >= first).then_some(keys)
}

/// Returns the pid that the kernel has assigned last, to a process or a thread.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn last_pid() -> Option<i32> {
    let load = read_text("/proc/loadavg")?;
    load.split_ascii_whitespace().last()?.parse().ok()
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn process_keys_since(_first: i32) -> Option<Vec<ProcessKey>> {
    None
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
    parse_file_lock_limit(&read(pid, "limits")?)
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
    read_text(format!("/proc/{pid}/{file}"))
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_name_may_contain_brackets() {
        let text = "42 (a) b (c) S 7 42 13 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 9 4096 3 5";
        let expected = ProcStat {
            pid: 42,
            state: 'S',
            parent: 7,
            group: 42,
            session: 13,
            is_kernel_thread: false,
            cpu_ticks: 110,
            resident_memory: 3 * page_size() as u64,
        };
        assert_eq!(parse_stat(text), Some(expected));
    }

    #[test]
    fn truncated_stat_is_rejected() {
        let texts = ["", "42", "42 (sh", "42 (sh)", "42 (sh) S 7 42"];
        for text in texts {
            assert_eq!(parse_stat(text), None, "{text}");
        }
    }

    #[test]
    fn hard_limit_is_parsed() {
        let text = "Max locked memory    1    2    bytes\nMax file locks    3    4    locks\n";
        assert_eq!(parse_file_lock_limit(text), Some(4));
        let unlimited =
            "Max file locks            unlimited            unlimited            locks\n";
        assert_eq!(parse_file_lock_limit(unlimited), Some(u64::MAX));
        assert_eq!(parse_file_lock_limit("Max file locks 1"), None);
    }

    #[test]
    fn own_process_is_listed() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        assert!(all_stats().any(|stat| stat.pid == own));
    }

    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn later_processes_are_listed() {
        let mut children: Vec<_> = (0..3)
            .map(|_| std::process::Command::new("sleep").arg("600").spawn())
            .map(|child| child.expect("`sleep` starts"))
            .collect();
        let pids: Vec<i32> = children.iter().map(|it| it.id().cast_signed()).collect();
        // Pids of other processes may start over in between.
        if pids.is_sorted() {
            let listed = process_keys_since(pids[1]).expect("it is listed");
            let listed: Vec<i32> = listed.iter().map(|key| key.pid).collect();
            assert!(
                !listed.contains(&pids[0]) && listed.contains(&pids[2]),
                "{listed:?}"
            );
        }
        for child in &mut children {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
        assert!(process_keys_since(pids[1]).is_none(), "it is reaped");
    }

    #[test]
    fn label_must_match_whole_word() {
        let text = "oom_kill_disable 7\noom 3\noom_kill 2\nVmRSS:\t  5 kB\n";
        assert_eq!(number_after(text, "oom_kill"), Some(2));
        assert_eq!(number_after(text, "VmRSS:"), Some(5));
        assert_eq!(number_after(text, "max"), None);
    }
}
