//! Starts the init program in a new process, which uses the worker's memory until the execution.
//!
//! Before it executes the init program, the new process makes only the few system calls of [`Setup::run`]: it moves
//! descriptors and keeps capabilities. The init program, which has separate memory, does everything that may take long
//! or that changes credentials. If a process that shares the worker's memory changed its credentials, the kernel would
//! mark the worker as not dumpable, and if the process hung, the calling thread would hang.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

use crate::init::FAILURE_FD;

/// The unit of the new process's stack: 16 bytes, the stack alignment of x86-64 and AArch64.
type StackWord = u128;

/// The length of the stack in words: 64 KiB, enough for system calls in a debug build.
const STACK_WORDS: usize = (64 << 10) / size_of::<StackWord>();

/// The largest number of descriptors that the init program starts with.
pub(crate) const MAX_FILES: usize = 16;

/// The number of the init program's file, above the descriptors that it starts with; and its path.
const PROGRAM_FD: RawFd = MAX_FILES as RawFd;
const PROGRAM_PATH: &CStr = c"/proc/self/fd/16";
const _: () = assert!(PROGRAM_FD == 16);

/// The number that a failure message has instead of an operation if the init program was not executed.
pub(crate) const NOT_EXECUTED: u32 = u32::MAX;

/// The header of `capset`, version 3, for the calling thread; and all capabilities, which the kernel limits.
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];
const ALL_CAPABILITIES: [u32; 6] = [u32::MAX; 6];

/// The largest number that a capability can have.
const LAST_CAPABILITY: c_int = 63;

/// Executes `program`, an init program, in a new process with `files` as its descriptors 0, 1, 2 and so on.
///
/// `namespaces` are flags of `clone`. With `CLONE_NEWUSER`, the program keeps the capabilities of the new namespace.
///
/// Returns when the program runs or the process has failed. The process writes a failure to the file at [`FAILURE_FD`]
/// and not to shared memory, because emulators such as valgrind replace this kind of clone by a fork.
pub(crate) fn start(
    program: BorrowedFd<'_>,
    files: &[BorrowedFd<'_>],
    namespaces: c_int,
) -> io::Result<Pid> {
    if files.len() > MAX_FILES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut setup = Setup {
        program: program.as_raw_fd(),
        files: [-1; MAX_FILES],
        count: files.len(),
        keep_capabilities: namespaces & libc::CLONE_NEWUSER != 0,
    };
    for (slot, file) in setup.files.iter_mut().zip(files) {
        *slot = file.as_raw_fd();
    }
    let mut stack: Vec<StackWord> = Vec::with_capacity(STACK_WORDS);
    // The stack grows down, so the process gets its end.
    let stack_end = stack.spare_capacity_mut().as_mut_ptr_range().end;
    // `CLONE_VFORK` suspends this thread until the process executes the program or exits: the thread's errno, which
    // the process uses too, cannot change meanwhile. Descriptors, working directory and signal handlers are copies.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | namespaces;
    // A signal handler of the worker must not run in the new process, where it would change the worker's memory. The
    // init program keeps the mask: it reads `SIGCHLD` from a descriptor.
    let blocked = SignalBlock::new()?;
    #[expect(unsafe_code, reason = "neither std nor rustix has `clone`")]
    // SAFETY: this thread is suspended until the new process has its own memory or has exited, so stack and setup
    // outlive its use of them, and nothing else accesses them meanwhile.
    let pid = unsafe {
        let setup = ptr::from_mut(&mut setup).cast::<c_void>();
        libc::clone(child_main, stack_end.cast(), flags, setup)
    };
    let error = io::Error::last_os_error();
    drop(blocked);
    Pid::from_raw(pid.max(0)).ok_or(error)
}

/// Everything that the new process reads.
struct Setup {
    program: RawFd,
    files: [RawFd; MAX_FILES],
    count: usize,
    keep_capabilities: bool,
}

/// The entry point of the new process, which exits when it returns. It must not allocate, lock or panic.
extern "C" fn child_main(setup: *mut c_void) -> c_int {
    #[expect(unsafe_code, reason = "`clone` passes one untyped pointer")]
    // SAFETY: `start` passes a `Setup` and does not use it until this process has exited or executed a program.
    let setup = unsafe { &mut *setup.cast::<Setup>() };
    let error = setup.run();
    let message = [NOT_EXECUTED, error.cast_unsigned()];
    #[expect(unsafe_code, reason = "rustix needs owned descriptors")]
    // SAFETY: the message is 8 bytes long. If the descriptor is invalid, the failure has no receiver.
    unsafe {
        libc::write(FAILURE_FD, message.as_ptr().cast(), size_of_val(&message));
    }
    127
}

impl Setup {
    /// Executes the program. Returns only an error number.
    fn run(&mut self) -> c_int {
        match self.prepare() {
            Ok(()) => Self::execute(),
            Err(error) => error,
        }
    }

    fn prepare(&mut self) -> Result<(), c_int> {
        // The program and the sources move out of the way of the targets first. The execution closes the copies.
        let program = copy_above_targets(self.program)?;
        for file in self.files.iter_mut().take(self.count) {
            *file = copy_above_targets(*file)?;
        }
        for (target, file) in (0..).zip(self.files.iter().take(self.count)) {
            #[expect(unsafe_code, reason = "rustix needs owned descriptors")]
            // SAFETY: the arguments are numbers. `dup2` clears the close-on-exec flag of the target.
            check(unsafe { libc::dup2(*file, target) })?;
        }
        #[expect(unsafe_code, reason = "rustix needs owned descriptors")]
        // SAFETY: the arguments are numbers.
        check(unsafe { libc::dup3(program, PROGRAM_FD, libc::O_CLOEXEC) })?;
        if self.keep_capabilities {
            keep_capabilities()?;
        }
        Ok(())
    }

    fn execute() -> c_int {
        let name = c"sandbox-init".as_ptr();
        let arguments = [name, ptr::null()];
        let variables: [*const c_char; 1] = [ptr::null()];
        let (arguments, variables) = (arguments.as_ptr(), variables.as_ptr());
        #[expect(unsafe_code, reason = "neither std nor rustix has these calls")]
        // SAFETY: both lists end with a null pointer, and all strings are constants.
        unsafe {
            let (call, empty) = (libc::SYS_execveat, c"".as_ptr());
            libc::syscall(
                call,
                PROGRAM_FD,
                empty,
                arguments,
                variables,
                libc::AT_EMPTY_PATH,
            );
            if last_error() == libc::ENOENT {
                // Valgrind looks for the path of a file in memory, which has none.
                libc::execve(PROGRAM_PATH.as_ptr(), arguments, variables);
            }
        }
        last_error()
    }
}

/// Copies a descriptor to a number that no file of the init program has.
fn copy_above_targets(file: RawFd) -> Result<RawFd, c_int> {
    #[expect(unsafe_code, reason = "rustix needs owned descriptors")]
    // SAFETY: the arguments are numbers.
    check(unsafe { libc::fcntl(file, libc::F_DUPFD_CLOEXEC, PROGRAM_FD + 1) })
}

/// Keeps the capabilities of a new user namespace across the execution: the process is not root there.
fn keep_capabilities() -> Result<(), c_int> {
    #[expect(unsafe_code, reason = "rustix has no call for all capabilities")]
    // SAFETY: header and data have the length of version 3, and the kernel only reads them.
    check(unsafe {
        let header = CAPABILITY_HEADER.as_ptr();
        libc::syscall(libc::SYS_capset, header, ALL_CAPABILITIES.as_ptr()) as c_int
    })?;
    for capability in 0..=LAST_CAPABILITY {
        #[expect(unsafe_code, reason = "rustix has it behind types of this thread")]
        // SAFETY: the arguments are numbers.
        let raised = unsafe {
            let raise = libc::PR_CAP_AMBIENT_RAISE;
            libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, 0, 0)
        };
        match check(raised) {
            // The kernel does not support this capability and the following ones.
            Err(libc::EINVAL) => break,
            raised => raised?,
        };
    }
    Ok(())
}

fn check(result: c_int) -> Result<c_int, c_int> {
    if result == -1 {
        Err(last_error())
    } else {
        Ok(result)
    }
}

/// Returns the thread's error number, without an allocation.
fn last_error() -> c_int {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EINVAL)
}

/// Blocks all signals for this thread. Dropping it restores the previous mask.
struct SignalBlock {
    previous: libc::sigset_t,
}

impl SignalBlock {
    fn new() -> io::Result<Self> {
        let mut all = MaybeUninit::uninit();
        #[expect(unsafe_code, reason = "neither std nor rustix has signal sets")]
        // SAFETY: the call initializes the set.
        let all = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            all.assume_init()
        };
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

/// Sets the mask of this thread and returns the previous one.
fn set_signal_mask(mask: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut previous = MaybeUninit::uninit();
    #[expect(unsafe_code, reason = "neither std nor rustix blocks signals")]
    // SAFETY: the first set is initialized, and the call initializes the second one if it succeeds.
    unsafe {
        match libc::pthread_sigmask(libc::SIG_SETMASK, mask, previous.as_mut_ptr()) {
            0 => Ok(previous.assume_init()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}
