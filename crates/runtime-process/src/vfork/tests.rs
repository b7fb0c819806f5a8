//! Tests of starts that fail or hang.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

fn start(command: &Command, prepare: impl FnMut() -> io::Result<()>) -> Result<Pid, StartError> {
    let null = || File::open("/dev/null").and_then(|file| OwnedFd::from(file).try_clone());
    let files = [null(), null(), null()].map(|file| file.expect("it can be opened"));
    spawn(command, &files, &StartCanceller::default(), prepare)
}

#[test]
fn error_of_prepare_is_returned() {
    let full = || Err(io::Error::from_raw_os_error(libc::ENOSPC));
    let error = start(&Command::new("true"), full).expect_err("`prepare` failed");
    assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(error.step, StartStep::Prepare);
}

#[test]
fn missing_working_directory_is_not_found() {
    let mut command = Command::new("true");
    let error = start(command.current_dir("/no/such/folder"), || Ok(()));
    let error = error.expect_err("the folder does not exist");
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.step, StartStep::WorkingFolder);
}

#[test]
fn empty_program_is_not_found() {
    let error = start(&Command::new(""), || Ok(())).expect_err("no file has this name");
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.step, StartStep::Execute);
}

#[test]
fn signal_mask_is_restored() -> io::Result<()> {
    let blocked = || -> io::Result<String> {
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        let line = status.lines().find(|line| line.starts_with("SigBlk:"));
        Ok(line.unwrap_or_default().to_owned())
    };
    let before = blocked()?;
    let pid = start(&Command::new("true"), || Ok(())).expect("`true` exists");
    waitpid(Some(pid), WaitOptions::empty())?;
    assert_eq!(blocked()?, before);
    assert!(start(&Command::new("no-such-program"), || Ok(())).is_err());
    assert_eq!(blocked()?, before);
    Ok(())
}

/// A command of `fcntl` that the crate `libc` lacks.
const F_SETSIG: i32 = 10;

/// A program whose execution blocks, as on a dead network file system, until this is dropped.
struct HangingProgram(File);

impl HangingProgram {
    fn new(path: &Path) -> io::Result<Self> {
        std::fs::write(path, "#!/bin/sh\n")?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let program = Self(File::open(path)?);
        // The kernel asks the holder of the lease to give it up, with a signal that is ignored by default, and waits.
        program.control(F_SETSIG, libc::SIGURG)?;
        let limit = Instant::now() + Duration::from_secs(60);
        while let Err(error) = program.control(libc::F_SETLEASE, libc::F_WRLCK) {
            // A child that another test forks has the file open until it executes its program.
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(Instant::now() < limit, "the file stays open elsewhere");
            std::thread::yield_now();
        }
        Ok(program)
    }

    /// Waits until a process waits for its execution: then the lease is to be given up.
    fn wait_until_executed(&self) -> io::Result<()> {
        let limit = Instant::now() + Duration::from_secs(60);
        while self.control(libc::F_GETLEASE, 0)? == libc::F_WRLCK {
            assert!(Instant::now() < limit, "the program is not executed");
            std::thread::yield_now();
        }
        Ok(())
    }

    fn control(&self, command: i32, value: i32) -> io::Result<i32> {
        #[expect(unsafe_code, reason = "rustix does not have leases")]
        // SAFETY: the arguments are numbers.
        let result = unsafe { libc::fcntl(self.0.as_raw_fd(), command, value) };
        check_syscall(result).map(|()| result)
    }
}

#[test]
fn hanging_start_delays_no_other() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("program");
    let program = HangingProgram::new(&path)?;
    let hanging = Command::new(path);
    let null = || OwnedFd::from(File::open("/dev/null")?).try_clone();
    let files = [null()?, null()?, null()?];
    let control = StartCanceller::default();
    // As the pipe of another start, which waits for its end.
    let (mut reader, writer) = io::pipe()?;
    std::thread::scope(|scope| {
        let hanging_start = scope.spawn(|| spawn(&hanging, &files, &control, || Ok(())));
        program.wait_until_executed()?;
        let pid = start(&Command::new("true"), || Ok(())).expect("`true` exists");
        waitpid(Some(pid), WaitOptions::empty())?;
        drop(writer);
        assert_eq!(reader.read_to_end(&mut Vec::new())?, 0);
        assert!(!hanging_start.is_finished(), "the execution does not block");
        control.cancel();
        let pid = hanging_start
            .join()
            .expect("no panic")
            .expect("it made no report");
        let (_, status) = waitpid(Some(pid), WaitOptions::empty())?.expect("it has ended");
        assert_eq!(status.terminating_signal(), Some(libc::SIGKILL));
        Ok(())
    })
}

#[test]
fn cancelled_start_executes_nothing() -> io::Result<()> {
    let control = StartCanceller::default();
    control.cancel();
    let null = || OwnedFd::from(File::open("/dev/null")?).try_clone();
    let files = [null()?, null()?, null()?];
    let error = spawn(&Command::new("true"), &files, &control, || Ok(()));
    let error = error.expect_err("it is cancelled");
    assert_eq!(error.source.raw_os_error(), Some(libc::ECANCELED));
    Ok(())
}
