//! System calls of tests that neither std nor rustix has.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Binds a socket to a network interface.
pub(crate) fn bind_to_device(socket: &OwnedFd, device: &str) -> io::Result<()> {
    let len = device.len() as libc::socklen_t;
    #[expect(unsafe_code, reason = "neither std nor rustix has the option")]
    // SAFETY: the kernel reads `len` bytes of the name.
    let result = unsafe {
        let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            device.as_ptr().cast(),
            len,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
