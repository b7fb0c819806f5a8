//! Networks.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::attempts;
use crate::sys::{address, call, held};
use crate::target::Target;

attempts! {
    without_walls:
        connect_to_a_loopback_port,
        see_connections_of_the_machine,
        see_interfaces_of_the_machine,
        use_sockets_of_virtual_machines,
    ;
    others:
        use_sockets_of_the_kernels_ciphers,
        send_to_a_loopback_port,
        reach_the_metadata_service,
        reach_a_private_network,
        open_a_raw_socket,
        open_a_packet_socket,
        change_interfaces,
        reach_the_metadata_service_over_ipv6,
        remove_policies_of_the_network,
        exempt_a_socket_from_policies,
}

const TIMEOUT: Duration = Duration::from_millis(500);

fn connect(address: [u8; 4], port: u16) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::from(address), port));
    TcpStream::connect_timeout(&address, TIMEOUT).map(drop)
}

fn connect_to_a_loopback_port(target: &Target) -> io::Result<()> {
    connect([127, 0, 0, 1], target.tcp_port)
}

fn send_to_a_loopback_port(target: &Target) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", target.udp_port))?;
    socket.send(b"x")?;
    // A closed port is reported by the next call.
    socket.send(b"x").map(drop)
}

fn reach_the_metadata_service(_: &Target) -> io::Result<()> {
    // Documentation of the clouds: the address of instance metadata. Without a route, no packet is sent.
    route([169, 254, 169, 254])
}

fn reach_a_private_network(_: &Target) -> io::Result<()> {
    route([10, 0, 0, 1])
}

/// Succeeds if there is a route. Connecting a datagram socket sends nothing.
fn route(address: [u8; 4]) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((Ipv4Addr::from(address), 80))
}

fn see_connections_of_the_machine(target: &Target) -> io::Result<()> {
    let connections = fs::read_to_string("/proc/self/net/tcp")?;
    let port = format!(":{:04X} ", target.tcp_port);
    if connections.contains(&port) {
        Ok(())
    } else {
        held("not listed")
    }
}

fn see_interfaces_of_the_machine(_: &Target) -> io::Result<()> {
    let interfaces = fs::read_to_string("/proc/self/net/dev")?;
    let mut names = interfaces.lines().skip(2);
    match names.find(|line| !line.trim_start().starts_with("lo:")) {
        Some(_) => Ok(()),
        None => held("loopback only"),
    }
}

fn socket(family: i32, kind: i32, protocol: usize) -> io::Result<()> {
    call(libc::SYS_socket, [family as usize, kind as usize, protocol]).map(drop)
}

fn open_a_raw_socket(_: &Target) -> io::Result<()> {
    socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW as usize)
}

fn open_a_packet_socket(_: &Target) -> io::Result<()> {
    socket(libc::AF_PACKET, libc::SOCK_RAW, 0)
}

fn use_sockets_of_virtual_machines(_: &Target) -> io::Result<()> {
    socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)
}

fn use_sockets_of_the_kernels_ciphers(_: &Target) -> io::Result<()> {
    socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)
}

fn change_interfaces(_: &Target) -> io::Result<()> {
    let socket = call(
        libc::SYS_socket,
        [libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0],
    )?;
    // Disables the loopback interface, which has no other users here.
    let mut request = [0_u8; 40];
    request[..2].copy_from_slice(b"lo");
    let address = request.as_mut_ptr().expose_provenance();
    call(
        libc::SYS_ioctl,
        [socket, libc::SIOCSIFFLAGS as usize, address],
    )
    .map(drop)
}

fn reach_the_metadata_service_over_ipv6(_: &Target) -> io::Result<()> {
    let socket = UdpSocket::bind("[::]:0")?;
    socket.connect("[fd00:ec2::254]:80")
}

fn remove_policies_of_the_network(_: &Target) -> io::Result<()> {
    let family = libc::AF_NETLINK as usize;
    let (kind, protocol) = (libc::SOCK_RAW as usize, libc::NETLINK_XFRM as usize);
    let socket = call(libc::SYS_socket, [family, kind, protocol])?;
    // `XFRM_MSG_FLUSHPOLICY`, as a request with an answer.
    let mut message = [16_u32, 0x0005_001d, 0, 0];
    let arguments = [socket, address(&mut message), 16, 0, 0, 0];
    call(libc::SYS_sendto, arguments)?;
    let mut answer = [0_i32; 9];
    let arguments = [
        socket,
        address(&mut answer),
        36,
        libc::MSG_DONTWAIT as usize,
        0,
        0,
    ];
    call(libc::SYS_recvfrom, arguments)?;
    match answer[4] {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

fn exempt_a_socket_from_policies(_: &Target) -> io::Result<()> {
    /// `IP_XFRM_POLICY`, whose value is a `struct xfrm_userpolicy_info`.
    const IP_XFRM_POLICY: usize = 17;
    let (family, kind) = (libc::AF_INET as usize, libc::SOCK_DGRAM as usize);
    let socket = call(libc::SYS_socket, [family, kind, 0])?;
    let mut policy = [0_u8; 168];
    policy[40..42].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    policy[160] = 1;
    let arguments = [socket, 0, IP_XFRM_POLICY, address(&mut policy), 168];
    call(libc::SYS_setsockopt, arguments).map(drop)
}
