//! Signal masks and handlers, of a thread that starts a process and of the new process.
//!
//! The functions only make system calls that are safe between `clone` and `execve`.

use std::io;
use std::mem::MaybeUninit;

/// Blocks all signals for this thread. Dropping it restores the previous mask.
pub(crate) struct SignalBlock {
    previous: libc::sigset_t,
}

impl SignalBlock {
    pub(crate) fn new() -> io::Result<Self> {
        let mut all = empty_signal_set();
        #[expect(unsafe_code, reason = "neither std nor rustix has signal sets")]
        // SAFETY: the set is initialized.
        unsafe {
            libc::sigfillset(&raw mut all);
        }
        let previous = set_signal_mask(&all)?;
        Ok(Self { previous })
    }
}

impl Drop for SignalBlock {
    fn drop(&mut self) {
        // Fails only for an invalid `how`, which is a constant here.
        let _ = set_signal_mask(&self.previous);
    }
}

/// Resets all signals to their default action.
///
/// `execve` resets handlers itself, but a signal that the worker ignores would stay ignored in the new program.
pub(crate) fn reset_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        #[expect(unsafe_code, reason = "neither std nor rustix restores the default")]
        // SAFETY: the call is async-signal-safe. It fails for signals without a settable action, such as SIGKILL,
        // which need no reset.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Unblocks all signals for this thread and the program that it executes.
pub(crate) fn unblock_all() -> io::Result<()> {
    set_signal_mask(&empty_signal_set()).map(drop)
}

fn empty_signal_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    #[expect(unsafe_code, reason = "neither std nor rustix has signal sets")]
    // SAFETY: the call initializes the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Sets the mask of this thread and returns the previous one.
fn set_signal_mask(mask: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut previous = empty_signal_set();
    #[expect(unsafe_code, reason = "neither std nor rustix blocks signals")]
    // SAFETY: both sets are initialized; the call reads the first and writes the second.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, &raw mut previous) };
    match error {
        0 => Ok(previous),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
