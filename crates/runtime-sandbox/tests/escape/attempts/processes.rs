//! Processes: signals, memory, descriptors, and processes that stay behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::parent_id;

use super::attempts;
use crate::decoys::LEAKED_FD;
use crate::sys::{address, call, fork, held, text};
use crate::target::Target;

attempts! {
    without_walls:
        signal_the_decoy,
        watch_the_decoy,
        read_variables_of_the_decoy,
        see_processes_of_the_machine,
        read_limits_of_the_decoy,
        move_the_decoy_to_another_processor,
    ;
    others:
        kill_init,
        signal_everything,
        stop_init,
        trace_init,
        trace_the_decoy,
        read_memory_of_init,
        read_memory_of_the_decoy,
        copy_memory_of_init,
        copy_memory_of_the_decoy,
        read_variables_of_init,
        read_variables_of_the_worker,
        list_files_of_init,
        replace_program_of_init,
        take_a_file_of_init,
        take_a_file_of_the_decoy,
        set_limits_of_the_decoy,
        use_a_leaked_file,
        use_an_unexpected_file,
        raise_own_priority,
        avoid_the_out_of_memory_killer,
        find_a_terminal,
        stay_as_a_daemon,
        stay_with_another_title,
        stay_without_dumps,
        stay_ignoring_signals,
        stay_stopped,
        stay_as_many,
        stay_by_forking_again,
}

const KILL: usize = libc::SIGKILL as usize;

fn signal_the_decoy(target: &Target) -> io::Result<()> {
    // Signal 0 only checks the right.
    call(libc::SYS_kill, [target.pid, 0]).map(drop)
}

fn watch_the_decoy(target: &Target) -> io::Result<()> {
    call(libc::SYS_pidfd_open, [target.pid, 0]).map(drop)
}

fn kill_init(_: &Target) -> io::Result<()> {
    // The kernel accepts the signal and ignores it. If it killed the process, this one would end, too.
    call(libc::SYS_kill, [1, KILL])?;
    call(libc::SYS_tkill, [1, KILL])?;
    held("still alive")
}

fn signal_everything(_: &Target) -> io::Result<()> {
    // Reaches all processes that this one can see, but not itself. The test checks that the decoy survives.
    call(libc::SYS_kill, [usize::MAX, libc::SIGCONT as usize])?;
    held("reaches the sandbox only")
}

fn stop_init(_: &Target) -> io::Result<()> {
    call(libc::SYS_kill, [1, libc::SIGSTOP as usize])?;
    let status = fs::read_to_string("/proc/1/stat").unwrap_or_default();
    if status.contains(") T ") {
        Ok(())
    } else {
        held("it runs")
    }
}

fn trace(pid: usize) -> io::Result<()> {
    call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, pid, 0, 0]).map(drop)
}

fn trace_init(_: &Target) -> io::Result<()> {
    trace(1)
}

fn trace_the_decoy(target: &Target) -> io::Result<()> {
    trace(target.pid)
}

fn open(pid: usize, name: &str) -> io::Result<()> {
    File::open(format!("/proc/{pid}/{name}")).map(drop)
}

fn read_memory_of_init(_: &Target) -> io::Result<()> {
    open(1, "mem")
}

fn read_memory_of_the_decoy(target: &Target) -> io::Result<()> {
    open(target.pid, "mem")
}

fn copy_memory(pid: usize) -> io::Result<()> {
    let mut byte = 0_u8;
    let mut local = [address(&mut byte), 1];
    // The code of the init program. For other programs, an error about the address proves the access.
    let mut remote = [0x40_0000, 1];
    let arguments = [pid, address(&mut local), 1, address(&mut remote), 1, 0];
    match call(libc::SYS_process_vm_readv, arguments) {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        result => result.map(drop),
    }
}

fn copy_memory_of_init(_: &Target) -> io::Result<()> {
    copy_memory(1)
}

fn copy_memory_of_the_decoy(target: &Target) -> io::Result<()> {
    copy_memory(target.pid)
}

fn read_variables_of_init(_: &Target) -> io::Result<()> {
    open(1, "environ")
}

fn read_variables_of_the_decoy(target: &Target) -> io::Result<()> {
    fs::metadata(format!("/proc/{}/environ", target.pid)).map(drop)
}

fn read_variables_of_the_worker(_: &Target) -> io::Result<()> {
    open(parent_id() as usize, "environ")
}

fn list_files_of_init(_: &Target) -> io::Result<()> {
    fs::read_dir("/proc/1/fd").map(drop)
}

fn replace_program_of_init(_: &Target) -> io::Result<()> {
    File::options().write(true).open("/proc/1/exe").map(drop)
}

fn take_a_file(pid: usize, number: usize) -> io::Result<()> {
    let process = call(libc::SYS_pidfd_open, [pid, 0])?;
    call(libc::SYS_pidfd_getfd, [process, number, 0]).map(drop)
}

fn take_a_file_of_init(_: &Target) -> io::Result<()> {
    take_a_file(1, 4)
}

fn take_a_file_of_the_decoy(target: &Target) -> io::Result<()> {
    take_a_file(target.pid, 0)
}

fn see_processes_of_the_machine(target: &Target) -> io::Result<()> {
    fs::metadata(format!("/proc/{}", target.pid)).map(drop)
}

fn read_limits_of_the_decoy(target: &Target) -> io::Result<()> {
    fs::metadata(format!("/proc/{}/limits", target.pid)).map(drop)
}

fn limits(pid: usize) -> io::Result<()> {
    let mut limit = [0_u64; 2];
    let files = libc::RLIMIT_NOFILE as usize;
    call(libc::SYS_prlimit64, [pid, files, 0, address(&mut limit)])?;
    call(libc::SYS_prlimit64, [pid, files, address(&mut limit), 0]).map(drop)
}

fn set_limits_of_the_decoy(target: &Target) -> io::Result<()> {
    limits(target.pid)
}

fn move_the_decoy_to_another_processor(target: &Target) -> io::Result<()> {
    // Reading the set is the check that writing it has.
    let mut set = [0_u8; 128];
    call(
        libc::SYS_sched_getaffinity,
        [target.pid, 128, address(&mut set)],
    )
    .map(drop)
}

fn use_a_leaked_file(_: &Target) -> io::Result<()> {
    call(
        libc::SYS_fcntl,
        [LEAKED_FD as usize, libc::F_GETFD as usize],
    )
    .map(drop)
}

fn use_an_unexpected_file(_: &Target) -> io::Result<()> {
    for number in 3..1024_usize {
        if call(libc::SYS_fcntl, [number, libc::F_GETFD as usize]).is_ok() {
            return Ok(());
        }
    }
    held("only the standard streams")
}

fn raise_own_priority(_: &Target) -> io::Result<()> {
    call(
        libc::SYS_setpriority,
        [libc::PRIO_PROCESS as usize, 0, -10_isize as usize],
    )
    .map(drop)
}

fn avoid_the_out_of_memory_killer(_: &Target) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", "-1000")
}

fn find_a_terminal(_: &Target) -> io::Result<()> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map(drop)
}

/// Leaves a process behind that holds a lock, which the test looks for after the end of the command.
fn stay(target: &Target, prepare: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let file = target.writable.join("file");
    if fork()?.is_some() {
        // Until the lock is taken.
        let file = File::open(file)?;
        while file.try_lock().is_ok() {
            file.unlock()?;
            std::thread::yield_now();
        }
        return held("the test looks for it");
    }
    call(libc::SYS_setsid, [])?;
    let file = File::open(file)?;
    // The parent tries the lock, too.
    while file.try_lock().is_err() {
        std::thread::yield_now();
    }
    prepare()?;
    let mut hour = [3600_u64, 0];
    call(libc::SYS_nanosleep, [address(&mut hour), 0])?;
    call(libc::SYS_exit_group, [0]).map(drop)
}

fn stay_as_a_daemon(target: &Target) -> io::Result<()> {
    stay(target, || Ok(()))
}

fn stay_with_another_title(target: &Target) -> io::Result<()> {
    stay(target, || {
        call(
            libc::SYS_prctl,
            [libc::PR_SET_NAME as usize, text(c"kworker/0:1")],
        )
        .map(drop)
    })
}

fn stay_without_dumps(target: &Target) -> io::Result<()> {
    stay(target, || {
        call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, 0]).map(drop)
    })
}

fn stay_ignoring_signals(target: &Target) -> io::Result<()> {
    stay(target, || {
        let mut all = u64::MAX;
        let block = libc::SIG_SETMASK as usize;
        call(libc::SYS_rt_sigprocmask, [block, address(&mut all), 0, 8]).map(drop)
    })
}

fn stay_stopped(target: &Target) -> io::Result<()> {
    stay(target, || {
        let own = call(libc::SYS_getpid, [])?;
        call(libc::SYS_kill, [own, libc::SIGSTOP as usize]).map(drop)
    })
}

fn stay_as_many(target: &Target) -> io::Result<()> {
    stay(target, || {
        for _ in 0..16 {
            if fork()?.is_none() {
                call(libc::SYS_setsid, [])?;
                break;
            }
        }
        Ok(())
    })
}

fn stay_by_forking_again(target: &Target) -> io::Result<()> {
    stay(target, || {
        // Each process ends when its child exists, so that its number changes all the time.
        for _ in 0..1000 {
            if fork()?.is_some() {
                call(libc::SYS_exit_group, [0])?;
            }
        }
        Ok(())
    })
}
