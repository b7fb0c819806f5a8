//! Tests of the parsers, and of reads of real processes.

use super::*;

#[test]
fn process_name_may_contain_brackets() {
    let rest = "S 7 42 13 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 9 4096 3 5";
    let text = format!("42 (a) b (c) {rest} {} 77 78 0", ["6"; 24].join(" "));
    let expected = ProcStat {
        pid: 42,
        state: 'S',
        parent: 7,
        group: 42,
        session: 13,
        is_kernel_thread: false,
        cpu_ticks: 110,
        resident_memory: 3 * page_size() as u64,
        environment: 77,
    };
    assert_eq!(parse_stat(&text), Some(expected));
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
    let unlimited = "Max file locks            unlimited            unlimited            locks\n";
    assert_eq!(parse_file_lock_limit(unlimited), Some(u64::MAX));
    assert_eq!(parse_file_lock_limit("Max file locks 1"), None);
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn call_returns_limit_of_file() {
    let mut command = std::process::Command::new("prlimit");
    let child = command.args(["--locks=7:9", "sleep", "600"]).spawn();
    let mut child = child.expect("`prlimit` exists");
    let pid = child.id().cast_signed();
    while limit_by_call(pid) != Ok(9) {
        std::thread::yield_now();
    }
    let file = read(pid, "limits").expect("it runs");
    assert_eq!(parse_file_lock_limit(&file), Some(9));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!((file_lock_limit(pid), session(pid)), (None, None));
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
