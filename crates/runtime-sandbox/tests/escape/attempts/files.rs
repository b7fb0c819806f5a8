//! Files, folders, sockets and devices of the machine.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::attempts;
use crate::sys::{address, call, held, text};
use crate::target::Target;

attempts! {
    without_walls:
        read_file_of_the_worker,
        list_folder_of_the_worker,
        follow_link_out_of_a_writable_folder,
        connect_to_a_daemon_socket,
        see_other_folders_of_the_machine,
        see_kernel_objects,
        write_to_a_read_only_folder,
        change_mode_of_a_read_only_file,
        reopen_a_read_only_file_for_writing,
        truncate_a_read_only_file,
        set_times_of_a_read_only_file,
        move_a_read_only_file,
        link_a_read_only_file_into_a_writable_folder,
        see_disks_of_the_machine,
    ;
    others:
        read_file_through_root_of_init,
        read_file_through_root_of_a_process,
        read_file_through_dots,
        read_file_through_working_folder_of_init,
        read_password_hashes,
        read_host_keys,
        write_to_the_password_file,
        add_a_program,
        write_to_the_root_folder,
        replace_a_device,
        open_memory_devices,
        open_kernel_messages,
        open_virtual_machine_device,
        open_file_system_device,
        create_a_block_device,
        create_a_character_device,
        create_a_device_in_a_bound_folder,
        link_a_system_file_into_a_writable_folder,
        open_file_by_handle,
        run_a_setuid_program,
        become_a_setuid_program,
}

fn read(path: impl AsRef<Path>, target: &Target) -> io::Result<()> {
    let content = fs::read_to_string(path)?;
    if content == target.secret {
        Ok(())
    } else {
        held("another file")
    }
}

/// Returns a path below another root folder.
fn below(root: impl AsRef<Path>, path: &Path) -> PathBuf {
    root.as_ref().join(path.strip_prefix("/").unwrap_or(path))
}

fn open_for_writing(path: impl AsRef<Path>) -> io::Result<()> {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn open_any(paths: &[&str]) -> io::Result<()> {
    let mut error = io::Error::other("none exists");
    for path in paths {
        match File::open(path) {
            Ok(_) => return Ok(()),
            Err(other) => error = other,
        }
    }
    Err(error)
}

fn read_file_of_the_worker(target: &Target) -> io::Result<()> {
    read(&target.file, target)
}

fn list_folder_of_the_worker(target: &Target) -> io::Result<()> {
    fs::read_dir(target.file.parent().unwrap_or(&target.file)).map(drop)
}

fn read_file_through_root_of_init(target: &Target) -> io::Result<()> {
    read(below("/proc/1/root", &target.file), target)
}

fn read_file_through_root_of_a_process(target: &Target) -> io::Result<()> {
    read(
        below(format!("/proc/{}/root", target.pid), &target.file),
        target,
    )
}

fn read_file_through_dots(target: &Target) -> io::Result<()> {
    read(below("/proc/self/root/../../../..", &target.file), target)
}

fn read_file_through_working_folder_of_init(target: &Target) -> io::Result<()> {
    read(below("/proc/1/cwd/../../../../../..", &target.file), target)
}

fn follow_link_out_of_a_writable_folder(target: &Target) -> io::Result<()> {
    let link = &target.writable.join("link");
    let _ = fs::remove_file(link);
    symlink(&target.file, link)?;
    let result = read(link, target);
    fs::remove_file(link)?;
    result
}

fn connect_to_a_daemon_socket(target: &Target) -> io::Result<()> {
    UnixStream::connect(&target.socket).map(drop)
}

fn see_other_folders_of_the_machine(_: &Target) -> io::Result<()> {
    open_any(&[
        "/var", "/run", "/home", "/root", "/srv", "/opt", "/boot", "/mnt",
    ])
}

fn see_kernel_objects(_: &Target) -> io::Result<()> {
    open_any(&["/sys/kernel", "/sys/fs/cgroup"])
}

fn read_password_hashes(_: &Target) -> io::Result<()> {
    let mut hashes = String::new();
    File::open("/etc/shadow")?.read_to_string(&mut hashes)?;
    if hashes.is_empty() {
        held("empty")
    } else {
        Ok(())
    }
}

fn read_host_keys(_: &Target) -> io::Result<()> {
    if fs::read_dir("/etc/ssh")?.next().is_some() {
        Ok(())
    } else {
        held("empty")
    }
}

fn write_to_the_password_file(_: &Target) -> io::Result<()> {
    open_for_writing("/etc/passwd")
}

fn add_a_program(_: &Target) -> io::Result<()> {
    let program = "/usr/bin/sandbox-attempt";
    File::create_new(program)?;
    fs::remove_file(program)
}

fn write_to_the_root_folder(_: &Target) -> io::Result<()> {
    let file = "/sandbox-attempt";
    File::create_new(file)?;
    fs::remove_file(file)
}

fn replace_a_device(_: &Target) -> io::Result<()> {
    fs::rename("/dev/null", "/dev/null-moved")?;
    fs::rename("/dev/null-moved", "/dev/null")
}

fn open_memory_devices(_: &Target) -> io::Result<()> {
    open_any(&["/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore"])
}

fn open_kernel_messages(_: &Target) -> io::Result<()> {
    open_any(&["/dev/kmsg", "/proc/kmsg"])
}

fn open_virtual_machine_device(_: &Target) -> io::Result<()> {
    open_any(&["/dev/kvm", "/dev/vhost-net", "/dev/net/tun"])
}

fn open_file_system_device(_: &Target) -> io::Result<()> {
    open_any(&["/dev/fuse", "/dev/loop-control", "/dev/mapper/control"])
}

fn see_disks_of_the_machine(_: &Target) -> io::Result<()> {
    let mut found = fs::read_dir("/dev")?.flatten();
    let is_disk = |name: &str| {
        ["sd", "vd", "nvme", "loop"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    match found.find(|entry| is_disk(&entry.file_name().to_string_lossy())) {
        Some(_) => Ok(()),
        None => held("no disks"),
    }
}

/// Creates a node for a device, opens it, and removes it.
fn device(path: &'static std::ffi::CStr, kind: u32, major: u32, minor: u32) -> io::Result<()> {
    let number = libc::makedev(major, minor) as usize;
    let here = libc::AT_FDCWD as usize;
    call(
        libc::SYS_mknodat,
        [here, text(path), (kind | 0o666) as usize, number],
    )?;
    let opened = File::open(path.to_str().unwrap_or_default());
    call(libc::SYS_unlinkat, [here, text(path), 0])?;
    opened.map(drop)
}

fn create_a_block_device(_: &Target) -> io::Result<()> {
    device(c"/tmp/disk", libc::S_IFBLK, 254, 0)
}

fn create_a_character_device(_: &Target) -> io::Result<()> {
    device(c"/tmp/memory", libc::S_IFCHR, 1, 1)
}

fn create_a_device_in_a_bound_folder(_: &Target) -> io::Result<()> {
    device(c"/writable/memory", libc::S_IFCHR, 1, 1)
}

fn write_to_a_read_only_folder(target: &Target) -> io::Result<()> {
    let file = target.read_only.join("new");
    File::create_new(&file)?;
    fs::remove_file(file)
}

fn change_mode_of_a_read_only_file(target: &Target) -> io::Result<()> {
    let mode = Permissions::from_mode(0o666);
    fs::set_permissions(target.read_only.join("file"), mode)
}

fn reopen_a_read_only_file_for_writing(target: &Target) -> io::Result<()> {
    let file = File::open(target.read_only.join("file"))?;
    open_for_writing(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn truncate_a_read_only_file(target: &Target) -> io::Result<()> {
    // To its own length, so that nothing changes.
    let len = fs::metadata(target.read_only.join("file"))?.len();
    let path = target.read_only_path("file");
    call(libc::SYS_truncate, [text(&path), len as usize]).map(drop)
}

fn set_times_of_a_read_only_file(target: &Target) -> io::Result<()> {
    let path = target.read_only_path("file");
    let here = libc::AT_FDCWD as usize;
    call(libc::SYS_utimensat, [here, text(&path), 0, 0]).map(drop)
}

fn move_a_read_only_file(target: &Target) -> io::Result<()> {
    let (file, moved) = (
        target.read_only.join("file"),
        target.read_only.join("moved"),
    );
    fs::rename(&file, &moved)?;
    fs::rename(moved, file)
}

fn link_a_system_file_into_a_writable_folder(_: &Target) -> io::Result<()> {
    fs::hard_link("/etc/passwd", "/writable/passwd")?;
    fs::remove_file("/writable/passwd")
}

fn link_a_read_only_file_into_a_writable_folder(target: &Target) -> io::Result<()> {
    let link = target.writable.join("linked");
    fs::hard_link(target.read_only.join("file"), &link)?;
    fs::remove_file(link)
}

/// Opens the root folder of a file system by its inode number, as the "shocker" attack on containers.
fn open_file_by_handle(_: &Target) -> io::Result<()> {
    let folder = File::open("/usr")?;
    // `struct file_handle`: length, type, and inode 2 of generation 0.
    let mut handle = [8_u32, 1, 2, 0];
    let arguments = [folder.as_raw_fd() as usize, address(&mut handle), 0];
    call(libc::SYS_open_by_handle_at, arguments).map(drop)
}

fn run_a_setuid_program(_: &Target) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    if status.contains("NoNewPrivs:\t1") {
        held("no new privileges")
    } else {
        Ok(())
    }
}

/// A copy of this program with the setuid bit, in a folder that other users of the machine reach.
fn become_a_setuid_program(_: &Target) -> io::Result<()> {
    let flags = statvfs("/writable")?.f_flag;
    if flags.contains(StatVfsMountFlags::NOSUID) {
        held("mounted without setuid")
    } else {
        Ok(())
    }
}
