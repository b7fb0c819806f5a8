//! Scope sets of realistic size: 100 scopes of a worker, 20 of a task.

use std::hint::black_box;
use std::process::ExitCode;

use bench_harness::{AtMost, Bench, time_ns_each};
use runtime_core::ScopeSet;

/// Scopes with a few common prefixes, half of them patterns.
fn scopes(count: usize, spread: usize) -> Vec<String> {
    let families = [
        "queue:route:index",
        "secrets:get:project",
        "docker-worker:cache",
        "assume:repo",
    ];
    let scope = |n: usize| {
        let family = families[n % families.len()];
        let star = if n.is_multiple_of(2) {
            ":*"
        } else {
            ":branch:main"
        };
        format!("{family}:area-{:04}{star}", n * spread)
    };
    (0..count).map(scope).collect()
}

fn main() -> ExitCode {
    Bench::main("scopes", |bench| {
        let worker = ScopeSet::new(scopes(100, 1));
        let wanted = scopes(20, 5);
        let task = ScopeSet::new(&wanted);
        let times = bench.pick(1_000_000, 100_000);
        bench
            .case("100 scopes satisfy 20", "µs")
            .bar(AtMost(2.0))
            .ours(|| {
                each(times, || {
                    black_box(&worker).satisfies_all(black_box(&wanted))
                })
            });
        bench
            .case("intersection of 100 and 20", "µs")
            .bar(AtMost(2.0))
            .ours(|| each(times, || black_box(&worker).intersection(black_box(&task))));
    })
}

/// Returns the mean duration of `work`.
fn each<T>(times: u64, mut work: impl FnMut() -> T) -> f64 {
    let nanos = time_ns_each(times, || {
        for _ in 0..times {
            black_box(work());
        }
    });
    nanos / 1000.0
}
