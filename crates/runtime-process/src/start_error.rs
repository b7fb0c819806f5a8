//! The error of starting a command, and its explanation.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::program_lookup::ProgramLookup;
use crate::search_path::candidate_paths;

/// Maximum length of the first line of a script, the buffer size of the kernel.
const MAX_FIRST_LINE: u64 = 256;

/// A command could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a process")]
pub(crate) struct StartError {
    pub(crate) step: StartStep,
    pub(crate) source: io::Error,
}

/// The step of a start that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartStep {
    /// The creation of the process, with its control group and its standard files.
    Prepare,
    /// The change to the working folder.
    WorkingFolder,
    /// The execution of the program.
    Execute,
}

impl StartStep {
    #[cfg(target_os = "linux")]
    pub(crate) fn number(self) -> i32 {
        self as i32
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn from_number(number: i32) -> Self {
        let all = [Self::Prepare, Self::WorkingFolder, Self::Execute];
        let mut all = all.into_iter();
        all.find(|step| step.number() == number)
            .unwrap_or(Self::Prepare)
    }
}

impl StartError {
    /// An error of the machine, not of the command.
    pub(crate) fn prepare(source: io::Error) -> Self {
        let step = StartStep::Prepare;
        Self { step, source }
    }

    /// An error of the program.
    pub(crate) fn execute(source: io::Error) -> Self {
        let step = StartStep::Execute;
        Self { step, source }
    }

    /// Returns whether the machine caused the error, and not the command: it lacks processes, files or memory, or the
    /// process could not be prepared.
    pub(crate) fn is_of_machine(&self) -> bool {
        self.step == StartStep::Prepare || is_resource_exhaustion(&self.source)
    }

    /// Returns a sentence with the reason why the program could not be started, if its files show the reason.
    ///
    /// Blocks while it reads the program.
    pub(crate) fn explain(&self, origin: &ProgramLookup) -> Option<String> {
        let ProgramLookup {
            program,
            folder,
            search_path,
            walls,
        } = origin;
        if self.step == StartStep::WorkingFolder {
            return Some(format!(
                "the working folder `{}` cannot be entered",
                folder.display()
            ));
        }
        let Some(path) = find(program, folder, search_path) else {
            let is_missing = self.source.kind() == io::ErrorKind::NotFound;
            let program = program.as_encoded_bytes();
            let is_searched = !program.contains(&b'/') && !program.is_empty();
            let search_path = search_path.display();
            return (is_missing && is_searched)
                .then(|| format!("no folder of `PATH` has it, which is `{search_path}`"));
        };
        if walls.as_ref().is_some_and(|walls| !walls.show(&path)) {
            let path = path.display();
            return Some(format!(
                "isolated tasks do not see `{path}`; the setting `visiblePaths` of the worker lets them"
            ));
        }
        match self.source.kind() {
            io::ErrorKind::NotFound => explain_missing(&path),
            io::ErrorKind::PermissionDenied if path.is_dir() => Some("it is a folder".to_owned()),
            io::ErrorKind::PermissionDenied => Some(
                "the file is not executable, or its file system or interpreter does not permit it; \
                 try `chmod +x`"
                    .to_owned(),
            ),
            io::ErrorKind::ArgumentListTooLong => {
                Some("shorten the arguments and environment variables".to_owned())
            }
            _ => None,
        }
    }
}

/// Returns the file that is executed for a program.
fn find(program: &OsStr, folder: &Path, search_path: &OsStr) -> Option<PathBuf> {
    let candidates = candidate_paths(program, search_path);
    let mut candidates = candidates.map(|path| folder.join(path));
    candidates.find(|path| fs::symlink_metadata(path).is_ok())
}

/// Explains why the kernel did not find an existing file: the file refers to another file, which is missing.
fn explain_missing(path: &Path) -> Option<String> {
    let Ok(metadata) = fs::metadata(path) else {
        return Some("it is a link to a file that does not exist".to_owned());
    };
    // Opening a pipe would block.
    if !metadata.is_file() {
        return None;
    }
    let mut start = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_FIRST_LINE).read_to_end(&mut start).ok()?;
    if start.starts_with(b"\x7fELF") {
        let reason =
            "its dynamic loader does not exist: it was built for another system or C library";
        return Some(reason.to_owned());
    }
    let line = start
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line
        .trim_start_matches([' ', '\t'])
        .split([' ', '\t'])
        .next()?;
    Some(match interpreter.strip_suffix('\r') {
        Some(name) => format!(
            "its first line ends with CR LF, so that its interpreter is `{}\\r`; \
             convert the file to line ends without CR",
            name.escape_debug()
        ),
        None => format!(
            "its interpreter `{}` does not exist",
            interpreter.escape_debug()
        ),
    })
}

#[cfg(unix)]
fn is_resource_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let exhausted = [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| exhausted.contains(&error))
}

#[cfg(not(unix))]
fn is_resource_exhaustion(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn explain(program: &str, folder: &Path, errno: rustix::io::Errno) -> String {
        let error = StartError::execute(errno.into());
        let origin = ProgramLookup {
            program: program.into(),
            folder: folder.into(),
            search_path: "/bin:sub".into(),
            walls: None,
        };
        error.explain(&origin).unwrap_or_default()
    }

    #[test]
    fn missing_interpreter_is_named() -> io::Result<()> {
        use rustix::io::Errno;

        let folder = tempfile::tempdir()?;
        let path = folder.path();
        fs::create_dir(path.join("sub"))?;
        for (name, content) in [
            ("unix", "#! /no/such/sh -e\nexit\n"),
            ("dos", "#!/bin/sh\r\nexit\r\n"),
            ("sub/elf", "\x7fELF"),
        ] {
            fs::write(path.join(name), content)?;
        }
        symlink("nowhere", path.join("link"))?;
        for (program, expected) in [
            ("./unix", "its interpreter `/no/such/sh` does not exist"),
            (
                "./dos",
                "its first line ends with CR LF, so that its interpreter is `/bin/sh\\r`",
            ),
            ("elf", "its dynamic loader does not exist"),
            ("./link", "a link to a file that does not exist"),
            ("tool", "no folder of `PATH` has it, which is `/bin:sub`"),
        ] {
            let reason = explain(program, path, Errno::NOENT);
            assert!(reason.contains(expected), "{program}: {reason}");
        }
        assert_eq!(explain("./tool", path, Errno::NOENT), "");
        assert!(explain("./sub", path, Errno::ACCESS).contains("it is a folder"));
        assert!(explain("./dos", path, Errno::ACCESS).contains("chmod +x"));
        Ok(())
    }

    #[test]
    fn terminal_escapes_are_neutralised() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/\x1b[31m\n")?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
        let reason = explain("./script", folder.path(), rustix::io::Errno::NOENT);
        assert!(reason.contains("`/bin/\\u{1b}[31m`"), "{reason}");
        Ok(())
    }

    #[test]
    fn pipe_is_not_opened() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(pipe)
                .status()?
                .success()
        );
        assert_eq!(
            explain("./pipe", folder.path(), rustix::io::Errno::NOENT),
            ""
        );
        Ok(())
    }
}
