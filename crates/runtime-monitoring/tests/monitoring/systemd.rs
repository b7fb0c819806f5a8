//! Notifications of systemd.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime_monitoring::Systemd;
use tokio::time::sleep;

fn receive(socket: &UnixDatagram) -> Vec<String> {
    socket.set_nonblocking(true).expect("a mode");
    let mut buffer = [0; 1024];
    std::iter::from_fn(|| {
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn watchdog_is_notified_while_alive() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let is_alive = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_alive);
    let watchdog = Some(Duration::from_secs(30));
    let systemd = Systemd::start(path.as_os_str(), watchdog, move || {
        asked.load(Ordering::Relaxed)
    });
    let systemd = systemd.expect("the socket exists");
    systemd.status("runs 2\ntasks");
    // One immediately, and one per 15 seconds.
    sleep(Duration::from_secs(31)).await;
    let alive = [
        "READY=1",
        "STATUS=runs 2 tasks",
        "WATCHDOG=1",
        "WATCHDOG=1",
        "WATCHDOG=1",
    ];
    assert_eq!(receive(&socket), alive);
    is_alive.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(receive(&socket), Vec::<String>::new());
    drop(systemd);
    assert_eq!(receive(&socket), ["STOPPING=1"]);
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_socket_is_supported() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    let name = format!("worker-runtime-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    let systemd = Systemd::start(format!("@{name}").as_ref(), None, || true);
    drop(systemd.expect("the socket exists"));
    assert_eq!(receive(&socket), ["READY=1", "STOPPING=1"]);
}

#[test]
fn missing_socket_is_an_error() {
    assert!(Systemd::start("/not/there".as_ref(), None, || true).is_err());
}
