//! Starts a process that shares the worker's memory until it executes its program, as `vfork` does.
//!
//! A fork copies the page tables of the worker, which then faults on each page that it writes next. For a short
//! task this cost more than everything else. `posix_spawn` shares memory too, but cannot run our code in the new
//! process, which has to join a control group before its program runs. See
//! `docs/decisions/0021-processes-borrow-memory.md`.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::ptr;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::signals::{self, SignalBlock};

/// The unit of the new process's stack: 16 bytes, the stack alignment of x86-64 and AArch64.
type StackWord = u128;

/// The length of the stack in words: 64 KiB, enough for system calls in a debug build.
const STACK_WORDS: usize = (64 << 10) / size_of::<StackWord>();

/// The search path of a command that sets no `PATH`, as in `execvp`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The interpreter of executable files without a `#!` line, as in `execvp`.
const SHELL: &CStr = c"/bin/sh";

/// The exit code of a process that could not execute its program. The caller reads the error instead.
const EXEC_FAILED: c_int = 127;

/// Starts `command` with `files` as standard input, output and error. Returns when its program runs.
///
/// Only program, arguments, variables and working directory of the command are used. The program sees the
/// variables that are set there and no others, and starts with default signal handling.
///
/// `prepare` runs in the new process before the program. It shares memory with the running threads of this process,
/// so it may only make system calls: it must not take locks, allocate or panic.
///
/// # Errors
///
/// The error of `prepare` or of the system call that failed. No process is left then.
pub(crate) fn spawn<P: FnMut() -> io::Result<()>>(
    command: &Command,
    files: &[OwnedFd; 3],
    prepare: P,
) -> io::Result<Pid> {
    let mut child = ChildSetup::new(command, files, prepare)?;
    let mut stack = Vec::with_capacity(STACK_WORDS);
    // A signal handler of the worker must not run in the new process, where it would change the worker's memory.
    // All signals are blocked until the new process has reset its handlers.
    let blocked = SignalBlock::new()?;
    let pid = child.clone_process(&mut stack);
    drop(blocked);
    let pid = pid?;
    // Written by the new process through the shared memory, before this thread continued.
    if child.errno == 0 {
        return Ok(pid);
    }
    // The process exited without executing a program. Nothing else knows its pid, so it is reaped here.
    waitpid(Some(pid), WaitOptions::empty())?;
    Err(io::Error::from_raw_os_error(child.errno))
}

/// Everything that the new process reads, allocated before it exists.
struct ChildSetup<P> {
    /// The paths to try, in order.
    programs: Vec<CString>,
    arguments: CStringArray,
    /// The arguments for [`SHELL`]. The second one is set to the file that it interprets.
    shell_arguments: Vec<*const c_char>,
    variables: CStringArray,
    working_directory: Option<CString>,
    files: [RawFd; 3],
    prepare: P,
    /// The error that the new process reports through the shared memory; 0 for success.
    errno: c_int,
}

impl<P: FnMut() -> io::Result<()>> ChildSetup<P> {
    fn new(command: &Command, files: &[OwnedFd; 3], prepare: P) -> io::Result<Self> {
        let program = command.get_program();
        let arguments = [program].into_iter().chain(command.get_args());
        let arguments = CStringArray::new(arguments.map(c_string))?;
        let mut shell_arguments = vec![SHELL.as_ptr(), ptr::null()];
        shell_arguments.extend(arguments.pointers.iter().skip(1));
        let directory = command.get_current_dir();
        Ok(Self {
            programs: candidate_paths(program, environment_variable(command, "PATH"))?,
            arguments,
            shell_arguments,
            variables: CStringArray::new(command.get_envs().filter_map(|(name, value)| {
                let pair = [name.as_bytes(), b"=", value?.as_bytes()].concat();
                Some(c_string(OsStr::from_bytes(&pair)))
            }))?,
            working_directory: directory.map(|it| c_string(it.as_os_str())).transpose()?,
            files: files.each_ref().map(|file| file.as_raw_fd()),
            prepare,
            errno: 0,
        })
    }

    /// Creates the process. Returns when it has executed its program or exited.
    fn clone_process(&mut self, stack: &mut Vec<StackWord>) -> io::Result<Pid> {
        // The stack grows down, so the process gets its end.
        let stack = stack.spare_capacity_mut().as_mut_ptr_range().end;
        // `CLONE_VM` shares the memory. `CLONE_VFORK` suspends this thread until the process executes or exits:
        // the thread's errno and thread-locals, which the process uses too, cannot change meanwhile. There is no
        // `CLONE_FILES`, `CLONE_FS` or `CLONE_SIGHAND`, so descriptors, working directory and signal handlers are
        // copies, which the process may change.
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let setup = ptr::from_mut(self).cast::<c_void>();
        #[expect(unsafe_code, reason = "neither std nor rustix has `clone`")]
        // SAFETY: this thread is suspended until the new process has its own memory or has exited, so stack and setup
        // outlive its use of them, and nothing else accesses them meanwhile.
        let pid = unsafe { libc::clone(child_main::<P>, stack.cast(), flags, setup) };
        check_syscall(pid)?;
        Pid::from_raw(pid).ok_or_else(io::Error::last_os_error)
    }

    /// Turns the new process into the program. Returns only an error.
    fn exec(&mut self) -> io::Error {
        match self.set_up() {
            Ok(()) => self.exec_first_candidate(),
            Err(error) => error,
        }
    }

    fn set_up(&mut self) -> io::Result<()> {
        // While all signals are blocked: from here on no handler of the worker can run.
        signals::reset_handlers();
        (self.prepare)()?;
        // After `prepare`, which marks all other descriptors close-on-exec: `dup2` clears the flag of its target.
        for (target, file) in (0..).zip(self.files) {
            #[expect(unsafe_code, reason = "rustix needs owned descriptors")]
            // SAFETY: the arguments are numbers.
            check_syscall(unsafe { libc::dup2(file, target) })?;
        }
        if let Some(directory) = &self.working_directory {
            #[expect(unsafe_code, reason = "rustix has it behind a feature that is off")]
            // SAFETY: the path is a C string.
            check_syscall(unsafe { libc::chdir(directory.as_ptr()) })?;
        }
        // Last, so that a pending signal ends the new process only after its set-up.
        signals::unblock_all()
    }

    /// Tries the candidates as `execvp` does: it skips those that do not exist or may not be executed, and returns
    /// a permission error only if no later candidate can be executed.
    ///
    /// `execvp` itself would search the `PATH` of the worker instead of the task's.
    fn exec_first_candidate(&mut self) -> io::Error {
        let mut denied = None;
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for program in &self.programs {
            last = execve(program, &self.arguments.pointers, &self.variables.pointers);
            match last.raw_os_error() {
                Some(libc::ENOEXEC) => {
                    self.shell_arguments[1] = program.as_ptr();
                    return execve(SHELL, &self.shell_arguments, &self.variables.pointers);
                }
                Some(libc::EACCES) => denied = Some(libc::EACCES),
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                _ => return last,
            }
        }
        denied.map_or(last, io::Error::from_raw_os_error)
    }
}

/// The entry point of the new process, which exits when it returns.
extern "C" fn child_main<P: FnMut() -> io::Result<()>>(setup: *mut c_void) -> c_int {
    #[expect(unsafe_code, reason = "`clone` passes one untyped pointer")]
    // SAFETY: `clone_process` passes a `ChildSetup<P>` and does not use it until this process has exited.
    let setup = unsafe { &mut *setup.cast::<ChildSetup<P>>() };
    let error = setup.exec();
    setup.errno = error.raw_os_error().unwrap_or(libc::EINVAL);
    EXEC_FAILED
}

/// Executes a program. Returns only an error.
fn execve(program: &CStr, arguments: &[*const c_char], variables: &[*const c_char]) -> io::Error {
    #[expect(unsafe_code, reason = "rustix takes the strings in another form")]
    // SAFETY: both lists end with a null pointer, and all others are C strings that `ChildSetup` owns.
    unsafe {
        libc::execve(program.as_ptr(), arguments.as_ptr(), variables.as_ptr());
    }
    io::Error::last_os_error()
}

/// A list of C strings that ends with a null pointer.
struct CStringArray {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CStringArray {
    fn new(strings: impl Iterator<Item = io::Result<CString>>) -> io::Result<Self> {
        let owned: Vec<CString> = strings.collect::<io::Result<_>>()?;
        let pointers = owned.iter().map(|string| string.as_ptr());
        Ok(Self {
            pointers: pointers.chain([ptr::null()]).collect(),
            _owned: owned,
        })
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}

fn environment_variable<'a>(command: &'a Command, wanted: &str) -> Option<&'a OsStr> {
    let mut variables = command.get_envs();
    variables
        .find_map(|(name, value)| (name == wanted).then_some(value))
        .flatten()
}

/// Returns the program's path, or its possible paths in the folders of `path` if it has no slash.
fn candidate_paths(program: &OsStr, path: Option<&OsStr>) -> io::Result<Vec<CString>> {
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(program)?]);
    }
    if program.is_empty() {
        return Ok(Vec::new());
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    let folders = path.split(|byte| *byte == b':');
    let candidates = folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(program));
    candidates.map(|path| c_string(path.as_os_str())).collect()
}

fn check_syscall(result: c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn start(command: &Command, prepare: impl FnMut() -> io::Result<()>) -> io::Result<Pid> {
        let null = || File::open("/dev/null").map(OwnedFd::from);
        spawn(command, &[null()?, null()?, null()?], prepare)
    }

    #[test]
    fn error_of_prepare_is_returned() {
        let full = || Err(io::Error::from_raw_os_error(libc::ENOSPC));
        let error = start(&Command::new("true"), full).expect_err("`prepare` failed");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn missing_working_directory_is_not_found() {
        let mut command = Command::new("true");
        let error = start(command.current_dir("/no/such/folder"), || Ok(()));
        let error = error.expect_err("the folder does not exist");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn empty_program_is_not_found() {
        let error = start(&Command::new(""), || Ok(())).expect_err("no file has this name");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn signal_mask_is_restored() -> io::Result<()> {
        let blocked = || -> io::Result<String> {
            let status = std::fs::read_to_string("/proc/thread-self/status")?;
            let line = status.lines().find(|line| line.starts_with("SigBlk:"));
            Ok(line.unwrap_or_default().to_owned())
        };
        let before = blocked()?;
        let pid = start(&Command::new("true"), || Ok(()))?;
        waitpid(Some(pid), WaitOptions::empty())?;
        assert_eq!(blocked()?, before);
        assert!(start(&Command::new("no-such-program"), || Ok(())).is_err());
        assert_eq!(blocked()?, before);
        Ok(())
    }
}
