//! How fast the pipes are, beside tokio's own and whatever is unread.

use std::cell::RefCell;
use std::process::ExitCode;

use bench_harness::{AtLeast, AtMost, Bench, rate};
use bytes::Bytes;
use runtime_ioext::{bounded_pipe, credit_pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

const CHUNK: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;
const CHUNKS_A_MIB: u64 = (MIB / CHUNK) as u64;

fn main() -> ExitCode {
    let runtime = &Builder::new_current_thread().build().expect("a runtime");
    Bench::main("pipes", |bench| {
        unread_bytes_in_memory(bench, runtime);
        unread_chunks(bench, runtime);
        beside_duplex(bench, runtime);
    })
}

/// A byte has to cost the same, however many are unread.
///
/// The bytes come from memory and go to memory, as a worker's do. With one small buffer at both ends, a
/// pipe with little unread would not leave the processor's cache, and the case would measure the cache.
fn unread_bytes_in_memory(bench: &mut Bench, runtime: &Runtime) {
    let chunks = bench.pick(1024, 256) * CHUNKS_A_MIB;
    let ends = RefCell::new(Ends::new(128 * MIB));
    let through = |unread| runtime.block_on(copy_through(chunks, unread, &mut ends.borrow_mut()));
    for unread in [1, 4, 16, 64] {
        bench
            .case(
                &format!("bounded pipe, {unread} MiB unread, copied in and out"),
                "ns/chunk",
            )
            .bar(AtMost(1.5))
            .peer("64 KiB unread", || through(CHUNK))
            .ours(|| through(unread * MIB));
    }
}

/// The same with chunks that are passed on without a copy: what the queue itself costs.
fn unread_chunks(bench: &mut Bench, runtime: &Runtime) {
    let chunks = bench.pick(1_000_000, 100_000);
    let through = |unread| runtime.block_on(pass_through(chunks, unread));
    bench
        .case(
            "bounded pipe, 64 MiB unread, passed without a copy",
            "ns/chunk",
        )
        .bar(AtMost(1.5))
        .peer("64 KiB unread", || through(CHUNK))
        .ours(|| through(64 * MIB));
}

fn beside_duplex(bench: &mut Bench, runtime: &Runtime) {
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

/// Where bytes come from and go to, larger than any cache.
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

/// Writes and reads chunk by chunk, with so many bytes unread all the time.
async fn copy_through(chunks: u64, unread: usize, ends: &mut Ends) -> f64 {
    let (writer, mut reader) = bounded_pipe(unread + CHUNK);
    let mut source = ends.source.chunks(CHUNK).cycle();
    for chunk in source.by_ref().take(unread / CHUNK) {
        writer.write_all(chunk).expect("room");
    }
    let targets = ends.target.len() / CHUNK;
    let start = std::time::Instant::now();
    for (i, chunk) in source.take(chunks as usize).enumerate() {
        let target = i % targets * CHUNK;
        writer.write_all(chunk).expect("room");
        reader
            .read_exact(&mut ends.target[target..target + CHUNK])
            .await
            .expect("bytes");
    }
    start.elapsed().as_nanos() as f64 / chunks as f64
}

async fn pass_through(chunks: u64, unread: usize) -> f64 {
    let (writer, mut reader) = bounded_pipe(unread + CHUNK);
    let chunk = Bytes::from(vec![1; CHUNK]);
    for _ in 0..unread / CHUNK {
        writer.write_bytes(chunk.clone()).expect("room");
    }
    let start = std::time::Instant::now();
    for _ in 0..chunks {
        writer.write_bytes(chunk.clone()).expect("room");
        reader.next_chunk().await.expect("bytes");
    }
    start.elapsed().as_nanos() as f64 / chunks as f64
}

async fn through_bounded(chunks: u64) {
    let (chunk, mut buffer) = (vec![1; CHUNK], vec![0; CHUNK]);
    let (writer, mut reader) = bounded_pipe(CHUNK);
    for _ in 0..chunks {
        writer.write_all(&chunk).expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}

async fn through_duplex(chunks: u64) {
    let (chunk, mut buffer) = (vec![1; CHUNK], vec![0; CHUNK]);
    let (mut writer, mut reader) = tokio::io::duplex(CHUNK);
    for _ in 0..chunks {
        writer.write_all(&chunk).await.expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}

async fn through_credit(chunks: u64) {
    let (chunk, mut buffer) = (vec![1; CHUNK], vec![0; CHUNK]);
    let (mut writer, mut reader, credit) = credit_pipe();
    for _ in 0..chunks {
        credit.grant(CHUNK as u64);
        writer.write_all(&chunk).await.expect("room");
        reader.read_exact(&mut buffer).await.expect("bytes");
    }
}
