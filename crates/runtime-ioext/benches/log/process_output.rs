//! The output of a process, from its pipe to the file of the log.

use std::path::{Path, PathBuf};
use std::process::Command;

use bench_harness::{AtMost, Bench, time_ms};
use runtime_ioext::log::OutputLimit;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Builder;

use super::redactor::{ordinary_output, redactor_of};
use super::{count, new_log};

pub(super) fn process_output(bench: &mut Bench, folder: &Path) {
    let (input, copy, log) = (
        &folder.join("input"),
        &folder.join("copy"),
        &folder.join("task.log"),
    );
    let output = ordinary_output(bench.pick(100, 10) << 20);
    std::fs::write(input, &output).expect("a file");
    let runtime = &Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        .build()
        .expect("a runtime");
    let redactor = &redactor_of(10);
    bench
        .case("output of a process, 10 secrets, limit, 1 follower", "ms")
        .bar(AtMost(1.5))
        .peer("cat | cat", || {
            time_ms(|| {
                let mut pipe = Command::new("sh");
                pipe.args(["-c", r#"cat "$0" | cat > "$1""#]);
                let status = pipe.arg(input).arg(copy).status().expect("a shell");
                assert!(status.success());
            })
        })
        .ours(|| {
            time_ms(|| {
                let log = new_log(log);
                let follower = runtime.spawn(count(log.reader()));
                let limit = OutputLimit::new(1 << 30, 1 << 20);
                let drain = redactor.writer(limit.writer(log.writer()));
                let copy = runtime.spawn(copy_output(input.clone(), drain));
                runtime.block_on(copy).expect("a copy");
                log.close().expect("a close");
                let read = runtime.block_on(follower).expect("a follower");
                assert_eq!(read, output.len() as u64);
            })
        });
}

async fn copy_output(input: PathBuf, mut log: impl AsyncWrite + Unpin) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut cat = Command::new("cat");
    let mut child = cat.arg(input).stdout(writer).spawn().expect("a process");
    drop(cat);
    let mut reader =
        tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()).expect("a reader");
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer).await.expect("a read") {
            0 => break,
            len => log.write_all(&buffer[..len]).await.expect("a write"),
        }
    }
    child.wait().expect("an exit");
    log.shutdown().await.expect("the end");
}
