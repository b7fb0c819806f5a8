//! Which signals reach a thread, and what they do in the program that it becomes.
//!
//! Everything here makes only system calls that are safe between a fork and a new program.

use std::io;
use std::mem::MaybeUninit;

/// Keeps signals from this thread until it is dropped.
pub(crate) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    pub(crate) fn all() -> io::Result<Self> {
        let mut all = no_signals();
        #[expect(unsafe_code, reason = "neither std nor rustix has sets of signals")]
        // SAFETY: the set is a whole one.
        unsafe {
            libc::sigfillset(&raw mut all);
        }
        let before = set_signal_mask(&all)?;
        Ok(Self { before })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Fails only for what is no way to set a mask.
        let _ = set_signal_mask(&self.before);
    }
}

/// Every signal does what it does in a new program, also one that this process ignores.
pub(crate) fn forget_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        #[expect(unsafe_code, reason = "neither std nor rustix restores the default")]
        // SAFETY: the call is async-signal-safe. It fails for signals that nobody may handle, which is fine.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Lets every signal through to this thread, and to the program that it becomes.
pub(crate) fn heed_all() -> io::Result<()> {
    set_signal_mask(&no_signals()).map(drop)
}

fn no_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    #[expect(unsafe_code, reason = "neither std nor rustix has sets of signals")]
    // SAFETY: the call makes a whole set of it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Returns the mask that this thread had before.
fn set_signal_mask(mask: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = no_signals();
    #[expect(unsafe_code, reason = "neither std nor rustix blocks signals")]
    // SAFETY: both sets are whole, and the call only reads the one and writes the other.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, &raw mut before) };
    match error {
        0 => Ok(before),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
