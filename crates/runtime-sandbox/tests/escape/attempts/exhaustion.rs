//! Exhaustion, within hard bounds: each attempt stops by itself long before it could hurt the machine.

use std::fs::{self, File};
use std::io::{self, Write as _};

use super::attempts;
use crate::sys::{address, call, fork, held};
use crate::target::Target;

/// More than the limits of the test allow.
const FILES: usize = 80;
const PROCESSES: usize = 80;
const SIZE: usize = 24 << 20;
const INODES: usize = 20_000;
const ADDRESSES: usize = 4 << 30;

attempts! {
    without_walls:
        open_many_files,
        start_many_processes,
        write_a_large_file,
        reserve_much_memory,
    ;
    others:
        fill_the_memory_of_tmp,
        fill_the_memory_of_shm,
        use_all_inodes_of_tmp,
}

fn open_many_files(_: &Target) -> io::Result<()> {
    let files: io::Result<Vec<File>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    files.map(drop)
}

fn start_many_processes(_: &Target) -> io::Result<()> {
    let mut children = Vec::new();
    let mut result = Ok(());
    for _ in 0..PROCESSES {
        match fork() {
            Ok(Some(pid)) => children.push(pid as usize),
            Ok(None) => {
                let mut minute = [60_u64, 0];
                call(libc::SYS_nanosleep, [address(&mut minute), 0])?;
                call(libc::SYS_exit_group, [0])?;
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    for child in children {
        call(libc::SYS_kill, [child, libc::SIGKILL as usize])?;
        call(libc::SYS_wait4, [child, 0, 0, 0])?;
    }
    result
}

fn fill(path: &str) -> io::Result<()> {
    let block = vec![1; 1 << 20];
    let mut file = File::create(path)?;
    let result = (0..SIZE >> 20).try_for_each(|_| file.write_all(&block));
    fs::remove_file(path)?;
    result
}

fn fill_the_memory_of_tmp(_: &Target) -> io::Result<()> {
    fill("/tmp/large")
}

fn fill_the_memory_of_shm(_: &Target) -> io::Result<()> {
    fill("/dev/shm/large")
}

fn write_a_large_file(target: &Target) -> io::Result<()> {
    // The signal would end this process before it can report.
    let mut ignore = [libc::SIG_IGN, 0, 0, 0];
    call(
        libc::SYS_rt_sigaction,
        [libc::SIGXFSZ as usize, address(&mut ignore), 0, 8],
    )?;
    let path = target.writable.join("large");
    let file = File::create(&path)?;
    // Only the length: nothing is written.
    let result = file.set_len(SIZE as u64);
    fs::remove_file(path)?;
    result
}

fn use_all_inodes_of_tmp(_: &Target) -> io::Result<()> {
    fs::create_dir("/tmp/many")?;
    let result =
        (0..INODES).try_for_each(|index| File::create(format!("/tmp/many/{index}")).map(drop));
    fs::remove_dir_all("/tmp/many")?;
    result
}

fn reserve_much_memory(_: &Target) -> io::Result<()> {
    let (none, private) = (
        libc::PROT_NONE as usize,
        (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize,
    );
    match call(libc::SYS_mmap, [0, ADDRESSES, none, private, usize::MAX, 0]) {
        Ok(_) => Ok(()),
        Err(error) => held(error.to_string()),
    }
}
