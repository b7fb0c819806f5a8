//! A server with one persistent connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{LazyLock, Mutex};

use runtime_taskcluster_embedded::Taskcluster;
use tokio::runtime::Runtime;

struct Server {
    _runtime: Runtime,
    _taskcluster: Taskcluster,
    connection: Mutex<BufReader<TcpStream>>,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let taskcluster = runtime.block_on(Taskcluster::start()).unwrap();
    let address = taskcluster.root_url().strip_prefix("http://").unwrap();
    let connection = TcpStream::connect(address).unwrap();
    Server {
        connection: Mutex::new(BufReader::new(connection)),
        _runtime: runtime,
        _taskcluster: taskcluster,
    }
});

/// Sends a `GET` and returns the status of the response. The connection must stay usable.
pub(crate) fn ask(path: &str, authorization: &str) -> u16 {
    let mut connection = SERVER.connection.lock().unwrap();
    let header = match authorization {
        "" => String::new(),
        value => format!("Authorization: {value}\r\n"),
    };
    // One write: with several, Nagle's algorithm would delay each until the previous one is
    // acknowledged.
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        assert_ne!(connection.read_line(&mut line).unwrap(), 0, "the server closed the connection");
        match line.trim_end().split_once(' ') {
            None => break,
            Some(("HTTP/1.1", rest)) => status = rest[..3].parse().unwrap(),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length:") => length = value.parse().unwrap(),
            Some(_) => {}
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    status
}
