//! The kernel: rights, settings, and calls that only attacks need.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;

use super::attempts;
use crate::sys::{address, call, held, text};
use crate::target::Target;

attempts! {
    without_walls:
        handle_own_faults,
        run_without_a_filter,
    ;
    others:
        load_a_kernel_program,
        watch_performance_events,
        use_request_rings,
        handle_user_faults,
        compare_kernel_objects,
        load_a_module,
        load_another_kernel,
        restart_the_machine,
        add_swap,
        start_process_accounting,
        set_the_clock,
        set_the_host_name,
        read_kernel_log,
        set_quotas,
        access_ports,
        use_the_second_call_table,
        type_into_a_terminal,
        paste_into_a_terminal,
        have_a_capability,
        gain_a_capability,
        keep_a_bounding_set,
        become_root,
        become_root_group,
        add_supplementary_groups,
        keep_supplementary_groups,
        write_core_pattern,
        write_host_name_setting,
        write_system_requests,
        write_module_path,
        write_own_user_map,
        watch_all_files,
        allow_core_dumps,
}

/// Whether an error proves that the right was checked and granted: the arguments are invalid on purpose.
fn refused(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(error)
            if !matches!(
                error.raw_os_error(),
                Some(libc::EPERM | libc::EACCES | libc::ENOSYS)
            ) =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}

fn load_a_kernel_program(_: &Target) -> io::Result<()> {
    // `BPF_MAP_CREATE` with an empty structure.
    let mut attributes = [0_u64; 8];
    refused(call(libc::SYS_bpf, [0, address(&mut attributes), 64]))
}

fn watch_performance_events(_: &Target) -> io::Result<()> {
    let mut attributes = [0_u64; 16];
    refused(call(
        libc::SYS_perf_event_open,
        [address(&mut attributes), 0, 0, 0, 0],
    ))
}

fn use_request_rings(_: &Target) -> io::Result<()> {
    let mut parameters = [0_u64; 16];
    refused(call(
        libc::SYS_io_uring_setup,
        [1, address(&mut parameters)],
    ))
}

fn handle_user_faults(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_userfaultfd, [0]))
}

fn handle_own_faults(_: &Target) -> io::Result<()> {
    // Faults of user mode only, which the kernel permits without rights.
    call(libc::SYS_userfaultfd, [1]).map(drop)
}

fn compare_kernel_objects(_: &Target) -> io::Result<()> {
    let own = call(libc::SYS_getpid, [])?;
    refused(call(libc::SYS_kcmp, [own, own, 0, 0, 0]))
}

fn load_a_module(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_init_module, [0, 0, text(c"")]))
}

fn load_another_kernel(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_kexec_load, [0, 0, 0, usize::MAX]))
}

fn restart_the_machine(_: &Target) -> io::Result<()> {
    // With wrong magic numbers, which the kernel checks after the right.
    refused(call(libc::SYS_reboot, [0, 0, 0, 0]))
}

fn add_swap(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_swapon, [text(c"/missing"), 0]))
}

fn start_process_accounting(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_acct, [text(c"/missing")]))
}

fn set_the_clock(_: &Target) -> io::Result<()> {
    // Without a time, so that nothing changes.
    refused(call(libc::SYS_settimeofday, [0, 0]))
}

fn set_the_host_name(_: &Target) -> io::Result<()> {
    // A length that is invalid.
    refused(call(libc::SYS_sethostname, [0, usize::MAX]))
}

fn read_kernel_log(_: &Target) -> io::Result<()> {
    let mut buffer = [0_u8; 64];
    call(libc::SYS_syslog, [3, address(&mut buffer), 64]).map(drop)
}

fn set_quotas(_: &Target) -> io::Result<()> {
    // All users may call `Q_SYNC` without a device. `Q_QUOTAOFF` of a missing device is not.
    match call(libc::SYS_quotactl, [0x8000_0300, text(c"/missing"), 0, 0]) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => held("no device"),
        result => refused(result),
    }
}

#[cfg(target_arch = "x86_64")]
fn access_ports(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_iopl, [3]))
}

#[cfg(not(target_arch = "x86_64"))]
fn access_ports(_: &Target) -> io::Result<()> {
    held("this machine has none")
}

fn use_the_second_call_table(_: &Target) -> io::Result<()> {
    // The number of `getpid` on x86-64, in the table for 32-bit addresses.
    call(0x4000_0000 | 39, []).map(drop)
}

/// Sends a request to a new terminal.
fn terminal(request: usize) -> io::Result<()> {
    let terminal = File::options().read(true).write(true).open("/dev/ptmx")?;
    let mut byte = b'x';
    match call(
        libc::SYS_ioctl,
        [terminal.as_raw_fd() as usize, request, address(&mut byte)],
    ) {
        // The kernel itself refuses the request for a terminal that is not the own one.
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => held(error.to_string()),
        result => result.map(drop),
    }
}

fn type_into_a_terminal(_: &Target) -> io::Result<()> {
    terminal(libc::TIOCSTI as usize)
}

fn paste_into_a_terminal(_: &Target) -> io::Result<()> {
    terminal(0x541c)
}

/// Returns whether a line of this process's status has only zeros.
fn is_zero(name: &str) -> io::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.is_some_and(|it| it.trim().bytes().all(|digit| digit == b'0')))
}

fn have_a_capability(_: &Target) -> io::Result<()> {
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        if !is_zero(set)? {
            return Ok(());
        }
    }
    held("none")
}

fn keep_a_bounding_set(_: &Target) -> io::Result<()> {
    if is_zero("CapBnd:")? {
        held("empty")
    } else {
        Ok(())
    }
}

fn gain_a_capability(_: &Target) -> io::Result<()> {
    let mut header = [0x2008_0522_u32, 0];
    let mut sets = [u32::MAX; 6];
    call(libc::SYS_capset, [address(&mut header), address(&mut sets)]).map(drop)
}

fn become_root(_: &Target) -> io::Result<()> {
    call(libc::SYS_setresuid, [0, 0, 0]).map(drop)
}

fn become_root_group(_: &Target) -> io::Result<()> {
    call(libc::SYS_setresgid, [0, 0, 0]).map(drop)
}

fn add_supplementary_groups(_: &Target) -> io::Result<()> {
    let mut groups = [0_u32, 27, 999];
    call(libc::SYS_setgroups, [3, address(&mut groups)]).map(drop)
}

fn keep_supplementary_groups(_: &Target) -> io::Result<()> {
    let count = call(libc::SYS_getgroups, [0, 0])?;
    if count == 0 { held("none") } else { Ok(()) }
}

fn open_for_writing(path: &str) -> io::Result<()> {
    File::options().write(true).open(path).map(drop)
}

fn write_core_pattern(_: &Target) -> io::Result<()> {
    open_for_writing("/proc/sys/kernel/core_pattern")
}

fn write_host_name_setting(_: &Target) -> io::Result<()> {
    open_for_writing("/proc/sys/kernel/hostname")
}

fn write_system_requests(_: &Target) -> io::Result<()> {
    open_for_writing("/proc/sysrq-trigger")
}

fn write_module_path(_: &Target) -> io::Result<()> {
    open_for_writing("/proc/sys/kernel/modprobe")
}

fn write_own_user_map(_: &Target) -> io::Result<()> {
    fs::write("/proc/self/uid_map", "0 0 1")
}

fn run_without_a_filter(_: &Target) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    if status.contains("Seccomp:\t0") {
        Ok(())
    } else {
        held("filtered")
    }
}

fn watch_all_files(_: &Target) -> io::Result<()> {
    refused(call(libc::SYS_fanotify_init, [0, 0]))
}

fn allow_core_dumps(_: &Target) -> io::Result<()> {
    let mut unlimited = [u64::MAX; 2];
    let core = libc::RLIMIT_CORE as usize;
    call(libc::SYS_prlimit64, [0, core, address(&mut unlimited), 0]).map(drop)
}
