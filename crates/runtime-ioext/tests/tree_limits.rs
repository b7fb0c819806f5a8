//! Trees deeper than the stack, than the limit on open files and than the longest path. Limits apply to the whole
//! process, so the test has its own.

#![cfg(target_os = "linux")]

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use runtime_ioext::{measure_tree, remove_tree};
use rustix::process::{Resource, Rlimit, setrlimit};

const DEPTH: usize = 3_000;
const MAX_OPEN_FILES: u64 = 64;
const STACK: usize = 64 * 1024;

#[test]
fn depth_needs_neither_stack_nor_descriptors() {
    let root = tempfile::tempdir().expect("the disk has space");
    let folder = root.path().join("folder");
    nest(&folder).expect("the disk has space");
    let limit = Rlimit {
        current: Some(MAX_OPEN_FILES),
        maximum: Some(MAX_OPEN_FILES),
    };
    setrlimit(Resource::Nofile, limit).expect("a limit can be lowered");

    let worker = thread::Builder::new().stack_size(STACK).spawn({
        let folder = folder.clone();
        move || -> io::Result<u64> {
            let entries = measure_tree(&folder)?.entries;
            remove_tree(&folder)?;
            Ok(entries)
        }
    });
    let entries = worker.expect("a thread").join().expect("no panic");
    assert_eq!(entries.expect("the depth is not limited"), DEPTH as u64);
    assert!(!folder.exists());
}

/// Creates a chain of folders, from the inside out, since a path to the innermost one would be too long.
fn nest(chain: &Path) -> io::Result<()> {
    let outer = chain.with_file_name("outer");
    fs::create_dir(chain)?;
    for _ in 1..DEPTH {
        fs::create_dir(&outer)?;
        fs::rename(chain, outer.join("d"))?;
        fs::rename(&outer, chain)?;
    }
    Ok(())
}
