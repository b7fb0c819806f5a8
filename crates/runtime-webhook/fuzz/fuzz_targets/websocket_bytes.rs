//! Any bytes of the peer, in any parts, end a session without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_webhook::wsmux::{Role, Session, SessionConfig};
use tokio::io::AsyncWriteExt as _;

async fn run(role: Role, bytes: &[u8], part: usize) {
    let (here, mut there) = tokio::io::duplex(1 << 20);
    let (session, driver) = Session::start(here, role, SessionConfig::default()).await;
    let driver = tokio::spawn(driver);
    for part in bytes.chunks(part) {
        // Fails if the session has ended.
        let _ = there.write_all(part).await;
        tokio::task::yield_now().await;
    }
    drop(there);
    while let Some(stream) = session.accept().await {
        drop(stream);
    }
    let ended = driver.await;
    assert!(ended.is_ok(), "the driver panicked");
}

fuzz_target!(|input: (bool, u8, Vec<u8>)| {
    let (is_client, part, bytes) = input;
    let role = if is_client { Role::Client } else { Role::Server };
    let part = usize::from(part).max(1);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(run(role, &bytes, part));
});
