//! Speed of the followed log, compared with hand-written code.

mod process_output;
mod redactor;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use bench_harness::{AtLeast, AtMost, Bench, percentile, rate, time_ms};
use runtime_ioext::{FollowedLog, LogReader, LogWriter};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

const LINE: [u8; 100] = {
    let mut line = [b'x'; 100];
    line[99] = b'\n';
    line
};

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = &folder.path().join("task.log");
    Bench::main("log", |bench| {
        one_writer(bench, path);
        one_task(bench, path);
        redactor::redactor(bench, path);
        redactor::secrets(bench, path);
        redactor::growth(bench, path);
        process_output::process_output(bench, folder.path());
        many_writers(bench, path);
        writer_with_followers(bench, path);
        latency(bench, path, 1, 200.0);
        latency(bench, path, 100, 1000.0);
    })
}

fn one_writer(bench: &mut Bench, path: &Path) {
    let lines = bench.pick(2_000_000, 100_000);
    bench
        .case("one writer, 100-byte lines, no reader", "lines/s")
        .bar(AtLeast(5.0))
        .peer("one write(2) per line", || {
            rate(lines, || write_to(create(path), lines))
        })
        .ours(|| rate(lines, || write_log(path, lines)));
    bench
        .case(
            "one writer, 100-byte lines, compared with a buffer",
            "lines/s",
        )
        .bar(AtLeast(0.5))
        .peer("BufWriter<File>", || {
            rate(lines, || write_to(BufWriter::new(create(path)), lines))
        })
        .ours(|| rate(lines, || write_log(path, lines)));
}

/// The path of process output: redactor, lines, limit, log.
fn one_task(bench: &mut Bench, path: &Path) {
    let lines = bench.pick(2_000_000, 100_000);
    let runtime = &Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let buffered = || tokio::io::BufWriter::new(tokio::fs::File::from_std(create(path)));
    bench
        .case("one async writer, 100-byte lines, no reader", "lines/s")
        .peer("tokio's BufWriter<File>", || {
            rate(lines, || {
                runtime.block_on(write_async(buffered(), &LINE, lines));
            })
        })
        .ours(|| {
            rate(lines, || {
                let log = new_log(path);
                runtime.block_on(write_async(log.writer(), &LINE, lines));
                log.close().expect("a close");
            })
        });
    let (block, blocks) = (vec![b'x'; 64 * 1024], bench.pick(16_384, 2048));
    let rounds = bench.pick(7, 9);
    bench
        .case("one async writer, 64 KiB at a time, no reader", "writes/s")
        .bar(AtLeast(1.0))
        .rounds(rounds)
        .peer("tokio's BufWriter<File>", || {
            rate(blocks, || {
                runtime.block_on(write_async(buffered(), &block, blocks));
            })
        })
        .ours(|| {
            rate(blocks, || {
                let log = new_log(path);
                runtime.block_on(write_async(log.writer(), &block, blocks));
                log.close().expect("a close");
            })
        });
}

async fn write_async(mut writer: impl AsyncWrite + Unpin, bytes: &[u8], times: u64) {
    for _ in 0..times {
        writer.write_all(bytes).await.expect("a write");
    }
    writer.flush().await.expect("a flush");
}

fn many_writers(bench: &mut Bench, path: &Path) {
    let lines = bench.pick(2_000_000, 100_000);
    bench
        .case("8 writers on one log", "lines/s")
        .bar(AtLeast(0.7))
        .peer("one writer", || rate(lines, || write_log(path, lines)))
        .ours(|| rate(lines, || write_log_from_threads(path, lines)));
    let rounds = bench.pick(7, 9);
    bench
        .case("8 writers on one log, compared with a buffer", "lines/s")
        .bar(AtLeast(1.0))
        .rounds(rounds)
        .peer("8 threads, Mutex<BufWriter<File>>", || {
            rate(lines, || {
                let file = Mutex::new(BufWriter::new(create(path)));
                let write = || file.lock().expect("no panic").write_all(&LINE);
                from_threads(lines, || write().expect("a write"));
                let file = file.into_inner().expect("no panic");
                file.into_inner().expect("a flush");
            })
        })
        .ours(|| rate(lines, || write_log_from_threads(path, lines)));
}

fn writer_with_followers(bench: &mut Bench, path: &Path) {
    let lines = bench.pick(500_000, 50_000);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    bench
        .case("write side with 100 followers that read all", "ms")
        .bar(AtMost(1.5))
        .peer("no follower", || write_followed(path, &runtime, lines, 0))
        .ours(|| write_followed(path, &runtime, lines, 100));
}

fn latency(bench: &mut Bench, path: &Path, followers: usize, bar: f64) {
    let lines = bench.pick(3000, 500);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    bench
        .case(
            &format!("latency from write to read, p99, {followers} followers"),
            "µs",
        )
        .bar(AtMost(bar))
        .rounds(3)
        .ours(|| percentile(&mut latencies(path, &runtime, lines, followers), 0.99));
}

fn create(path: &Path) -> File {
    File::create(path).expect("a file")
}

fn write_to(mut file: impl Write, lines: u64) {
    for _ in 0..lines {
        file.write_all(&LINE).expect("a write");
    }
    file.flush().expect("a flush");
}

fn new_log(path: &Path) -> FollowedLog {
    FollowedLog::create(path).expect("a log")
}

fn write_lines(writer: &LogWriter, lines: u64) {
    for _ in 0..lines {
        writer.write_all(&LINE).expect("a write");
    }
}

fn write_log(path: &Path, lines: u64) {
    let log = new_log(path);
    write_lines(&log.writer(), lines);
    log.close().expect("a close");
}

fn write_log_from_threads(path: &Path, lines: u64) {
    let log = new_log(path);
    let writer = log.writer();
    from_threads(lines, || writer.write_all(&LINE).expect("a write"));
    log.close().expect("a close");
}

/// Calls `write` from 8 threads, `lines` times together.
fn from_threads(lines: u64, write: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..lines / 8).for_each(|_| write()));
        }
    });
}

/// Returns the duration of the writes, with or without followers. Every follower must read every byte.
fn write_followed(path: &Path, runtime: &Runtime, lines: u64, followers: usize) -> f64 {
    let log = new_log(path);
    let followers: Vec<_> = (0..followers)
        .map(|_| runtime.spawn(count(log.reader())))
        .collect();
    let writer = log.writer();
    let advance = time_ms(|| write_lines(&writer, lines));
    log.close().expect("a close");
    for follower in followers {
        let count = runtime.block_on(follower).expect("a follower");
        assert_eq!(count, log.len(), "a follower missed bytes");
    }
    advance
}

async fn count(mut reader: LogReader) -> u64 {
    while reader.next_chunk().await.expect("a chunk").is_some() {}
    reader.offset()
}

/// Writes a line per millisecond, and returns the microseconds until each follower saw each line.
fn latencies(path: &Path, runtime: &Runtime, lines: u64, followers: usize) -> Vec<f64> {
    let log = new_log(path);
    let start = Instant::now();
    let followers: Vec<JoinHandle<Vec<f64>>> = (0..followers)
        .map(|_| runtime.spawn(see_lines(log.reader(), start)))
        .collect();
    let writer = log.writer();
    for _ in 0..lines {
        pause();
        writeln!(writer, "{:099}", start.elapsed().as_nanos()).expect("a write");
    }
    log.close().expect("a close");
    followers
        .into_iter()
        .flat_map(|seen| runtime.block_on(seen).expect("a follower"))
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this thread has no executor, and no writer of a log has"
)]
fn pause() {
    thread::sleep(Duration::from_millis(1));
}

async fn see_lines(mut reader: LogReader, start: Instant) -> Vec<f64> {
    let mut seen = Vec::new();
    while let Some(chunk) = reader.next_chunk().await.expect("a chunk") {
        let now = start.elapsed().as_nanos() as f64;
        seen.extend(
            chunk
                .chunks(100)
                .map(|line| (now - written_at(line)) / 1000.0),
        );
    }
    seen
}

fn written_at(line: &[u8]) -> f64 {
    let text = std::str::from_utf8(line).expect("digits");
    text.trim().parse().expect("a number")
}
