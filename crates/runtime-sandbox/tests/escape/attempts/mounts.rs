//! Mounts, root folders and namespaces.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;

use super::attempts;
use crate::sys::{address, call, fork, held, text};
use crate::target::Target;

attempts! {
    without_walls: ;
    others:
        mount_memory_over_programs,
        mount_processes_again,
        mount_kernel_objects,
        mount_control_groups,
        mount_devices,
        mount_an_overlay,
        bind_the_root_folder,
        remount_a_read_only_folder,
        open_a_file_system,
        copy_a_mount,
        clear_read_only_attribute,
        move_a_mount,
        unmount_the_root_folder,
        unmount_a_bound_folder,
        uncover_hidden_files,
        change_root_and_leave,
        pivot_to_another_root,
        create_a_user_namespace,
        create_a_mount_namespace,
        clone_into_a_user_namespace,
        clone3_into_a_user_namespace,
        create_a_network_namespace,
        create_a_time_namespace,
        join_mounts_of_init,
        join_users_of_init,
        join_processes_of_the_decoy,
        join_network_of_the_decoy,
        write_release_agent,
}

const NAMESPACE_USER: usize = libc::CLONE_NEWUSER as usize;

fn mount(source: usize, at: usize, kind: usize, flags: u64) -> io::Result<()> {
    call(libc::SYS_mount, [source, at, kind, flags as usize, 0])?;
    call(libc::SYS_umount2, [at, libc::MNT_DETACH as usize]).map(drop)
}

fn mount_memory_over_programs(_: &Target) -> io::Result<()> {
    mount(text(c"none"), text(c"/usr"), text(c"tmpfs"), 0)
}

fn mount_processes_again(_: &Target) -> io::Result<()> {
    mount(text(c"none"), text(c"/tmp"), text(c"proc"), 0)
}

fn mount_kernel_objects(_: &Target) -> io::Result<()> {
    mount(text(c"none"), text(c"/tmp"), text(c"sysfs"), 0)
}

fn mount_control_groups(_: &Target) -> io::Result<()> {
    mount(text(c"none"), text(c"/tmp"), text(c"cgroup2"), 0)
}

fn mount_devices(_: &Target) -> io::Result<()> {
    mount(text(c"none"), text(c"/tmp"), text(c"devtmpfs"), 0)
}

fn mount_an_overlay(_: &Target) -> io::Result<()> {
    let options = text(c"lowerdir=/usr:/etc");
    call(
        libc::SYS_mount,
        [text(c"none"), text(c"/tmp"), text(c"overlay"), 0, options],
    )
    .map(drop)
}

fn bind_the_root_folder(_: &Target) -> io::Result<()> {
    mount(text(c"/"), text(c"/tmp"), 0, libc::MS_BIND | libc::MS_REC)
}

fn remount_a_read_only_folder(_: &Target) -> io::Result<()> {
    let flags = (libc::MS_REMOUNT | libc::MS_BIND) as usize;
    call(libc::SYS_mount, [0, text(c"/read-only"), 0, flags, 0]).map(drop)
}

fn open_a_file_system(_: &Target) -> io::Result<()> {
    call(libc::SYS_fsopen, [text(c"tmpfs"), 0]).map(drop)
}

fn copy_a_mount(_: &Target) -> io::Result<()> {
    let here = libc::AT_FDCWD as usize;
    call(libc::SYS_open_tree, [here, text(c"/read-only"), 1]).map(drop)
}

fn clear_read_only_attribute(_: &Target) -> io::Result<()> {
    // `struct mount_attr`: nothing to set, the read-only attribute to clear.
    let mut attributes = [0_u64, 1, 0, 0];
    let here = libc::AT_FDCWD as usize;
    let arguments = [here, text(c"/read-only"), 0, address(&mut attributes), 32];
    call(libc::SYS_mount_setattr, arguments).map(drop)
}

fn move_a_mount(_: &Target) -> io::Result<()> {
    let here = libc::AT_FDCWD as usize;
    call(
        libc::SYS_move_mount,
        [here, text(c"/read-only"), here, text(c"/tmp"), 0],
    )
    .map(drop)
}

fn unmount_the_root_folder(_: &Target) -> io::Result<()> {
    call(libc::SYS_umount2, [text(c"/"), libc::MNT_DETACH as usize]).map(drop)
}

fn unmount_a_bound_folder(_: &Target) -> io::Result<()> {
    call(libc::SYS_umount2, [text(c"/read-only"), 0]).map(drop)
}

fn uncover_hidden_files(_: &Target) -> io::Result<()> {
    call(
        libc::SYS_umount2,
        [text(c"/etc/shadow"), libc::MNT_DETACH as usize],
    )
    .map(drop)
}

fn change_root_and_leave(_: &Target) -> io::Result<()> {
    let _outside = File::open("/")?;
    fs::create_dir_all("/tmp/jail")?;
    call(libc::SYS_chroot, [text(c"/tmp/jail")]).map(drop)
}

fn pivot_to_another_root(_: &Target) -> io::Result<()> {
    call(libc::SYS_pivot_root, [text(c"/tmp"), text(c"/tmp")]).map(drop)
}

fn create_a_user_namespace(_: &Target) -> io::Result<()> {
    call(libc::SYS_unshare, [NAMESPACE_USER]).map(drop)
}

fn create_a_mount_namespace(_: &Target) -> io::Result<()> {
    call(libc::SYS_unshare, [libc::CLONE_NEWNS as usize]).map(drop)
}

fn create_a_network_namespace(_: &Target) -> io::Result<()> {
    call(libc::SYS_unshare, [libc::CLONE_NEWNET as usize]).map(drop)
}

fn create_a_time_namespace(_: &Target) -> io::Result<()> {
    /// `libc` does not have it for all C libraries.
    const NEW_TIME: usize = 0x80;
    call(libc::SYS_unshare, [NEW_TIME]).map(drop)
}

/// Ends the process that a clone created, which continues here like a fork.
fn end_of_clone(pid: usize) -> io::Result<()> {
    if pid == 0 {
        call(libc::SYS_exit_group, [0])?;
    }
    Ok(())
}

fn clone_into_a_user_namespace(_: &Target) -> io::Result<()> {
    let flags = NAMESPACE_USER | libc::SIGCHLD as usize;
    end_of_clone(call(libc::SYS_clone, [flags, 0, 0, 0, 0])?)
}

fn clone3_into_a_user_namespace(_: &Target) -> io::Result<()> {
    // `struct clone_args`: the flags, three addresses, and the signal at the end.
    let mut arguments = [
        NAMESPACE_USER as u64,
        0,
        0,
        0,
        libc::SIGCHLD as u64,
        0,
        0,
        0,
    ];
    end_of_clone(call(libc::SYS_clone3, [address(&mut arguments), 64])?)
}

fn join(path: String, flag: i32) -> io::Result<()> {
    let namespace = File::open(path)?;
    call(
        libc::SYS_setns,
        [namespace.as_raw_fd() as usize, flag as usize],
    )
    .map(drop)
}

fn join_mounts_of_init(_: &Target) -> io::Result<()> {
    join("/proc/1/ns/mnt".to_owned(), libc::CLONE_NEWNS)
}

fn join_users_of_init(_: &Target) -> io::Result<()> {
    join("/proc/1/ns/user".to_owned(), libc::CLONE_NEWUSER)
}

fn join_processes_of_the_decoy(target: &Target) -> io::Result<()> {
    join(format!("/proc/{}/ns/pid", target.pid), libc::CLONE_NEWPID)
}

fn join_network_of_the_decoy(target: &Target) -> io::Result<()> {
    join(format!("/proc/{}/ns/net", target.pid), libc::CLONE_NEWNET)
}

/// Mounts the first version of control groups in a namespace, whose `release_agent` would run on the machine.
fn write_release_agent(_: &Target) -> io::Result<()> {
    match fork()? {
        Some(pid) => {
            let mut status = 0_i32;
            call(libc::SYS_wait4, [pid as usize, address(&mut status), 0, 0])?;
            if status == 0 {
                Ok(())
            } else {
                held("no namespace")
            }
        }
        None => {
            let flags =
                NAMESPACE_USER | libc::CLONE_NEWNS as usize | libc::CLONE_NEWCGROUP as usize;
            let entered = call(libc::SYS_unshare, [flags]).is_ok();
            let mounted =
                entered && mount(text(c"none"), text(c"/tmp"), text(c"cgroup"), 0).is_ok();
            call(libc::SYS_exit_group, [usize::from(!mounted)]).map(drop)
        }
    }
}
