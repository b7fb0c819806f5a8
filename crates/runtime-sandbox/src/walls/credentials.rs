//! Users, capabilities and keyrings.

use crate::error::SpawnStep;
use crate::plan::Plan;

/// The number of the last capability that some kernel may have. Larger ones than the kernel's are refused.
const LAST_CAPABILITY: u32 = 63;

/// `KEYCTL_JOIN_SESSION_KEYRING`.
const JOIN_SESSION_KEYRING: u32 = 1;

/// Leaves the worker's session keyring, whose keys the command could use as their possessor.
pub(crate) fn leave_keyring(plan: &mut Plan) {
    plan.step(SpawnStep::Keyring);
    // Fails if the kernel has no keyrings.
    plan.attempt(libc::SYS_keyctl, [JOIN_SESSION_KEYRING.into(), 0.into()]);
}

/// Becomes another user and group, without supplementary groups. Needs root.
pub(crate) fn change_user(plan: &mut Plan, user: u32, group: u32) {
    plan.step(SpawnStep::ChangeUser);
    // In this order: after the change of the user, the process may change neither groups nor group.
    plan.call(libc::SYS_setgroups, [0.into(), 0.into()]);
    plan.call(libc::SYS_setresgid, [group.into(); 3]);
    plan.call(libc::SYS_setresuid, [user.into(); 3]);
}

/// Empties the bounding set, so that no program can gain a capability. Before the user changes.
pub(crate) fn empty_bounding_set(plan: &mut Plan) {
    plan.step(SpawnStep::DropCapabilities);
    for capability in 0..=LAST_CAPABILITY {
        // Fails for capabilities that the kernel does not have. Without the right to drop any, the worker has none.
        let drop = libc::PR_CAPBSET_DROP;
        plan.attempt(
            libc::SYS_prctl,
            [drop.into(), capability.into(), 0.into(), 0.into(), 0.into()],
        );
    }
}

/// Drops all capabilities of the process, and those that it would pass on.
pub(crate) fn drop_capabilities(plan: &mut Plan) {
    plan.step(SpawnStep::DropCapabilities);
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    let ambient = [
        libc::PR_CAP_AMBIENT.into(),
        clear.into(),
        0.into(),
        0.into(),
        0.into(),
    ];
    plan.call(libc::SYS_prctl, ambient);
    let mut header = Vec::new();
    for number in [0x2008_0522_u32, 0] {
        header.extend(number.to_ne_bytes());
    }
    let header = plan.address(&header);
    let data = plan.address(&[0; 24]);
    plan.call(libc::SYS_capset, [header, data]);
}

/// Forbids that the execution of a program adds privileges. Also the condition for filters of an ordinary user.
pub(crate) fn no_new_privileges(plan: &mut Plan) {
    plan.step(SpawnStep::NoNewPrivileges);
    let option = libc::PR_SET_NO_NEW_PRIVS;
    plan.call(
        libc::SYS_prctl,
        [option.into(), 1.into(), 0.into(), 0.into(), 0.into()],
    );
}
