//! What programs must not get from the worker that starts them.

/// Is for the `pre_exec` of a command, between fork and exec: the program heeds every signal, and gets no open
/// files but standard input, output and error.
///
/// It would inherit both from whoever started the worker. In the background of a shell or under `nohup`, a
/// worker ignores interrupts, and what is ignored stays so in a new program, where a shell cannot even trap it.
/// The worker's own files are marked already; those that it was started with need not be. Where the system
/// cannot mark them all at once (only Linux 5.11 and later can), they stay open.
///
/// It makes only system calls, so it is safe after a fork.
///
/// # Errors
///
/// What the system says.
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
    for signal in SIGNALS {
        #[expect(unsafe_code, reason = "neither std nor rustix restores the default")]
        // SAFETY: the call is async-signal-safe, and the default action refers to no memory.
        let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
        if before == libc::SIG_ERR {
            return Err(std::io::Error::last_os_error());
        }
    }
    #[cfg(target_os = "linux")]
    mark_files();
    Ok(())
}

/// What is sent by service managers, by job control and by the keys of a terminal.
const SIGNALS: [libc::c_int; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Has all files but the standard ones closed by exec.
#[cfg(target_os = "linux")]
fn mark_files() {
    let (first, last) = (3_u32, u32::MAX);
    #[expect(unsafe_code, reason = "rustix does not have this call")]
    // SAFETY: it only sets a flag of descriptors. Where the kernel does not know it, nothing happens.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            last,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}
