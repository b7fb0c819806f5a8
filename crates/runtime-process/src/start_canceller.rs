//! Ends a start that hangs.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

use parking_lot::Mutex;
#[cfg(target_os = "linux")]
use rustix::process::getpid;
use rustix::process::{Pid, Signal, kill_process};

/// Ends a start from another thread.
///
/// The thread that starts a process is suspended until the program is executed. Therefore the new process itself stores
/// its pid, in the shared memory.
#[derive(Debug, Default)]
pub(crate) struct StartCanceller {
    /// The new process; 0 before it exists, and when it may be reaped.
    child: AtomicI32,
    is_cancelled: AtomicBool,
    /// Held while the process is signalled: its pid must not be reused between the check and the signal.
    signalling: Mutex<()>,
}

impl StartCanceller {
    /// Ends the start. Has no effect if the program runs already.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, SeqCst);
        self.kill();
    }

    /// Announces the new process, which calls this. Returns `false` if the start was cancelled before.
    ///
    /// If this call and [`cancel`](Self::cancel) are concurrent, the later one reads the value that the earlier one
    /// stored.
    #[cfg(target_os = "linux")]
    pub(crate) fn announce(&self) -> bool {
        self.child.store(getpid().as_raw_nonzero().get(), SeqCst);
        !self.is_cancelled.load(SeqCst)
    }

    /// Announces the new process, if it could not do so itself because the memory is not shared.
    #[cfg(target_os = "linux")]
    pub(crate) fn started(&self, child: Pid) {
        self.child.store(child.as_raw_nonzero().get(), SeqCst);
        if self.is_cancelled.load(SeqCst) {
            self.kill();
        }
    }

    /// Returns when the process will no longer be signalled.
    #[cfg(target_os = "linux")]
    pub(crate) fn ended(&self) {
        let _signalling = self.signalling.lock();
        self.child.store(0, SeqCst);
    }

    fn kill(&self) {
        let _signalling = self.signalling.lock();
        if let Some(child) = Pid::from_raw(self.child.load(SeqCst)) {
            // Fails if it has ended.
            let _ = kill_process(child, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_start_is_not_announced() {
        let control = StartCanceller::default();
        assert!(control.announce());
        control.ended();
        control.cancel();
        assert!(!control.announce());
        control.ended();
    }
}
