//! Speed of the pipes, compared with tokio's, and by number of unread bytes.

use std::cell::RefCell;
use std::process::ExitCode;

use bench_harness::{AtLeast, AtMost, Bench, Plot, rate, time_ns_each};
use bytes::Bytes;
use runtime_ioext::pipe::{bounded_pipe, credit_pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

const SEGMENT_SIZE: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;
const CHUNKS_A_MIB: u64 = (MIB / SEGMENT_SIZE) as u64;

fn main() -> ExitCode {
    let runtime = &Builder::new_current_thread().build().expect("a runtime");
    Bench::main("pipes", |bench| {
        unread_bytes_in_memory(bench, runtime);
        unread_chunks(bench, runtime);
        compared_with_duplex(bench, runtime);
        growth(bench, runtime);
    })
}

/// The cost per byte must not depend on the number of unread bytes.
///
/// The bytes are read from and written to memory larger than any cache, as in a worker. With one small
/// buffer at both ends, a pipe with few unread bytes would stay in the cache, and the case would measure
/// the cache.
fn unread_bytes_in_memory(bench: &mut Bench, runtime: &Runtime) {
    let segments = bench.pick(1024, 256) * CHUNKS_A_MIB;
    let ends = RefCell::new(Ends::new(128 * MIB));
    let through = |unread| runtime.block_on(copy_through(segments, unread, &mut ends.borrow_mut()));
    for unread in [1, 4, 16, 64] {
        bench
            .case(&format!("bounded pipe, {unread} MiB unread"), "ns/chunk")
            .bar(AtMost(1.5))
            .peer("64 KiB unread", || through(SEGMENT_SIZE))
            .ours(|| through(unread * MIB));
    }
}

/// The same as a plot, with and without copies.
fn growth(bench: &mut Bench, runtime: &Runtime) {
    const PLOT: Plot = Plot {
        name: "pipes",
        title: "Time of a chunk of 64 KiB in a bounded pipe",
        by: "unread MiB",
    };
    let (sizes, segments) = ([1, 4, 16, 64], bench.pick(8192, 4096));
    let bytes = |unread: u64| unread as usize * MIB;
    bench
        .growth(PLOT, "copied", "ns")
        .bar(AtMost(0.1))
        .rounds(11)
        .run(
            &sizes,
            |_| Ends::new(128 * MIB),
            |ends, unread| runtime.block_on(copy_through(segments, bytes(unread), ends)),
        );
    bench
        .growth(PLOT, "passed without a copy", "ns")
        .bar(AtMost(0.1))
        .rounds(11)
        .run(
            &sizes,
            |_| (),
            |(), unread| runtime.block_on(pass_through(20 * segments, bytes(unread))),
        );
}

/// The same with chunks that are not copied: the cost of the queue alone.
fn unread_chunks(bench: &mut Bench, runtime: &Runtime) {
    let segments = bench.pick(1_000_000, 100_000);
    let through = |unread| runtime.block_on(pass_through(segments, unread));
    bench
        .case(
            "bounded pipe, 64 MiB unread, passed without a copy",
            "ns/chunk",
        )
        .bar(AtMost(1.5))
        .peer("64 KiB unread", || through(SEGMENT_SIZE))
        .ours(|| through(64 * MIB));
}

fn compared_with_duplex(bench: &mut Bench, runtime: &Runtime) {
    for size in [100, 4096] {
        let chunks = bench.pick(10_000_000, 1_000_000);
        bench
            .case(&format!("bounded pipe, chunks of {size} bytes"), "ns/chunk")
            .bar(AtMost(1.3))
            .peer("tokio::io::duplex", || {
                time_ns_each(chunks, || runtime.block_on(small_duplex(chunks, size)))
            })
            .ours(|| time_ns_each(chunks, || runtime.block_on(small_bounded(chunks, size))));
    }
    let mib = bench.pick(2048, 256);
    let peer = || rate(mib, || runtime.block_on(through_duplex(mib * CHUNKS_A_MIB)));
    bench
        .case("bounded pipe, 64 KiB chunks", "MiB/s")
        .bar(AtLeast(0.7))
        .peer("tokio::io::duplex", peer)
        .ours(|| {
            rate(mib, || {
                runtime.block_on(through_bounded(mib * CHUNKS_A_MIB))
            })
        });
    bench
        .case("credit pipe, 64 KiB chunks", "MiB/s")
        .peer("tokio::io::duplex", peer)
        .ours(|| rate(mib, || runtime.block_on(through_credit(mib * CHUNKS_A_MIB))));
}

/// Source and target of a copy, larger than any cache.
struct Ends {
    source: Vec<u8>,
    target: Vec<u8>,
}

impl Ends {
    fn new(size: usize) -> Self {
        Self {
            source: vec![1; size],
            target: vec![0; size],
        }
    }
}

/// Writes and reads chunk by chunk with a constant number of unread bytes.
async fn copy_through(segments: u64, unread: usize, ends: &mut Ends) -> f64 {
    let (writer, mut reader) = bounded_pipe(unread + SEGMENT_SIZE);
    let mut source = ends.source.chunks(SEGMENT_SIZE).cycle();
    for chunk in source.by_ref().take(unread / SEGMENT_SIZE) {
        writer.write_all(chunk).expect("room");
    }
    let targets = ends.target.len() / SEGMENT_SIZE;
    let start = std::time::Instant::now();
    for (i, chunk) in source.take(segments as usize).enumerate() {
        let target = i % targets * SEGMENT_SIZE;
        writer.write_all(chunk).expect("room");
        reader
            .read_exact(&mut ends.target[target..target + SEGMENT_SIZE])
            .await
            .expect("bytes");
    }
    start.elapsed().as_nanos() as f64 / segments as f64
}

async fn pass_through(segments: u64, unread: usize) -> f64 {
    let (writer, mut reader) = bounded_pipe(unread + SEGMENT_SIZE);
    let chunk = Bytes::from(vec![1; SEGMENT_SIZE]);
    for _ in 0..unread / SEGMENT_SIZE {
        writer.write_bytes(chunk.clone()).expect("room");
    }
    let start = std::time::Instant::now();
    for _ in 0..segments {
        writer.write_bytes(chunk.clone()).expect("room");
        let chunk = reader.next_chunk().await.expect("no error");
        chunk.expect("bytes");
    }
    start.elapsed().as_nanos() as f64 / segments as f64
}

async fn through_bounded(segments: u64) {
    let (chunk, mut buffer) = (vec![1; SEGMENT_SIZE], vec![0; SEGMENT_SIZE]);
    let (writer, mut reader) = bounded_pipe(SEGMENT_SIZE);
    for _ in 0..segments {
        writer.write_all(&chunk).expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}

async fn through_duplex(segments: u64) {
    let (chunk, mut buffer) = (vec![1; SEGMENT_SIZE], vec![0; SEGMENT_SIZE]);
    let (mut writer, mut reader) = tokio::io::duplex(SEGMENT_SIZE);
    for _ in 0..segments {
        writer.write_all(&chunk).await.expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}

async fn small_bounded(chunks: u64, size: usize) {
    let (chunk, mut buffer) = (vec![1; size], vec![0; size]);
    let (writer, mut reader) = bounded_pipe(SEGMENT_SIZE);
    for _ in 0..chunks {
        writer.write_all(&chunk).expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}

async fn small_duplex(chunks: u64, size: usize) {
    let (chunk, mut buffer) = (vec![1; size], vec![0; size]);
    let (mut writer, mut reader) = tokio::io::duplex(SEGMENT_SIZE);
    for _ in 0..chunks {
        writer.write_all(&chunk).await.expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}

async fn through_credit(segments: u64) {
    let (chunk, mut buffer) = (vec![1; SEGMENT_SIZE], vec![0; SEGMENT_SIZE]);
    let (mut writer, mut reader, credit) = credit_pipe();
    for _ in 0..segments {
        credit.grant(SEGMENT_SIZE as u64);
        writer.write_all(&chunk).await.expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}
