//! Speed of the followed log, compared with hand-written code.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bench_harness::{AtLeast, AtMost, Bench, percentile, rate, time_ms};
use runtime_ioext::log::Redactor;
use runtime_ioext::{FollowedLog, LogReader, LogWriter};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

const LINE: [u8; 100] = [b'x'; 100];

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = &folder.path().join("task.log");
    Bench::main("log", |bench| {
        one_writer(bench, path);
        one_task(bench, path);
        redactor(bench, path);
        secrets(bench, path);
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
            rate(lines, || runtime.block_on(write_async(buffered(), lines)))
        })
        .ours(|| {
            rate(lines, || {
                let log = new_log(path);
                runtime.block_on(write_async(log.writer(), lines));
                log.close().expect("a close");
            })
        });
}

fn redactor(bench: &mut Bench, path: &Path) {
    let lines = bench.pick(1_000_000, 100_000);
    let secrets = redactor_of(10);
    bench
        .case("one writer, 100-byte lines, 10 secrets", "lines/s")
        .bar(AtLeast(0.7))
        .peer("no redactor", || rate(lines, || write_log(path, lines)))
        .ours(|| {
            rate(lines, || {
                let log = new_log(path);
                write_to(secrets.writer(log.writer()), lines);
                log.close().expect("a close");
            })
        });
    for (secrets, bar) in [(1, 2000.0), (10, 400.0), (100, 400.0)] {
        let redactor = redactor_of(secrets);
        let output = ordinary_output(bench.pick(64, 8) << 20);
        bench
            .case(&format!("redaction of output, {secrets} secrets"), "MiB/s")
            .bar(AtLeast(bar))
            .ours(|| {
                let chunks = output.chunks(32 * 1024);
                let ms = time_ms(|| chunks.for_each(|chunk| drop(redactor.redact(chunk))));
                (output.len() >> 20) as f64 / ms * 1000.0
            });
    }
}

/// The costs of a secret, which must not grow with the number of secrets or faster than its length.
fn secrets(bench: &mut Bench, path: &Path) {
    for (added, len) in [(1000, 40), (1, 64 << 10), (1, 1 << 20)] {
        bench
            .case(&format!("adding {added} secrets of {len} bytes"), "ms")
            .bar(AtMost(if added == 1 { 50.0 } else { added as f64 }))
            .ours(|| {
                let redactor = Redactor::new();
                time_ms(|| {
                    for i in 0..added {
                        redactor.add(secret(i, len)).expect("it is long enough");
                    }
                })
            });
    }
    let write_split = |len: usize| {
        let (log, redactor, secret) = (new_log(path), Redactor::new(), secret(0, len));
        redactor.add(&secret).expect("it is long enough");
        let mut writer = redactor.writer(log.writer());
        time_ms(|| {
            for bytes in secret.as_bytes().chunks(8) {
                writer.write_all(bytes).expect("a write");
            }
        }) / len as f64
    };
    bench
        .case("a secret in writes of 8 bytes, for each byte", "ms")
        .bar(AtMost(2.0))
        .peer("a secret of 4 KiB", || write_split(4 << 10))
        .ours(|| write_split(256 << 10));
}

fn redactor_of(secrets: u64) -> Redactor {
    let redactor = Redactor::new();
    for i in 0..secrets {
        redactor.add(secret(i, 40)).expect("it is long enough");
    }
    redactor
}

/// Returns a token of base64 characters.
fn secret(seed: u64, len: usize) -> String {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(CHARS[(state >> 58) as usize])
    };
    (0..len).map(|_| next()).collect()
}

/// Returns lines as compilers write them.
fn ordinary_output(len: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(len);
    for i in 0_u64.. {
        if output.len() >= len {
            break;
        }
        let crate_name = secret(i, 9).to_lowercase();
        let line = format!(
            "[{i:>7}] Compiling {crate_name} v0.{}.{} (https://example.com/{crate_name}/src/lib.rs:{i}:{})\n",
            i % 13,
            i % 7,
            i % 89,
        );
        output.extend_from_slice(line.as_bytes());
    }
    output
}

async fn write_async(mut writer: impl AsyncWrite + Unpin, lines: u64) {
    for _ in 0..lines {
        writer.write_all(&LINE).await.expect("a write");
    }
    writer.flush().await.expect("a flush");
}

fn many_writers(bench: &mut Bench, path: &Path) {
    let lines = bench.pick(2_000_000, 100_000);
    bench
        .case("8 writers on one log", "lines/s")
        .bar(AtLeast(0.7))
        .peer("one writer", || rate(lines, || write_log(path, lines)))
        .ours(|| rate(lines, || write_log_from_threads(path, lines, 8)));
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

fn write_log_from_threads(path: &Path, lines: u64, threads: u64) {
    let log = new_log(path);
    thread::scope(|scope| {
        for _ in 0..threads {
            let writer = log.writer();
            scope.spawn(move || write_lines(&writer, lines / threads));
        }
    });
    log.close().expect("a close");
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
