//! The start of a command: composes the operations, and starts the init program with them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use libc::c_int;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use crate::clone;
use crate::command::SandboxCommand;
use crate::error::{SpawnError, SpawnStep};
use crate::init::{self, CONTROL_FD, FAILURE_FD};
use crate::isolation::{Isolation, Wall};
use crate::plan::{Argument, Plan, PlannedSteps};
use crate::process::InitProcess;
use crate::stdio::StreamKind;
use crate::terminal::TerminalPair;
use crate::uids::UserLease;
use crate::walls::{credentials, landlock, mounts, namespaces, seccomp};

/// The search path of a command that sets no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The descriptor of the sandbox that an init program enters.
const ENTERED_FD: i32 = CONTROL_FD + 1;

/// The flag of `memfd_create` for programs, since Linux 6.3. Older kernels refuse it and need none.
const MEMFD_EXECUTABLE: MemfdFlags = MemfdFlags::from_bits_retain(0x10);

/// An init program that runs. The command may not have been executed yet.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: InitProcess,
    pub(crate) steps: PlannedSteps,
    /// Receives the failure of an operation, or ends when the command is executed.
    pub(crate) failure: OwnedFd,
    pub(crate) control: UnixStream,
    /// The worker's ends of pipes.
    pub(crate) streams: [Option<OwnedFd>; 3],
    /// The worker's side of a terminal.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) user: Option<UserLease>,
    pub(crate) walls: RaisedWalls,
}

/// The walls of a sandbox, to start another command behind them.
#[derive(Clone, Debug)]
pub(crate) struct RaisedWalls {
    isolation: Isolation,
    identity: Identity,
}

/// How the walls are raised on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// In a user namespace, since the worker has no rights of its own.
    user_namespace: bool,
    /// The user and group that the process becomes.
    change_to: Option<(u32, u32)>,
}

impl Identity {
    fn new(command: &SandboxCommand, isolation: &Isolation, lease: Option<&UserLease>) -> Self {
        let privileged = is_privileged();
        let namespaces = namespaces::flags(isolation) != 0;
        let change_to = lease.map(|it| (it.id(), it.id())).or(command.user);
        Self {
            user_namespace: !privileged && (namespaces || isolation.has(Wall::User)),
            change_to: change_to.filter(|_| privileged && isolation.has(Wall::User)),
        }
    }
}

/// Returns whether the worker can raise walls without a user namespace.
pub(crate) fn is_privileged() -> bool {
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::MKNOD
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::SYS_CHROOT;
    let is_root = geteuid().is_root();
    is_root && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Starts the init program for a command. Blocks for less than a millisecond, if the paths of the command's view do.
///
/// `isolation` is that of the command, or a part of it.
pub(crate) fn start(command: &SandboxCommand, isolation: Isolation) -> Result<Started, SpawnError> {
    let needs_lease = isolation.has(Wall::User) && command.user.is_none() && is_privileged();
    let user = needs_lease
        .then(|| UserLease::take(&isolation.users))
        .transpose()?;
    let walls = RaisedWalls {
        identity: Identity::new(command, &isolation, user.as_ref()),
        isolation,
    };
    let program = plan(command, &walls)?;
    let mut namespaces = 0;
    if walls.identity.user_namespace {
        namespaces |= libc::CLONE_NEWUSER;
    }
    if walls.isolation.has(Wall::Processes) {
        namespaces |= libc::CLONE_NEWPID;
    }
    let mut started = start_program(program, command, None, namespaces, walls)?;
    started.user = user;
    Ok(started)
}

/// Starts an init program that enters the walls of a running sandbox, whose first process is `pidfd`.
pub(crate) fn start_inside(
    command: &SandboxCommand,
    walls: RaisedWalls,
    pidfd: &OwnedFd,
) -> Result<Started, SpawnError> {
    let program = plan_inside(command, &walls)?;
    start_program(program, command, Some(pidfd), 0, walls)
}

fn start_program(
    (program, steps): (Vec<u8>, PlannedSteps),
    command: &SandboxCommand,
    entered: Option<&OwnedFd>,
    namespaces: c_int,
    walls: RaisedWalls,
) -> Result<Started, SpawnError> {
    let failed = |step| {
        move |source| SpawnError::Step {
            step,
            path: None,
            source,
        }
    };
    let prepare = failed(SpawnStep::Prepare);
    let program = program_file(&program).map_err(prepare)?;
    let streams = Streams::open(command, &walls.identity).map_err(prepare)?;
    let (failure, failure_inside) = io::pipe().map_err(prepare)?;
    let (control, control_inside) = UnixStream::pair().map_err(prepare)?;
    let mut files = vec![
        streams.inside[0].as_fd(),
        streams.inside[1].as_fd(),
        streams.inside[2].as_fd(),
        failure_inside.as_fd(),
        control_inside.as_fd(),
    ];
    files.extend(entered.map(OwnedFd::as_fd));
    files.extend(command.control_groups.iter().map(OwnedFd::as_fd));
    let pid =
        clone::start(program.as_fd(), &files, namespaces).map_err(failed(SpawnStep::Clone))?;
    let owns_namespace = namespaces & libc::CLONE_NEWPID != 0;
    let process = InitProcess::new(pid, owns_namespace);
    Ok(Started {
        process,
        steps,
        failure: failure.into(),
        control,
        streams: streams.outside,
        terminal: streams.terminal,
        user: None,
        walls,
    })
}

/// The standard streams of a command: its own ends, and the worker's.
struct Streams {
    inside: [OwnedFd; 3],
    outside: [Option<OwnedFd>; 3],
    terminal: Option<OwnedFd>,
}

impl Streams {
    fn open(command: &SandboxCommand, identity: &Identity) -> io::Result<Self> {
        if let Some(size) = command.terminal {
            let TerminalPair { outside, inside } = TerminalPair::open(size, identity.change_to)?;
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
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MEMFD_EXECUTABLE)
        .or_else(|_| memfd_create(name, MemfdFlags::CLOEXEC))?;
    let mut file = File::from(file);
    file.write_all(program)?;
    Ok(file)
}

/// Composes the operations of a start.
fn plan(
    command: &SandboxCommand,
    RaisedWalls {
        isolation,
        identity,
    }: &RaisedWalls,
) -> Result<(Vec<u8>, PlannedSteps), SpawnError> {
    let mut plan = Plan::default();
    begin(&mut plan, command, CONTROL_FD + 1);
    if identity.user_namespace {
        namespaces::map_user(&mut plan, geteuid().as_raw(), getegid().as_raw());
    }
    raise_walls(&mut plan, isolation, identity)?;
    if command.is_probe {
        plan.call(libc::SYS_exit_group, [0.into()]);
    }
    let processes = isolation.has(Wall::Processes);
    serve_and_fork(&mut plan, processes, |plan| execute(plan, command))?;
    let flags = if processes {
        init::EXIT_WITH_COMMAND
    } else {
        0
    };
    Ok(plan.finish(flags))
}

/// Composes the operations of a start inside the walls of a sandbox.
fn plan_inside(
    command: &SandboxCommand,
    RaisedWalls {
        isolation,
        identity,
    }: &RaisedWalls,
) -> Result<(Vec<u8>, PlannedSteps), SpawnError> {
    let mut plan = Plan::default();
    begin(&mut plan, command, ENTERED_FD + 1);
    plan.step(SpawnStep::Enter);
    let mut flags = namespaces::flags(isolation);
    if identity.user_namespace {
        flags |= libc::CLONE_NEWUSER;
    }
    if flags != 0 {
        plan.call(libc::SYS_setns, [ENTERED_FD.into(), flags.into()]);
    }
    plan.call(libc::SYS_close, [ENTERED_FD.into()]);
    plan.call(libc::SYS_umask, [0o022.into()]);
    restrict(&mut plan, isolation, identity)?;
    serve_and_fork(&mut plan, false, |plan| execute(plan, command))?;
    Ok(plan.finish(0))
}

/// Closes the worker's descriptors, and joins the control groups, whose files are the last ones.
fn begin(plan: &mut Plan, command: &SandboxCommand, first_group: i32) {
    plan.step(SpawnStep::CloseFiles);
    let first_unused = first_group + command.control_groups.len() as i32;
    let arguments = [first_unused.into(), u32::MAX.into(), 0.into()];
    plan.call(libc::SYS_close_range, arguments);
    if first_unused > first_group {
        plan.step(SpawnStep::JoinControlGroup);
        let own_pid = plan.address(b"0");
        for file in first_group..first_unused {
            plan.call(libc::SYS_write, [file.into(), own_pid, 1.into()]);
            plan.call(libc::SYS_close, [file.into()]);
        }
    }
    // Not part of the worker's session, whose terminal could interrupt it.
    plan.attempt(libc::SYS_setsid, []);
}

/// Raises the walls around the process, which keeps no right that the command does not have.
fn raise_walls(
    plan: &mut Plan,
    isolation: &Isolation,
    identity: &Identity,
) -> Result<(), SpawnError> {
    namespaces::unshare(plan, isolation);
    if isolation.has(Wall::Files) {
        if !isolation.has(Wall::Processes) {
            let (wall, reason) = (
                Wall::Files,
                "add the wall `processes`, since `/proc` shows a process namespace",
            );
            return Err(SpawnError::Settings { wall, reason });
        }
        mounts::change_root(plan, &isolation.files, !identity.user_namespace)?;
    } else if isolation.has(Wall::Processes) {
        mounts::change_process_files(plan)?;
    }
    restrict(plan, isolation, identity)
}

/// Drops rights, and adds the walls that do not need any.
fn restrict(plan: &mut Plan, isolation: &Isolation, identity: &Identity) -> Result<(), SpawnError> {
    drop_rights(plan, isolation, identity);
    if isolation.has(Wall::Landlock) {
        let own_root = isolation.has(Wall::Files);
        landlock::restrict(plan, &isolation.files, own_root)?;
    }
    if isolation.has(Wall::SystemCalls) {
        seccomp::filter(plan);
    }
    Ok(())
}

fn drop_rights(plan: &mut Plan, isolation: &Isolation, identity: &Identity) {
    let privileges = isolation.has(Wall::Privileges);
    if privileges || isolation.has(Wall::User) {
        credentials::leave_keyring(plan);
    }
    if privileges {
        credentials::empty_bounding_set(plan);
    }
    if let Some((user, group)) = identity.change_to {
        credentials::change_user(plan, user, group);
    }
    if privileges {
        credentials::drop_capabilities(plan);
    }
    if privileges || isolation.has(Wall::Landlock) || isolation.has(Wall::SystemCalls) {
        credentials::no_new_privileges(plan);
    }
}

/// Forks: the new process does `execute`, and the init process waits.
fn serve_and_fork(
    plan: &mut Plan,
    processes: bool,
    execute: impl FnOnce(&mut Plan) -> Result<(), SpawnError>,
) -> Result<(), SpawnError> {
    plan.step(SpawnStep::Fork);
    // Before the fork, so that the command can never read the memory of the init process.
    let prctl = |plan: &mut Plan, option: c_int, value: u32| {
        let zero = Argument::Value(0);
        plan.call(
            libc::SYS_prctl,
            [option.into(), value.into(), zero, zero, zero],
        );
    };
    prctl(plan, libc::PR_SET_DUMPABLE, 0);
    if !processes {
        prctl(plan, libc::PR_SET_CHILD_SUBREAPER, 1);
    }
    // All signals are blocked since the clone.
    let mask = plan.address(&(1_u64 << (libc::SIGCHLD - 1)).to_ne_bytes());
    let arguments = [(-1).into(), mask, 8.into(), libc::SFD_CLOEXEC.into()];
    plan.store(init::SIGNAL_FD_CELL, libc::SYS_signalfd4, arguments);
    let fork = plan.fork();
    execute(plan)?;
    plan.parent(fork);
    // The streams of the command end when the command closes them.
    plan.step(SpawnStep::CloseFiles);
    plan.call(
        libc::SYS_close_range,
        [0.into(), FAILURE_FD.into(), 0.into()],
    );
    plan.serve();
    Ok(())
}

/// Turns the process into the command.
fn execute(plan: &mut Plan, command: &SandboxCommand) -> Result<(), SpawnError> {
    plan.step(SpawnStep::Session);
    plan.call(libc::SYS_setsid, []);
    if command.terminal.is_some() {
        let request = libc::TIOCSCTTY;
        plan.call(libc::SYS_ioctl, [0.into(), request.into(), 0.into()]);
    }
    plan.call(libc::SYS_close, [CONTROL_FD.into()]);
    let close_on_exec = [
        FAILURE_FD.into(),
        libc::F_SETFD.into(),
        libc::FD_CLOEXEC.into(),
    ];
    plan.call(libc::SYS_fcntl, close_on_exec);
    reset_signals(plan);
    command.limits.apply(plan);
    if let Some(directory) = &command.directory {
        plan.step_on(SpawnStep::WorkingDirectory, directory);
        let directory = plan.string(directory)?;
        plan.call(libc::SYS_chdir, [directory]);
    }
    execute_program(plan, command)
}

/// Restores the default action of each signal, since those that the worker ignores would stay ignored, and unblocks
/// all.
fn reset_signals(plan: &mut Plan) {
    let default = plan.address(&[0; 32]);
    for signal in 1..=64_u32 {
        // Fails for signals without a settable action.
        let arguments = [signal.into(), default, 0.into(), 8.into()];
        plan.attempt(libc::SYS_rt_sigaction, arguments);
    }
    let arguments = [libc::SIG_SETMASK.into(), default, 0.into(), 8.into()];
    plan.call(libc::SYS_rt_sigprocmask, arguments);
}

fn execute_program(plan: &mut Plan, command: &SandboxCommand) -> Result<(), SpawnError> {
    plan.step_on(SpawnStep::Execute, Path::new(&command.program));
    let texts = [&command.program].into_iter().chain(&command.arguments);
    let arguments = texts.map(|text| plan.string(text));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    let arguments = plan.pointers(&arguments);
    let mut variables = Vec::new();
    for (name, value) in &command.variables {
        let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
        variables.push(plan.string(OsStr::from_bytes(&pair))?);
    }
    let variables = plan.pointers(&variables);
    if command.program.as_bytes().contains(&b'/') {
        let program = plan.string(&command.program)?;
        plan.exec([program, arguments, variables]);
    } else if !command.program.is_empty() {
        let path = command.variables.get(OsStr::new("PATH"));
        let path = path.map_or(DEFAULT_PATH.as_bytes(), |it| it.as_bytes());
        for folder in path.split(|byte| *byte == b':') {
            let candidate = Path::new(OsStr::from_bytes(folder)).join(&command.program);
            let program = plan.string(candidate)?;
            plan.exec([program, arguments, variables]);
        }
    }
    plan.fail();
    Ok(())
}
