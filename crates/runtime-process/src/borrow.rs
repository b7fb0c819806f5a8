//! A new process that borrows the memory of this one until it runs its own program.
//!
//! A fork copies the page tables of a worker and has it fault on every page that it writes next: for a task
//! that does little, that took longer than all else. `posix_spawn` borrows too, but runs nothing of ours in
//! between, such as to join a control group.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::ptr;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::signals::{self, Blocked};

/// What the stack of the new process is made of: processors want it aligned as this is.
type Slot = u128;

/// Enough for a few system calls, also without optimization.
const STACK: usize = (64 << 10) / size_of::<Slot>();

/// Where programs are looked for by a command that sets no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What runs a file that is no program by itself, as every shell and `execvp` do it.
const SHELL: &CStr = c"/bin/sh";

/// Starts `command`, of which arguments, variables and folder count; std has replaced what holds a zero.
/// The program gets the variables that are set there and no others, heeds all signals, and has `files` as standard
/// input, output and error.
///
/// `prepare` runs in the new process, before its program. It must make nothing but system calls, since it runs
/// beside the other threads of this process, in their memory: it takes no lock, allocates nothing and never panics.
///
/// # Errors
///
/// What kept the program from starting, `prepare` included.
pub(crate) fn spawn<P: FnMut() -> io::Result<()>>(
    command: &Command,
    files: &[OwnedFd; 3],
    prepare: P,
) -> io::Result<Pid> {
    let mut image = Image::new(command, files, prepare)?;
    let mut stack = Vec::with_capacity(STACK);
    // The handlers of this program must not run in the new process, and would while it has both signals and memory.
    let blocked = Blocked::all()?;
    let pid = image.begin(&mut stack);
    drop(blocked);
    let pid = pid?;
    if image.error == 0 {
        return Ok(pid);
    }
    // It has ended, without a program.
    waitpid(Some(pid), WaitOptions::empty())?;
    Err(io::Error::from_raw_os_error(image.error))
}

/// All that the new process needs, made before there is one.
struct Image<P> {
    programs: Vec<CString>,
    arguments: Strings,
    /// Those of the shell. The second is the file that it is to run.
    arguments_of_shell: Vec<*const c_char>,
    variables: Strings,
    folder: Option<CString>,
    files: [RawFd; 3],
    prepare: P,
    /// Why there is no program.
    error: c_int,
}

impl<P: FnMut() -> io::Result<()>> Image<P> {
    fn new(command: &Command, files: &[OwnedFd; 3], prepare: P) -> io::Result<Self> {
        let (program, arguments) = (command.get_program(), command.get_args());
        let arguments = Strings::new([program].into_iter().chain(arguments).map(c_string))?;
        let after_program = arguments.pointers.iter().skip(1).copied();
        let folder = command.get_current_dir();
        Ok(Self {
            programs: candidates(program, variable(command, "PATH"))?,
            arguments_of_shell: [SHELL.as_ptr(), ptr::null()]
                .into_iter()
                .chain(after_program)
                .collect(),
            arguments,
            variables: Strings::new(command.get_envs().filter_map(|(name, value)| {
                let pair = [name.as_bytes(), b"=", value?.as_bytes()].concat();
                Some(c_string(OsStr::from_bytes(&pair)))
            }))?,
            folder: folder.map(|it| c_string(it.as_os_str())).transpose()?,
            files: files.each_ref().map(|file| file.as_raw_fd()),
            prepare,
            error: 0,
        })
    }

    /// Returns when the new process runs its program or has ended.
    fn begin(&mut self, stack: &mut Vec<Slot>) -> io::Result<Pid> {
        let stack = stack.spare_capacity_mut().as_mut_ptr_range().end;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let image = ptr::from_mut(self).cast::<c_void>();
        #[expect(unsafe_code, reason = "neither std nor rustix starts a process so")]
        // SAFETY: this thread stands still until the new process has another memory or is gone, so that stack and
        // image outlive it and nobody else uses them. It has a table of files, a folder and handlers of its own.
        let pid = unsafe { libc::clone(enter::<P>, stack.cast(), flags, image) };
        check(pid)?;
        Pid::from_raw(pid).ok_or_else(io::Error::last_os_error)
    }

    /// Comes back only with what went wrong.
    fn become_program(&mut self) -> io::Error {
        match self.set_up() {
            Ok(()) => self.run(),
            Err(error) => error,
        }
    }

    fn set_up(&mut self) -> io::Result<()> {
        signals::forget_handlers();
        (self.prepare)()?;
        for (target, file) in (0..).zip(self.files) {
            #[expect(
                unsafe_code,
                reason = "rustix needs an owner, and these have none here"
            )]
            // SAFETY: only numbers are passed.
            check(unsafe { libc::dup2(file, target) })?;
        }
        if let Some(folder) = &self.folder {
            #[expect(
                unsafe_code,
                reason = "rustix has it behind a feature that is not used here"
            )]
            // SAFETY: the path is a C string.
            check(unsafe { libc::chdir(folder.as_ptr()) })?;
        }
        signals::heed_all()
    }

    /// Tries the candidates as `execvp` does: what cannot be found or run is no reason not to try the next.
    fn run(&mut self) -> io::Error {
        let mut denied = None;
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for program in &self.programs {
            last = execute(program, &self.arguments.pointers, &self.variables.pointers);
            if last.raw_os_error() == Some(libc::ENOEXEC) {
                self.arguments_of_shell[1] = program.as_ptr();
                return execute(SHELL, &self.arguments_of_shell, &self.variables.pointers);
            }
            match last.raw_os_error() {
                Some(libc::EACCES) => denied = Some(libc::EACCES),
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                _ => return last,
            }
        }
        denied.map_or(last, io::Error::from_raw_os_error)
    }
}

/// Where the new process begins. It ends on return.
extern "C" fn enter<P: FnMut() -> io::Result<()>>(image: *mut c_void) -> c_int {
    #[expect(unsafe_code, reason = "a thread of the kernel's takes one pointer")]
    // SAFETY: `begin` passes an image of this very type, and waits.
    let image = unsafe { &mut *image.cast::<Image<P>>() };
    let error = image.become_program();
    image.error = error.raw_os_error().unwrap_or(libc::EINVAL);
    127
}

/// Returns only with the reason why it could not.
fn execute(program: &CStr, arguments: &[*const c_char], variables: &[*const c_char]) -> io::Error {
    #[expect(unsafe_code, reason = "rustix would need the strings in another form")]
    // SAFETY: both lists end with a null pointer, and all others are C strings that the image owns.
    unsafe {
        libc::execve(program.as_ptr(), arguments.as_ptr(), variables.as_ptr());
    }
    io::Error::last_os_error()
}

/// Strings as C takes lists of them.
struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
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

fn variable<'a>(command: &'a Command, wanted: &str) -> Option<&'a OsStr> {
    let mut variables = command.get_envs();
    variables
        .find_map(|(name, value)| (name == wanted).then_some(value))
        .flatten()
}

/// The paths that a program may have.
fn candidates(program: &OsStr, path: Option<&OsStr>) -> io::Result<Vec<CString>> {
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(program)?]);
    }
    if program.is_empty() {
        return Ok(Vec::new());
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    let folders = path.split(|byte| *byte == b':');
    folders
        .map(|folder| {
            c_string(
                Path::new(OsStr::from_bytes(folder))
                    .join(program)
                    .as_os_str(),
            )
        })
        .collect()
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
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
    fn what_fails_before_the_program_is_told_and_leaves_no_process() {
        let full = || Err(io::Error::from_raw_os_error(libc::ENOSPC));
        let error = start(&Command::new("true"), full).expect_err("it did not come so far");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut command = Command::new("true");
        let error = start(command.current_dir("/no/such/folder"), || Ok(()));
        let error = error.expect_err("there is no such folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nothing_is_no_program() {
        let error = start(&Command::new(""), || Ok(())).expect_err("there is no such file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn this_thread_gets_its_signals_afterwards() -> io::Result<()> {
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
