//! Gauges of the machine, read from a fake `/proc`.

use std::fs;
use std::path::Path;

use runtime_gc::{Disk, Memory, Stat, Stats, SystemStats};
use runtime_monitoring::{MachineGauges, Metrics};

use crate::support::redactor;

#[derive(Debug)]
struct Machine(Stats);

impl SystemStats for Machine {
    fn read(&self) -> Stats {
        self.0.clone()
    }
}

fn known() -> Machine {
    let disk = Disk::new(100, 40).with_inodes(1000, 900);
    let memory = Memory::new(64, 32);
    Machine(Stats::new(Stat::Known(disk), Stat::Known(memory)))
}

fn file(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

#[test]
fn procfs_values_become_gauges() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    let psi = "some avg10=12.50 avg60=0.10 avg300=0.00 total=1\nfull avg10=1.00 total=0\n";
    file(root, "proc/pressure/io", psi);
    file(
        root,
        "proc/self/status",
        "Name:\tw\nVmRSS:\t  2048 kB\nThreads:\t7\n",
    );
    let before = "1 (a (b) c) S 1 1 1 0 -1 4194560 1 0 0 0";
    file(root, "proc/self/stat", &format!("{before} 150 50 0 0 20\n"));
    file(
        root,
        "proc/self/limits",
        "Limit  Soft\nMax open files   1024   4096   files\n",
    );
    for descriptor in 0..4 {
        file(root, &format!("proc/self/fd/{descriptor}"), "");
    }
    let metrics = Metrics::new();
    MachineGauges::new(known()).with_root(root).sample(&metrics);
    let snapshot = metrics.snapshot();
    for (name, value) in [
        ("disk-total", 100.0),
        ("disk-free", 40.0),
        ("inodes-free", 900.0),
        ("memory-total", 64.0),
        ("memory-available", 32.0),
        ("pressure", 0.125),
        ("process.cpu", 2.0),
        ("process.resident-memory", 2_097_152.0),
        ("process.threads", 7.0),
        ("process.open-files", 3.0),
        ("process.max-open-files", 1024.0),
    ] {
        assert_eq!(snapshot.gauge(name), Some(value), "{name}");
    }
}

#[test]
fn unreadable_values_are_not_set() {
    let root = tempfile::tempdir().expect("a folder");
    let nothing = Machine(Stats::new(Stat::Failed("no".to_owned()), Stat::Absent));
    let metrics = Metrics::new();
    MachineGauges::new(nothing)
        .with_root(root.path())
        .sample(&metrics);
    assert_eq!(metrics.snapshot().gauges, []);
}

#[test]
fn redactions_are_counted_once() {
    let redactor = redactor("hunter2");
    let metrics = Metrics::new();
    let machine = MachineGauges::new(known()).with_redactor(redactor.clone());
    for _ in 0..3 {
        let _ = redactor.redact(b"hunter2 hunter2");
        machine.sample(&metrics);
    }
    machine.sample(&metrics);
    assert_eq!(metrics.snapshot().counter("redactions"), 6);
}

#[cfg(target_os = "linux")]
#[test]
fn own_process_is_readable() {
    let metrics = Metrics::new();
    MachineGauges::new(known()).sample(&metrics);
    let snapshot = metrics.snapshot();
    assert!(snapshot.gauge("process.resident-memory") > Some(0.0));
    assert!(snapshot.gauge("process.open-files") >= Some(3.0));
}
