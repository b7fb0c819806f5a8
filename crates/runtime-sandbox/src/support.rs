//! The walls that this machine can have.

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const CREATE_RULESET_VERSION: u32 = 1;

/// Returns the version of Landlock in the kernel, 0 without it.
pub(crate) fn landlock_version() -> u32 {
    #[expect(unsafe_code, reason = "neither std nor rustix has the call")]
    // SAFETY: with this flag, the call reads no memory and returns a number.
    let version = unsafe {
        let nothing = std::ptr::null::<u8>();
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            nothing,
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(version).unwrap_or(0)
}
