//! Speed of the redactor, and the cost of its secrets.

use std::path::Path;

use bench_harness::{AtLeast, AtMost, Bench, Plot, rate, time_ms, time_ns_each};
use runtime_ioext::log::Redactor;

use super::{new_log, write_log, write_to};

pub(super) fn redactor(bench: &mut Bench, path: &Path) {
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

/// The cost of adding a secret. It must not depend on the number of secrets, nor grow faster than the length
/// of the secret.
pub(super) fn secrets(bench: &mut Bench, path: &Path) {
    for (added, len, bar) in [(1000, 40, 50.0), (1000, 1000, 1000.0), (1, 1 << 20, 100.0)] {
        bench
            .case(&format!("adding {added} secrets of {len} bytes"), "ms")
            .bar(AtMost(bar))
            .ours(|| {
                let redactor = Redactor::new();
                time_ms(|| {
                    for i in 0..added {
                        redactor.add(secret(i, len)).expect("it is long enough");
                    }
                })
            });
    }
    bench
        .case(
            "a secret of 64 KiB in writes of 8 bytes, for each byte",
            "ns",
        )
        .bar(AtMost(2.0))
        .peer("a secret of 4 KiB", || write_split(path, 4 << 10))
        .ours(|| write_split(path, 64 << 10));
}

/// The cost of a secret and of a byte must not depend on the number of secrets, or on the length of one.
pub(super) fn growth(bench: &mut Bench, path: &Path) {
    const BY_SECRETS: Plot = Plot {
        name: "redactor",
        title: "Time of the redactor",
        by: "secrets",
    };
    const BY_LENGTH: Plot = Plot {
        name: "redactor-length",
        title: "Time of the redactor",
        by: "bytes of a secret",
    };
    let sizes = [1, 10, 100, 1000];
    let output = ordinary_output(4 << 20);
    bench
        .growth(BY_SECRETS, "1 KiB of output", "ns")
        .run(&sizes, redactor_of, |redactor, _| {
            let chunks = output.chunks(32 * 1024);
            time_ns_each(4 << 10, || {
                chunks.for_each(|chunk| drop(redactor.redact(chunk)))
            })
        });
    bench
        .growth(BY_SECRETS, "adding a secret", "ns")
        .bar(AtMost(0.6))
        .rounds(11)
        .run(
            &sizes,
            |_| (),
            |(), size| {
                let redactor = redactor_of(size);
                // As many again, so that the larger tables that some additions need are included.
                time_ns_each(size, || {
                    for i in size..2 * size {
                        redactor.add(secret(i, 40)).expect("it is long enough");
                    }
                })
            },
        );
    bench
        .growth(BY_LENGTH, "a byte, in writes of 8 bytes", "ns")
        .bar(AtMost(0.2))
        .rounds(11)
        .run(
            &[1 << 10, 4 << 10, 16 << 10, 64 << 10],
            |len| len,
            |len, _| write_split(path, *len as usize),
        );
}

/// Returns the nanoseconds per byte of a secret that is written in many parts.
fn write_split(path: &Path, len: usize) -> f64 {
    let (log, redactor, secret) = (new_log(path), Redactor::new(), secret(0, len));
    redactor.add(&secret).expect("it is long enough");
    let mut writer = redactor.writer(log.writer());
    time_ns_each(len as u64, || {
        for bytes in secret.as_bytes().chunks(8) {
            writer.write_all(bytes).expect("a write");
        }
    })
}

pub(super) fn redactor_of(secrets: u64) -> Redactor {
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
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(CHARS[(state >> 58) as usize])
    };
    (0..len).map(|_| next()).collect()
}

/// Returns lines as compilers write them.
pub(super) fn ordinary_output(len: usize) -> Vec<u8> {
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
