//! System calls of the worker that neither std nor rustix has.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const CREATE_RULESET_VERSION: u32 = 1;

/// Returns the version of Landlock in the kernel, 0 without it.
pub(crate) fn landlock_version() -> u32 {
    #[expect(unsafe_code, reason = "neither std nor rustix has the call")]
    // SAFETY: with this flag, the call reads no memory and returns a number.
    let version = unsafe {
        let nothing = std::ptr::null::<u8>();
        let flags = CREATE_RULESET_VERSION;
        libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, flags)
    };
    u32::try_from(version).unwrap_or(0)
}

/// Reaps a process if it has ended, and returns its usage including that of the children that it reaped.
pub(crate) fn wait4(pid: Pid) -> io::Result<Option<(ExitStatus, libc::rusage)>> {
    let mut status = 0;
    let mut usage = MaybeUninit::zeroed();
    #[expect(
        unsafe_code,
        reason = "neither std nor rustix reports the usage of a process"
    )]
    // SAFETY: both pointers are valid for writes, and a structure of numbers may be all zeros.
    let (result, usage) = unsafe {
        let pid = pid.as_raw_nonzero().get();
        let result = libc::wait4(pid, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (result, usage.assume_init())
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => Ok(Some((ExitStatus::from_raw(status), usage))),
    }
}

/// Registers a descriptor with the runtime of this thread.
pub(crate) fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        unsafe_code,
        reason = "the safe constructors of `AsyncFd` are deprecated"
    )]
    // SAFETY: an `OwnedFd` stays open and the same until it is dropped, and nothing replaces it in an `AsyncFd` that
    // is not borrowed mutably.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(registered?)
}
