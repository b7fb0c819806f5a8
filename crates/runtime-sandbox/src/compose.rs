//! The operations of a start, in order.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use libc::c_int;
use rustix::process::{getegid, geteuid};

use crate::command::SandboxCommand;
use crate::error::{SpawnError, SpawnStep};
use crate::init::{self, CONTROL_FD, FAILURE_FD};
use crate::isolation::{Isolation, Wall};
use crate::plan::{Argument, Plan, PlannedSteps};
use crate::user_mode::{RaisedWalls, UserMode};
use crate::walls::{credentials, landlock, mounts, namespaces, network, seccomp};

/// The search path of a command that sets no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The descriptor of the sandbox that an init program enters.
const ENTERED_FD: i32 = CONTROL_FD + 1;

/// Composes the operations of a start, which joins this number of control groups.
pub(crate) fn plan(
    command: &SandboxCommand,
    walls: &RaisedWalls,
    groups: usize,
) -> Result<(Vec<u8>, PlannedSteps), SpawnError> {
    let (isolation, user_mode) = (&walls.isolation, &walls.user_mode);
    let mut plan = begin(CONTROL_FD + 1, groups);
    if user_mode.user_namespace {
        namespaces::map_user(&mut plan, geteuid().as_raw(), getegid().as_raw());
    }
    namespaces::unshare(&mut plan, isolation);
    set_up_network(&mut plan, command, isolation)?;
    raise_walls(&mut plan, isolation, user_mode)?;
    if command.is_probe {
        change_directory(&mut plan, command)?;
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
pub(crate) fn plan_inside(
    command: &SandboxCommand,
    walls: &RaisedWalls,
    groups: usize,
) -> Result<(Vec<u8>, PlannedSteps), SpawnError> {
    let (isolation, user_mode) = (&walls.isolation, &walls.user_mode);
    let mut plan = begin(ENTERED_FD + 1, groups);
    plan.step(SpawnStep::Enter);
    let mut flags = namespaces::flags(isolation);
    if user_mode.user_namespace {
        flags |= libc::CLONE_NEWUSER;
    }
    if flags != 0 {
        plan.call(libc::SYS_setns, [ENTERED_FD.into(), flags.into()]);
    }
    plan.call(libc::SYS_close, [ENTERED_FD.into()]);
    plan.call(libc::SYS_umask, [0o022.into()]);
    restrict(&mut plan, isolation, user_mode)?;
    serve_and_fork(&mut plan, false, |plan| execute(plan, command))?;
    Ok(plan.finish(0))
}

/// Begins a plan: closes the worker's descriptors, and joins the control groups, whose files are the last ones.
fn begin(first_group: i32, groups: usize) -> Plan {
    let mut plan = Plan::default();
    plan.step(SpawnStep::CloseFiles);
    // Those without close-on-exec, which any library of the worker may have opened. The others were
    // closed by the execution of the init program.
    let first_unused = first_group + groups as i32;
    let arguments = [first_unused.into(), u32::MAX.into(), 0.into()];
    plan.call(libc::SYS_close_range, arguments);
    if first_unused > first_group {
        // Before the walls: the group becomes the root of a control group namespace, and joining it
        // needs a right that the process drops.
        plan.step(SpawnStep::JoinControlGroup);
        // `0` is the writing process itself, so the plan needs no pid.
        let own_pid = plan.address(b"0");
        for file in first_group..first_unused {
            plan.call(libc::SYS_write, [file.into(), own_pid, 1.into()]);
            plan.call(libc::SYS_close, [file.into()]);
        }
    }
    // Not part of the worker's session, whose terminal could interrupt it.
    plan.attempt(libc::SYS_setsid, []);
    plan
}

/// Opens the listeners and the outgoing connections of the network namespace, while the process still has the
/// privileges for it.
fn set_up_network(
    plan: &mut Plan,
    command: &SandboxCommand,
    isolation: &Isolation,
) -> Result<(), SpawnError> {
    let wall = Wall::Network;
    if !command.ports.is_empty() && !isolation.has_network_namespace() {
        let reason = "listening on a port of the sandbox needs a network namespace";
        return Err(SpawnError::Settings { wall, reason });
    }
    for port in &command.ports {
        network::listen(plan, *port);
    }
    if isolation.has_outbound() {
        if !isolation.has(Wall::Privileges) {
            let reason = "add the wall `privileges`, without which the command could open the closed addresses";
            return Err(SpawnError::Settings { wall, reason });
        }
        network::wait_for_worker(plan);
    }
    Ok(())
}

/// Raises the walls around the process, which then has the same rights as the command.
fn raise_walls(
    plan: &mut Plan,
    isolation: &Isolation,
    user_mode: &UserMode,
) -> Result<(), SpawnError> {
    if isolation.has(Wall::Files) {
        if !isolation.has(Wall::Processes) {
            let (wall, reason) = (
                Wall::Files,
                "add the wall `processes`, since `/proc` shows a process namespace",
            );
            return Err(SpawnError::Settings { wall, reason });
        }
        mounts::change_root(plan, &isolation.files, !user_mode.user_namespace)?;
    } else if isolation.has(Wall::Processes) {
        mounts::change_process_files(plan)?;
    }
    restrict(plan, isolation, user_mode)
}

/// Drops privileges, and adds the walls that need no privileges.
fn restrict(
    plan: &mut Plan,
    isolation: &Isolation,
    user_mode: &UserMode,
) -> Result<(), SpawnError> {
    drop_rights(plan, isolation, user_mode);
    if isolation.has(Wall::Landlock) {
        let own_root = isolation.has(Wall::Files);
        landlock::restrict(plan, &isolation.files, own_root)?;
    }
    if isolation.has_socket_filter() {
        seccomp::filter_sockets(plan);
    }
    if isolation.has(Wall::SystemCalls) {
        // Last: the filter refuses the mounts and namespaces of the other walls.
        seccomp::filter(plan);
    }
    Ok(())
}

fn drop_rights(plan: &mut Plan, isolation: &Isolation, user_mode: &UserMode) {
    let privileges = isolation.has(Wall::Privileges);
    if privileges || isolation.has(Wall::User) {
        credentials::leave_keyring(plan);
    }
    if privileges {
        credentials::empty_bounding_set(plan);
    }
    if let Some((user, group)) = user_mode.change_to {
        credentials::change_user(plan, user, group);
    }
    if privileges {
        // After the change of the user, which needs them.
        credentials::drop_capabilities(plan);
    }
    let filters = isolation.has_socket_filter() || isolation.has(Wall::SystemCalls);
    if privileges || isolation.has(Wall::Landlock) || filters {
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
        // Without a namespace, the orphans of the command would become children of another process,
        // and the init process could neither end nor reap them.
        prctl(plan, libc::PR_SET_CHILD_SUBREAPER, 1);
    }
    // All signals are blocked since the clone.
    let mask = plan.address(&(1_u64 << (libc::SIGCHLD - 1)).to_ne_bytes());
    let arguments = [(-1).into(), mask, 8.into(), libc::SFD_CLOEXEC.into()];
    plan.store(init::SIGNAL_FD_CELL, libc::SYS_signalfd4, arguments);
    let fork = plan.fork();
    execute(plan)?;
    plan.parent(fork);
    // The streams of the command end when the command closes them. So does the pipe for failures,
    // whose end without a message shows that the command was executed.
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
    // Also a new process group, to which the init process passes the worker's signals on.
    plan.call(libc::SYS_setsid, []);
    if command.terminal.is_some() {
        let request = libc::TIOCSCTTY;
        plan.call(libc::SYS_ioctl, [0.into(), request.into(), 0.into()]);
    }
    // The command must not hold the stream: it could read the worker's signals, and could keep the
    // sandbox alive after the worker.
    plan.call(libc::SYS_close, [CONTROL_FD.into()]);
    let close_on_exec = [
        FAILURE_FD.into(),
        libc::F_SETFD.into(),
        libc::FD_CLOEXEC.into(),
    ];
    plan.call(libc::SYS_fcntl, close_on_exec);
    reset_signals(plan);
    command.limits.apply(plan);
    change_directory(plan, command)?;
    execute_program(plan, command)
}

fn change_directory(plan: &mut Plan, command: &SandboxCommand) -> Result<(), SpawnError> {
    if let Some(directory) = &command.directory {
        plan.step_on(SpawnStep::WorkingDirectory, directory);
        let directory = plan.string(directory)?;
        plan.call(libc::SYS_chdir, [directory]);
    }
    Ok(())
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
    let mut arguments = vec![plan.text("program", &command.program)?];
    for argument in &command.arguments {
        arguments.push(plan.text("argument", argument)?);
    }
    let arguments = plan.pointers(&arguments);
    let mut variables = Vec::new();
    for (name, value) in &command.variables {
        let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
        variables.push(plan.text("environment variable", OsStr::from_bytes(&pair))?);
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
