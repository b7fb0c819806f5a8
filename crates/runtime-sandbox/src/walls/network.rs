//! The network of a sandbox: its loopback interface, and sockets that the worker uses.

use std::net::Ipv4Addr;
use std::path::Path;

use libc::c_int;

use crate::error::{PASTA, SpawnStep};
use crate::init::CONTROL_FD;
use crate::plan::{Argument, Cell, Plan};

/// The connections that may wait for the worker.
const BACKLOG: c_int = 128;

/// Starts the loopback interface of a new network namespace.
pub(crate) fn start_loopback(plan: &mut Plan) {
    /// The length of `struct ifreq`, and the offset of its flags.
    const LEN: usize = 40;
    const FLAGS: usize = libc::IFNAMSIZ;
    let mut request = [0; LEN];
    request[..2].copy_from_slice(b"lo");
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
    request[FLAGS..FLAGS + 2].copy_from_slice(&flags.to_ne_bytes());
    let request = plan.address(&request);
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let arguments: [Argument; 3] = [libc::AF_INET.into(), kind.into(), 0.into()];
    let socket = plan.open(libc::SYS_socket, arguments);
    let flags = libc::SIOCSIFFLAGS;
    plan.call(libc::SYS_ioctl, [socket.into(), flags.into(), request]);
    plan.call(libc::SYS_close, [socket.into()]);
}

/// Listens on a port of the loopback interface, and sends the socket to the worker.
pub(crate) fn listen(plan: &mut Plan, port: u16) {
    plan.step(SpawnStep::Listen);
    send_socket(plan, |plan, listener| {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let arguments = [libc::AF_INET.into(), kind.into(), 0.into()];
        plan.open_to(listener, libc::SYS_socket, arguments);
        let address = plan.address(&socket_address(Ipv4Addr::LOCALHOST, port));
        plan.call(libc::SYS_bind, [listener.into(), address, 16.into()]);
        plan.call(libc::SYS_listen, [listener.into(), BACKLOG.into()]);
    });
}

/// Sends a socket for the policies of the network to the worker, and waits until the worker has set them and connected the
/// network.
pub(crate) fn wait_for_worker(plan: &mut Plan) {
    plan.step_on(SpawnStep::OutboundNetwork, Path::new(PASTA));
    send_socket(plan, |plan, policies| {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let arguments = [
            libc::AF_NETLINK.into(),
            kind.into(),
            libc::NETLINK_XFRM.into(),
        ];
        plan.open_to(policies, libc::SYS_socket, arguments);
    });
    let byte = plan.address(&[0]);
    // If the worker has ended, the stream ends without a byte, and the sandbox ends too.
    plan.call(libc::SYS_read, [CONTROL_FD.into(), byte, 1.into()]);
}

/// Sends a socket to the worker, which `open` stores in a cell, and closes it.
fn send_socket(plan: &mut Plan, open: impl FnOnce(&mut Plan, Cell)) {
    // `struct cmsghdr` and a descriptor.
    let mut ancillary = [0; 24];
    ancillary[..8].copy_from_slice(&20_u64.to_ne_bytes());
    ancillary[8..12].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
    ancillary[12..16].copy_from_slice(&libc::SCM_RIGHTS.to_ne_bytes());
    let ancillary = plan.bytes(&ancillary);
    let socket = plan.cell_at(ancillary + 16);
    open(plan, socket);
    // `struct iovec` with one byte.
    let byte = plan.address(&[0]);
    let buffer = plan.bytes(&[0_u64.to_ne_bytes(), 1_u64.to_ne_bytes()].concat());
    plan.point(buffer, byte);
    // `struct msghdr`: no name, one buffer at offset 16, and the descriptor at offset 32.
    let mut header = [0; 56];
    header[24..32].copy_from_slice(&1_u64.to_ne_bytes());
    header[40..48].copy_from_slice(&24_u64.to_ne_bytes());
    let header = plan.bytes(&header);
    let (buffer, ancillary) = (plan.address_of(buffer), plan.address_of(ancillary));
    plan.point(header + 16, buffer);
    plan.point(header + 32, ancillary);
    let header = plan.address_of(header);
    let arguments = [CONTROL_FD.into(), header, libc::MSG_NOSIGNAL.into()];
    plan.call(libc::SYS_sendmsg, arguments);
    plan.call(libc::SYS_close, [socket.into()]);
}

/// Returns a `struct sockaddr_in`.
fn socket_address(address: Ipv4Addr, port: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}
