//! The start of the init program for a command: its streams, its file and its process.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use libc::c_int;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::cgroup::Cgroup;
use crate::clone;
use crate::command::SandboxCommand;
use crate::compose::{plan, plan_inside};
use crate::error::{SpawnError, SpawnStep};
use crate::isolation::{Isolation, Wall};
use crate::plan::PlannedSteps;
use crate::process::InitProcess;
use crate::stdio::StreamKind;
use crate::terminal::TerminalPair;
use crate::uids::UserLease;
use crate::user_mode::{RaisedWalls, UserMode};

/// The flag of `memfd_create` for programs, since Linux 6.3. Older kernels refuse it and need none.
const MEMFD_EXECUTABLE: MemfdFlags = MemfdFlags::from_bits_retain(0x10);

/// An init program that runs. The command may not have been executed yet.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: InitProcess,
    pub(crate) steps: PlannedSteps,
    /// Receives the failure of an operation; its end means that the command was executed.
    pub(crate) failure: OwnedFd,
    pub(crate) control: UnixStream,
    /// The worker's ends of pipes.
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// The worker's side of a terminal.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) walls: RaisedWalls,
    pub(crate) cgroup: Option<Arc<Cgroup>>,
}

/// Opens the files through which a process joins a control group.
pub(crate) fn join_files(cgroup: Option<&Cgroup>) -> Result<Vec<File>, SpawnError> {
    let files = cgroup.map_or(Ok(Vec::new()), Cgroup::join_files);
    files.map_err(failed(SpawnStep::JoinControlGroup))
}

/// Starts the init program for a command, in control groups that are given by their files of members. Blocks for less
/// than a millisecond, unless the file systems of the command's view are slower.
///
/// `isolation` is that of the command, or a part of it.
pub(crate) fn start_in_groups(
    command: &SandboxCommand,
    isolation: Isolation,
    groups: &[File],
) -> Result<Started, SpawnError> {
    let user = match command.user {
        Some(_) => None,
        None => isolation.lease_user()?,
    };
    let walls = RaisedWalls {
        user_mode: UserMode::new(command, &isolation, user.as_ref()),
        isolation,
    };
    let program = plan(command, &walls, groups.len())?;
    // Only a new process can be the first one of a process namespace. The user namespace belongs to
    // the same call: the kernel creates it first, and it gives the right to create the other one.
    let mut namespaces = 0;
    if walls.user_mode.user_namespace {
        namespaces |= libc::CLONE_NEWUSER;
    }
    if walls.isolation.has(Wall::Processes) {
        namespaces |= libc::CLONE_NEWPID;
    }
    let descriptors = groups.iter().map(File::as_fd).collect();
    start_program(program, command, descriptors, namespaces, walls, user)
}

/// Starts an init program that enters the walls and the control group of a running sandbox, whose first process is
/// `pidfd`.
pub(crate) fn start_inside(
    command: &SandboxCommand,
    walls: RaisedWalls,
    pidfd: &OwnedFd,
    cgroup: Option<&Cgroup>,
) -> Result<Started, SpawnError> {
    let groups = join_files(cgroup)?;
    let program = plan_inside(command, &walls, groups.len())?;
    let mut descriptors = vec![pidfd.as_fd()];
    descriptors.extend(groups.iter().map(File::as_fd));
    start_program(program, command, descriptors, 0, walls, None)
}

/// Decodes the message about the failure of an operation: its number and the error. `None` without a message.
pub(crate) fn decode_failure(message: &[u8]) -> Option<(u32, io::Error)> {
    let (operation, error) = message.split_at_checked(4)?;
    let operation = u32::from_ne_bytes(operation.try_into().ok()?);
    let error = i32::from_ne_bytes(error.try_into().ok()?);
    Some((operation, io::Error::from_raw_os_error(error)))
}

fn start_program(
    (program, steps): (Vec<u8>, PlannedSteps),
    command: &SandboxCommand,
    descriptors: Vec<BorrowedFd<'_>>,
    namespaces: c_int,
    walls: RaisedWalls,
    user: Option<UserLease>,
) -> Result<Started, SpawnError> {
    let prepare = failed(SpawnStep::Prepare);
    let program = program_file(&program).map_err(prepare)?;
    let streams = Streams::open(command, &walls.user_mode).map_err(prepare)?;
    let (failure, failure_inside) = io::pipe().map_err(prepare)?;
    let (control, control_inside) = UnixStream::pair().map_err(prepare)?;
    // In the order of the descriptors inside: 0, 1, 2, `FAILURE_FD` and `CONTROL_FD`.
    let mut files = vec![
        streams.inside[0].as_fd(),
        streams.inside[1].as_fd(),
        streams.inside[2].as_fd(),
        failure_inside.as_fd(),
        control_inside.as_fd(),
    ];
    files.extend(descriptors);
    let pid =
        clone::start(program.as_fd(), &files, namespaces).map_err(failed(SpawnStep::Clone))?;
    let owns_namespace = namespaces & libc::CLONE_NEWPID != 0;
    // From here on a drop kills the process. The inner ends are closed on return: a copy in the
    // worker would keep the pipe for failures open.
    let process = InitProcess::new(pid, owns_namespace, user);
    Ok(Started {
        process,
        steps,
        failure: failure.into(),
        control,
        streams: streams.outside,
        terminal: streams.terminal,
        walls,
        cgroup: None,
    })
}

fn failed(step: SpawnStep) -> impl Fn(io::Error) -> SpawnError + Copy {
    move |source| SpawnError::Step {
        step,
        path: None,
        source,
    }
}

/// The standard streams of a command: its own ends, and the worker's.
struct Streams {
    inside: [OwnedFd; 3],
    outside: [Option<OwnedFd>; 3],
    terminal: Option<OwnedFd>,
}

impl Streams {
    fn open(command: &SandboxCommand, user_mode: &UserMode) -> io::Result<Self> {
        if let Some(size) = command.terminal {
            let TerminalPair { outside, inside } = TerminalPair::open(size, user_mode.change_to)?;
            return Ok(Self {
                inside: [inside.try_clone()?, inside.try_clone()?, inside],
                outside: [None, None, None],
                terminal: Some(outside),
            });
        }
        let input = command.stdin.open(StreamKind::Input)?;
        let output = command.stdout.open(StreamKind::Output)?;
        let error = command.stderr.open(StreamKind::Error)?;
        Ok(Self {
            inside: [input.inside, output.inside, error.inside],
            outside: [input.outside, output.outside, error.outside],
            terminal: None,
        })
    }
}

/// Creates the file of the init program, in memory.
fn program_file(program: &[u8]) -> io::Result<File> {
    let name = c"sandbox-init";
    // With `vm.memfd_noexec=1`, the kernel makes a file without the flag not executable.
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MEMFD_EXECUTABLE)
        .or_else(|_| memfd_create(name, MemfdFlags::CLOEXEC))?;
    let mut file = File::from(file);
    file.write_all(program)?;
    Ok(file)
}
