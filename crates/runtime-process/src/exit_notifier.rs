//! Notices that a child process has ended.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Wakes the task that waits for a child process.
pub(crate) enum ExitNotifier {
    /// The kernel wakes only the task that waits for this child.
    Pidfd(AsyncFd<OwnedFd>),
    /// `SIGCHLD`, which wakes all waiting tasks at the end of each child. Used with Linux before 5.3, with a system
    /// call filter without `pidfd_open`, or without a free descriptor.
    AnyChild(Signal),
}

impl ExitNotifier {
    /// Creates the notifier of a child that is not reaped yet.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from);
        let pidfd = pidfd.and_then(register).map(Self::Pidfd);
        pidfd.or_else(|_| Self::of_any_child())
    }

    fn of_any_child() -> io::Result<Self> {
        signal(SignalKind::child()).map(Self::AnyChild)
    }

    /// Waits until the child may have ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call receives a notice that was not received.
    pub(crate) async fn recv(&mut self) -> io::Result<()> {
        match self {
            Self::Pidfd(pidfd) => pidfd.readable().await?.clear_ready(),
            Self::AnyChild(signal) => drop(signal.recv().await),
        }
        Ok(())
    }
}

fn register(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        unsafe_code,
        reason = "the safe constructors of `AsyncFd` are deprecated"
    )]
    // SAFETY: an `OwnedFd` stays open and the same until it is dropped, and nothing replaces it in this `AsyncFd`.
    let registered = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    Ok(registered?)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id().cast_signed()).expect("not 0")
    }

    fn start(script: &str) -> io::Result<Child> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).spawn()
    }

    /// Waits for the notice of a child that ends on its own.
    async fn wait_for(mut notice: ExitNotifier, child: &mut Child) -> io::Result<()> {
        while child.try_wait()?.is_none() {
            notice.recv().await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn end_of_other_child_is_not_received() -> io::Result<()> {
        let mut waiting = start("exec sleep 600")?;
        let mut notice = ExitNotifier::of(pid(&waiting))?;
        assert!(
            matches!(notice, ExitNotifier::Pidfd(_)),
            "Linux 5.3 or newer"
        );
        let mut other = start("exit 0")?;
        let other_notice = ExitNotifier::of(pid(&other))?;
        tokio::select! {
            biased;
            received = notice.recv() => panic!("the child runs: {received:?}"),
            ended = wait_for(other_notice, &mut other) => ended?,
        }
        waiting.kill()?;
        wait_for(notice, &mut waiting).await
    }

    #[tokio::test]
    async fn sigchld_is_the_fallback() -> io::Result<()> {
        let notice = ExitNotifier::of_any_child()?;
        let mut child = start("exit 0")?;
        wait_for(notice, &mut child).await
    }

    #[tokio::test]
    async fn earlier_end_is_received() -> io::Result<()> {
        let mut child = start("exit 0")?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid(&child)), options)?;
        ExitNotifier::of(pid(&child))?.recv().await?;
        child.wait().map(drop)
    }
}
