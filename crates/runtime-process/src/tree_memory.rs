//! The memory of commands that no control group counts.

use std::collections::BTreeMap;

use rustix::fs::{stat, statfs};

use crate::proc;

/// The type of file systems in memory.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Returns the resident memory of the processes that descend from each root or are in its session, and that of the files
/// in the root folder of each root if that is in memory. Pages of such files that a process has mapped are counted twice.
pub(crate) fn memory_of_trees(roots: &[i32]) -> Vec<u64> {
    let mut sums = vec![0; roots.len()];
    if roots.is_empty() {
        return sums;
    }
    let processes: Vec<_> = proc::all_stats().collect();
    let mut children = BTreeMap::<i32, Vec<usize>>::new();
    for (index, process) in processes.iter().enumerate() {
        children.entry(process.parent).or_default().push(index);
    }
    // A loop, since tasks control how deep their trees are. Each process is counted once.
    let mut is_counted = vec![false; processes.len()];
    for (sum, root) in sums.iter_mut().zip(roots) {
        let members = (0..processes.len()).filter(|index| {
            let process = &processes[*index];
            process.pid == *root || process.session == *root
        });
        let mut queue: Vec<_> = members.collect();
        while let Some(index) = queue.pop() {
            if !std::mem::replace(&mut is_counted[index], true) {
                *sum += processes[index].resident_memory;
                queue.extend(children.get(&processes[index].pid).into_iter().flatten());
            }
        }
        *sum += memory_of_files(*root).unwrap_or_default();
    }
    sums
}

/// Returns the memory of the files in the file system of a process's root folder, to which `/tmp` and `/dev/shm` of a
/// sandbox belong. `None` if it is that of this process, or on a disk.
fn memory_of_files(process: i32) -> Option<u64> {
    let root = format!("/proc/{process}/root/");
    if stat(&root).ok()?.st_dev == stat("/").ok()?.st_dev {
        return None;
    }
    let files = statfs(&root).ok()?;
    let used = files.f_blocks.checked_sub(files.f_bfree)?;
    let is_memory = files.f_type as u64 == TMPFS_MAGIC;
    is_memory.then_some(used.saturating_mul(files.f_bsize as u64))
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::process::Pid;

    use super::*;

    #[test]
    fn trees_include_descendants_and_sessions() -> io::Result<()> {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "setsid sleep 60 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let mut line = [0];
        io::Read::read_exact(&mut child.stdout.take().expect("a pipe"), &mut line)?;
        let root = child.id().cast_signed();
        let own = std::process::id().cast_signed();
        let resident = |pid| proc::stat(pid).map_or(0, |stat| stat.resident_memory);
        let shell = resident(root);
        // The memory of a process is 0 for a moment while it executes a program.
        let sees_descendant = || memory_of_trees(&[root])[0] > shell;
        let found = (0..10_000).any(|_| sees_descendant());
        let sums = memory_of_trees(&[own, i32::MAX]);
        for process in proc::all_stats().filter(|it| it.parent == root) {
            let pid = Pid::from_raw(process.pid).expect("not 0");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        child.kill()?;
        child.wait()?;
        assert!(found, "the sum is that of the shell, {shell}");
        assert!(sums[0] > shell && sums[1] == 0, "{sums:?}");
        Ok(())
    }
}
