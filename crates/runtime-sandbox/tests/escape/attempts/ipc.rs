//! Shared memory, semaphores, message queues, sockets by abstract name, and keys.

use std::fs::{self, File};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};

use super::attempts;
use crate::sys::{address, call, held, text};
use crate::target::Target;

attempts! {
    without_walls:
        attach_shared_memory,
        use_a_semaphore,
        use_a_message_queue,
        open_a_shared_file,
        connect_to_an_abstract_socket,
        list_abstract_sockets,
        read_a_key_of_the_worker,
    ;
    others:
        use_a_posix_message_queue,
        search_a_key_of_the_worker,
        add_a_key,
        list_keys,
}

fn attach_shared_memory(target: &Target) -> io::Result<()> {
    let segment = call(libc::SYS_shmget, [target.ipc_key, 0, 0])?;
    call(libc::SYS_shmat, [segment, 0, 0]).map(drop)
}

fn use_a_semaphore(target: &Target) -> io::Result<()> {
    call(libc::SYS_semget, [target.ipc_key, 0, 0]).map(drop)
}

fn use_a_message_queue(target: &Target) -> io::Result<()> {
    call(libc::SYS_msgget, [target.ipc_key, 0]).map(drop)
}

fn use_a_posix_message_queue(target: &Target) -> io::Result<()> {
    let name = format!("{}\0", target.queue);
    let name = name.as_ptr().expose_provenance();
    call(libc::SYS_mq_open, [name, libc::O_RDONLY as usize, 0, 0]).map(drop)
}

fn open_a_shared_file(target: &Target) -> io::Result<()> {
    File::open(&target.shared_file).map(drop)
}

fn connect_to_an_abstract_socket(target: &Target) -> io::Result<()> {
    let address = SocketAddr::from_abstract_name(&target.abstract_name)?;
    UnixStream::connect_addr(&address).map(drop)
}

fn list_abstract_sockets(target: &Target) -> io::Result<()> {
    let sockets = fs::read_to_string("/proc/net/unix")?;
    if sockets.contains(&target.abstract_name) {
        Ok(())
    } else {
        held("not listed")
    }
}

const READ: usize = 11;
const SEARCH: usize = 10;
const SESSION_KEYRING: usize = -3_isize as usize;

fn read_a_key_of_the_worker(target: &Target) -> io::Result<()> {
    let mut buffer = [0_u8; 64];
    call(
        libc::SYS_keyctl,
        [READ, target.key, address(&mut buffer), 64],
    )
    .map(drop)
}

fn search_a_key_of_the_worker(_: &Target) -> io::Result<()> {
    let arguments = [SEARCH, SESSION_KEYRING, text(c"user"), text(c"decoy"), 0];
    call(libc::SYS_keyctl, arguments).map(drop)
}

fn add_a_key(_: &Target) -> io::Result<()> {
    let arguments = [
        text(c"user"),
        text(c"attempt"),
        text(c"x"),
        1,
        SESSION_KEYRING,
    ];
    call(libc::SYS_add_key, arguments).map(drop)
}

fn list_keys(_: &Target) -> io::Result<()> {
    let keys = fs::read_to_string("/proc/keys")?;
    if keys.contains("decoy") {
        Ok(())
    } else {
        held("not listed")
    }
}
