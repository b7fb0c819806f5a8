//! Raw system calls of the attempts.

use std::ffi::CStr;
use std::io;

/// Calls the kernel.
pub(crate) fn call<const N: usize>(number: i64, arguments: [usize; N]) -> io::Result<usize> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    #[expect(unsafe_code, reason = "an attempt makes calls that no library offers")]
    // SAFETY: the attempts pass numbers, or addresses of memory that lives until the end of the call.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Returns the address of a text for [`call`].
pub(crate) fn text(text: &CStr) -> usize {
    text.as_ptr().expose_provenance()
}

/// Returns the address of a value for [`call`].
pub(crate) fn address<T>(value: &mut T) -> usize {
    std::ptr::from_mut(value).expose_provenance()
}

/// Creates a process with a copy of this one's memory. Returns `None` in the new process.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    let pid = call(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0])?;
    Ok((pid != 0).then_some(pid as i32))
}

/// Refuses an attempt with the text of its finding.
pub(crate) fn held<T>(reason: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(reason.into()))
}
