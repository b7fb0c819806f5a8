//! Signal handling and descriptors of child processes.

/// Restores default signal handling and marks all descriptors above 2 close-on-exec.
///
/// Intended for the `pre_exec` hook of a command, which runs in the child between fork and exec. A child
/// inherits ignored signals and open files from the process that started the worker:
///
/// - A worker started under `nohup` or as a background job ignores SIGHUP or SIGINT, and so would its
///   children. A shell cannot even trap a signal that was ignored at its start.
/// - The worker opens its own descriptors as close-on-exec, but inherited ones may not be. On kernels
///   without `close_range(CLOSE_RANGE_CLOEXEC)` (before Linux 5.11), the child inherits these too.
///
/// The function makes only async-signal-safe system calls.
///
/// # Errors
///
/// The error of the failed system call.
///
/// ```
/// use std::os::unix::process::CommandExt as _;
/// use std::process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// let mut command = Command::new("true");
/// // SAFETY: the function allocates nothing and takes no lock.
/// unsafe {
///     command.pre_exec(runtime_core::pre_exec::reset_inherited_state);
/// }
/// assert!(command.status()?.success());
/// # Ok(())
/// # }
/// ```
pub fn reset_inherited_state() -> std::io::Result<()> {
    for signal in CONTROL_SIGNALS {
        #[expect(unsafe_code, reason = "neither std nor rustix restores the default")]
        // SAFETY: the call is async-signal-safe, and the default action refers to no memory.
        let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
        if before == libc::SIG_ERR {
            return Err(std::io::Error::last_os_error());
        }
    }
    #[cfg(target_os = "linux")]
    set_close_on_exec();
    Ok(())
}

/// The signals that service managers, shells and terminals send.
const CONTROL_SIGNALS: [libc::c_int; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Sets close-on-exec on all descriptors above 2.
#[cfg(target_os = "linux")]
fn set_close_on_exec() {
    let (first, last) = (3_u32, u32::MAX);
    #[expect(unsafe_code, reason = "rustix does not have this call")]
    // SAFETY: the call only sets descriptor flags. Kernels that do not know it return an error, which is ignored.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            last,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}
