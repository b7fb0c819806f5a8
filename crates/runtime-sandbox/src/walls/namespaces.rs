//! User, IPC, host name, control group and network namespaces.

use libc::c_int;

use crate::error::SpawnStep;
use crate::isolation::{Isolation, Wall};
use crate::plan::Plan;
use crate::walls::network;

/// The host name inside.
const HOST_NAME: &str = "sandbox";

/// Returns the flags of the namespaces that an isolation needs, without that of users.
pub(crate) fn flags(isolation: &Isolation) -> c_int {
    let flags = [
        (Wall::Files, libc::CLONE_NEWNS),
        // Both have their own `/proc`.
        (Wall::Processes, libc::CLONE_NEWPID | libc::CLONE_NEWNS),
        (Wall::Ipc, libc::CLONE_NEWIPC),
        (Wall::HostName, libc::CLONE_NEWUTS),
        (Wall::ControlGroups, libc::CLONE_NEWCGROUP),
        (Wall::Network, libc::CLONE_NEWNET),
    ];
    let wanted = flags
        .into_iter()
        .filter(|(wall, _)| needs(isolation, *wall));
    wanted.fold(0, |all, (_, flag)| all | flag)
}

/// Returns whether an isolation needs the namespace of a wall.
fn needs(isolation: &Isolation, wall: Wall) -> bool {
    match wall {
        Wall::Network => isolation.has_network_namespace(),
        _ => isolation.has(wall),
    }
}

/// Maps the worker's user and group to themselves in a new user namespace, the only mapping that needs no rights.
pub(crate) fn map_user(plan: &mut Plan, user: u32, group: u32) {
    plan.step(SpawnStep::MapUser);
    // The kernel requires this before an unprivileged process maps a group: it could leave a group whose members
    // have fewer rights than others.
    write_file(plan, c"/proc/self/setgroups".to_bytes_with_nul(), b"deny");
    let gid_map = format!("{group} {group} 1");
    write_file(
        plan,
        c"/proc/self/gid_map".to_bytes_with_nul(),
        gid_map.as_bytes(),
    );
    let uid_map = format!("{user} {user} 1");
    write_file(
        plan,
        c"/proc/self/uid_map".to_bytes_with_nul(),
        uid_map.as_bytes(),
    );
}

fn write_file(plan: &mut Plan, path: &[u8], text: &[u8]) {
    let path = plan.address(path);
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    let file = plan.open(
        libc::SYS_openat,
        [libc::AT_FDCWD.into(), path, flags.into()],
    );
    let address = plan.address(text);
    plan.call(libc::SYS_write, [file.into(), address, text.len().into()]);
    plan.call(libc::SYS_close, [file.into()]);
}

/// Creates all namespaces but the mount namespace.
pub(crate) fn unshare(plan: &mut Plan, isolation: &Isolation) {
    let mut unshare = |wall, step, flag: c_int| {
        let wanted = needs(isolation, wall);
        if wanted {
            plan.step(step);
            plan.call(libc::SYS_unshare, [flag.into()]);
        }
        wanted
    };
    unshare(Wall::Ipc, SpawnStep::IpcNamespace, libc::CLONE_NEWIPC);
    let step = SpawnStep::ControlGroupNamespace;
    unshare(Wall::ControlGroups, step, libc::CLONE_NEWCGROUP);
    let host_name = unshare(
        Wall::HostName,
        SpawnStep::HostNameNamespace,
        libc::CLONE_NEWUTS,
    );
    let network = unshare(
        Wall::Network,
        SpawnStep::NetworkNamespace,
        libc::CLONE_NEWNET,
    );
    if host_name {
        plan.step(SpawnStep::HostNameNamespace);
        let name = plan.address(HOST_NAME.as_bytes());
        plan.call(libc::SYS_sethostname, [name, HOST_NAME.len().into()]);
    }
    if network {
        plan.step(SpawnStep::NetworkNamespace);
        network::start_loopback(plan);
    }
}
