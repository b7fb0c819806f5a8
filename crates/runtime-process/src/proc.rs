//! What `/proc` tells about processes. Processes come and go meanwhile, so whatever cannot be read is left out.

use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt as _;
use std::path::Path;

/// A process, as its `stat` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) session: i32,
}

/// All processes of this machine, or of this container.
pub(crate) fn processes() -> impl Iterator<Item = Process> {
    identities().filter_map(|Identity { pid, .. }| {
        parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    })
}

/// Tells a process from all others, also from one that had the same number before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// The kernel makes a new node for each process, and may do so again for one that lives.
    node: u64,
}

/// Lists all processes without a look at any of them.
pub(crate) fn identities() -> impl Iterator<Item = Identity> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let node = entry.ino();
        Some(Identity { pid, node })
    })
}

/// Reads `pid (name) state parent group session ...`; the name may hold anything, brackets included.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(' ')?;
    let mut fields = rest.rsplit_once(')')?.1.split_ascii_whitespace();
    Some(Process {
        pid: pid.parse().ok()?,
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        session: fields.nth(1)?.parse().ok()?,
    })
}

/// The value of a variable that the process was started with. The error is what keeps it from being read, such
/// as that the process belongs to somebody else.
pub(crate) fn variable(pid: i32, name: &str) -> io::Result<Option<Vec<u8>>> {
    let environment = fs::read(format!("/proc/{pid}/environ"))?;
    let mut variables = environment.split(|byte| *byte == 0);
    Ok(variables.find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=").map(<[u8]>::to_vec)
    }))
}

/// How often this machine has killed a process because memory ran out, since it started.
pub(crate) fn oom_kills(vmstat: &Path) -> Option<u64> {
    counter(&fs::read_to_string(vmstat).ok()?, "oom_kill")
}

/// The number after a name, in a file of lines `name number`.
pub(crate) fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_obstacle() {
        let process = parse("42 (a) b (c) S 7 42 13 0 -1 4194560").expect("it is well formed");
        let expected = Process {
            pid: 42,
            state: 'S',
            parent: 7,
            session: 13,
        };
        assert_eq!(process, expected);
    }

    #[test]
    fn what_is_cut_off_is_no_process() {
        for text in ["", "42", "42 (sh", "42 (sh)", "42 (sh) S 7 42"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn this_process_is_among_all() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        assert!(processes().any(|process| process.pid == own));
    }

    #[test]
    fn a_counter_is_not_taken_for_one_whose_name_goes_on() {
        let text = "oom_kill_disable 7\noom 3\noom_kill 2\n";
        assert_eq!(counter(text, "oom_kill"), Some(2));
        assert_eq!(counter(text, "max"), None);
    }
}
