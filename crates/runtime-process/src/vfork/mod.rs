//! Starts a process that shares the worker's memory until it executes its program, as `vfork` does.
//!
//! A fork copies the page tables of the worker, which then has a page fault at each page that it writes next. For a
//! short task, this took longer than all other steps. `posix_spawn` shares memory too, but cannot run our code in the
//! new process, which has to join a control group before its program runs. See
//! `docs/decisions/0021-processes-borrow-memory.md`.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::ptr;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::exec_strings::{CStringArray, c_string, environment_variable};
use crate::search_path::{DEFAULT_PATH, candidate_paths};
use crate::signals::{self, SignalBlock};
use crate::start_canceller::StartCanceller;
use crate::start_error::{StartError, StartStep};

/// The unit of the new process's stack: 16 bytes, the stack alignment of x86-64 and AArch64.
type StackWord = u128;

/// The length of the stack in words: 64 KiB, enough for system calls in a debug build.
const STACK_WORDS: usize = (64 << 10) / size_of::<StackWord>();

thread_local! {
    /// The stack of the last process that this thread started, which no longer uses it.
    static STACK: Cell<Vec<StackWord>> = const { Cell::new(Vec::new()) };
}

/// The interpreter of executable files without a `#!` line, as in `execvp`.
const SHELL: &CStr = c"/bin/sh";

/// The exit code of a process that could not execute its program. The caller reads the error instead.
const EXEC_FAILED: c_int = 127;

/// The descriptor of the new process through which it reports an error.
const REPORT: RawFd = 3;

/// The length of a report: the step and the number of the error.
const REPORT_LEN: usize = 2 * size_of::<c_int>();

/// Starts `command` with `files` as standard input, output and error, which are above 2. Returns when its program runs.
///
/// Blocks until the kernel has executed the program. If the program is on an unreachable network file system, this may
/// never happen; `control` then ends the start.
///
/// Of the command, only program, arguments, variables and working directory are used. The program has only these
/// variables and files, and starts with default signal handling.
///
/// `prepare` runs in the new process before the program. It shares memory with the running threads of this process,
/// so it may only make system calls: it must not take locks, allocate or panic.
///
/// # Errors
///
/// A [`StartError`] with the step that failed. No process is left then.
pub(crate) fn spawn<P: FnMut() -> io::Result<()>>(
    command: &Command,
    files: &[OwnedFd; 3],
    control: &StartCanceller,
    prepare: P,
) -> Result<Pid, StartError> {
    let (mut report, writer) = io::pipe().map_err(StartError::prepare)?;
    // `try_clone` returns a number above 2, so that the standard files of the new process do not replace it.
    let writer = OwnedFd::from(writer)
        .try_clone()
        .map_err(StartError::prepare)?;
    let mut child = ChildSetup::new(command, files, &writer, control, prepare)?;
    // Kept for the next process of this thread: the allocator tidies up after each large block.
    let mut stack = STACK.take();
    stack.reserve_exact(STACK_WORDS);
    // A signal handler of the worker must not run in the new process, where it would change the worker's memory.
    // All signals are blocked until the new process has reset its handlers.
    let blocked = SignalBlock::new().map_err(StartError::prepare)?;
    let pid = child.clone_process(&mut stack);
    STACK.set(stack);
    drop(blocked);
    let pid = pid.map_err(StartError::prepare)?;
    control.started(pid);
    drop(writer);
    // Under an emulator such as valgrind or qemu, `clone` is a fork: the memory is not shared, and this thread
    // continues before the program is executed. Hence a pipe, whose end shows that the program runs.
    let mut bytes = Vec::with_capacity(REPORT_LEN);
    let read = report.read_to_end(&mut bytes);
    // From here on, nothing else signals the process: it may be reaped.
    control.ended();
    let error = match (read, decode(&bytes)) {
        (Ok(_), None) => return Ok(pid),
        (Ok(_), Some(error)) => error,
        (Err(error), _) => {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            StartError::prepare(error)
        }
    };
    // The process exited without executing a program. Its pid is not stored elsewhere, so it is reaped here.
    waitpid(Some(pid), WaitOptions::empty()).map_err(|error| StartError::prepare(error.into()))?;
    Err(error)
}

fn decode(report: &[u8]) -> Option<StartError> {
    let (step, errno) = report.split_at_checked(size_of::<c_int>())?;
    let [step, errno] =
        [step, errno].map(|bytes| Some(c_int::from_ne_bytes(bytes.try_into().ok()?)));
    Some(StartError {
        step: StartStep::from_number(step?),
        source: io::Error::from_raw_os_error(errno?),
    })
}

/// Everything that the new process reads, allocated before it exists.
struct ChildSetup<'a, P> {
    /// The paths to try, in order.
    programs: Vec<CString>,
    arguments: CStringArray,
    /// The arguments for [`SHELL`]. The second one is set to the file that it interprets.
    shell_arguments: Vec<*const c_char>,
    variables: CStringArray,
    working_directory: Option<CString>,
    files: [RawFd; 3],
    /// The writing end of the pipe for the report.
    report: RawFd,
    control: &'a StartCanceller,
    prepare: P,
}

impl<'a, P: FnMut() -> io::Result<()>> ChildSetup<'a, P> {
    fn new(
        command: &Command,
        files: &[OwnedFd; 3],
        report: &OwnedFd,
        control: &'a StartCanceller,
        prepare: P,
    ) -> Result<Self, StartError> {
        let program = command.get_program();
        let arguments = [program].into_iter().chain(command.get_args());
        let arguments = CStringArray::new(arguments.map(c_string)).map_err(StartError::execute)?;
        let mut shell_arguments = vec![SHELL.as_ptr(), ptr::null()];
        shell_arguments.extend(arguments.pointers.iter().skip(1));
        let directory = command.get_current_dir();
        let search_path = environment_variable(command, "PATH");
        let programs = candidate_paths(program, search_path.unwrap_or(DEFAULT_PATH.as_ref()));
        let programs = programs.map(|path| c_string(path.as_os_str()));
        let variables = command.get_envs().filter_map(|(name, value)| {
            let pair = [name.as_bytes(), b"=", value?.as_bytes()].concat();
            Some(c_string(OsStr::from_bytes(&pair)))
        });
        Ok(Self {
            programs: programs
                .collect::<io::Result<_>>()
                .map_err(StartError::execute)?,
            arguments,
            shell_arguments,
            variables: CStringArray::new(variables).map_err(StartError::execute)?,
            working_directory: directory
                .map(|it| c_string(it.as_os_str()))
                .transpose()
                .map_err(StartError::execute)?,
            files: files.each_ref().map(|file| file.as_raw_fd()),
            report: report.as_raw_fd(),
            control,
            prepare,
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
        // outlive its use of them, and nothing else accesses them meanwhile. If `clone` is a fork, the process has
        // copies of both.
        let pid = unsafe { libc::clone(child_main::<P>, stack.cast(), flags, setup) };
        check_syscall(pid)?;
        Pid::from_raw(pid).ok_or_else(io::Error::last_os_error)
    }

    /// Turns the new process into the program. Returns only an error, with its step.
    fn exec(&mut self) -> (StartStep, io::Error) {
        match self.set_up() {
            Ok(()) => (StartStep::Execute, self.exec_first_candidate()),
            Err(error) => error,
        }
    }

    fn set_up(&mut self) -> Result<(), (StartStep, io::Error)> {
        let prepare = |error| (StartStep::Prepare, error);
        // While all signals are blocked: from here on no handler of the worker can run.
        signals::reset_handlers();
        (self.prepare)().map_err(prepare)?;
        for (target, file) in (0..).zip(self.files) {
            duplicate(file, target, 0).map_err(prepare)?;
        }
        self.close_other_files().map_err(prepare)?;
        if let Some(directory) = &self.working_directory {
            #[expect(unsafe_code, reason = "rustix has it behind a feature that is off")]
            // SAFETY: the path is a C string.
            let changed = check_syscall(unsafe { libc::chdir(directory.as_ptr()) });
            changed.map_err(|error| (StartStep::WorkingFolder, error))?;
        }
        // Last, so that a pending signal ends the new process only after its set-up.
        signals::unblock_all().map_err(prepare)
    }

    /// Closes all descriptors except for the standard files and the report, before any step that may hang: while this
    /// process has copies of them, the reports of other starts do not end and the locks of control groups are not
    /// released.
    fn close_other_files(&mut self) -> io::Result<()> {
        if self.report != REPORT {
            duplicate(self.report, REPORT, libc::O_CLOEXEC)?;
            self.report = REPORT;
        }
        let (first, last, flags) = (REPORT.cast_unsigned() + 1, u32::MAX, 0);
        #[expect(unsafe_code, reason = "rustix does not have this call")]
        // SAFETY: the descriptors are copies that this process no longer uses. Linux before 5.9 returns an error: then
        // the descriptors of the worker are closed by `execve`.
        unsafe {
            libc::syscall(libc::SYS_close_range, first, last, flags);
        }
        Ok(())
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

    fn send_report(&self, step: StartStep, error: &io::Error) {
        let numbers = [step.number(), error.raw_os_error().unwrap_or(libc::EINVAL)];
        #[expect(unsafe_code, reason = "rustix needs an owned descriptor")]
        // SAFETY: the buffer has this length. A pipe has room for it.
        unsafe {
            libc::write(self.report, numbers.as_ptr().cast(), REPORT_LEN);
        }
    }
}

/// The entry point of the new process, which exits when it returns.
extern "C" fn child_main<P: FnMut() -> io::Result<()>>(setup: *mut c_void) -> c_int {
    #[expect(unsafe_code, reason = "`clone` passes one untyped pointer")]
    // SAFETY: `clone_process` passes a `ChildSetup<P>` and does not use it until this process has exited.
    let setup = unsafe { &mut *setup.cast::<ChildSetup<'_, P>>() };
    let (step, error) = if setup.control.announce() {
        setup.exec()
    } else {
        let cancelled = io::Error::from_raw_os_error(libc::ECANCELED);
        (StartStep::Prepare, cancelled)
    };
    setup.send_report(step, &error);
    EXEC_FAILED
}

/// Duplicates a descriptor to another number.
fn duplicate(file: RawFd, target: RawFd, flags: c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "rustix needs owned descriptors")]
    // SAFETY: the arguments are numbers. The targets 0 to 3 are files that nothing in this process uses.
    check_syscall(unsafe { libc::dup3(file, target, flags) })
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

fn check_syscall(result: c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
