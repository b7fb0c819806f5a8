//! Scope sets of realistic size: 100 scopes of a worker, 20 of a task.

use std::hint::black_box;
use std::process::ExitCode;

use bench_harness::{AtMost, Bench, Plot, time_ns_each};
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

fn exact_scopes(count: usize) -> Vec<String> {
    scopes(2 * count, 1)
        .into_iter()
        .filter(|it| !it.ends_with('*'))
        .collect()
}

/// The rule of the services, applied to texts.
fn satisfies(have: &str, wanted: &str) -> bool {
    have == wanted
        || have
            .strip_suffix('*')
            .is_some_and(|prefix| wanted.starts_with(prefix))
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
        // Sets without patterns, in the size that most tasks have, against two loops over plain strings. Each pair of
        // scopes in turn: a loop finds the first ones at once.
        let have = exact_scopes(10);
        let set = ScopeSet::new(&have);
        let pairs = || black_box(&have).chunks(2);
        bench
            .case("10 scopes satisfy 2", "µs")
            .bar(AtMost(1.0))
            .peer("two loops over strings", || {
                each(times / 5, || {
                    pairs().all(|wanted| {
                        let found = |scope: &String| have.iter().any(|it| satisfies(it, scope));
                        black_box(wanted.iter().all(found))
                    })
                }) / 5.0
            })
            .ours(|| {
                each(times / 5, || {
                    pairs().all(|wanted| black_box(black_box(&set).satisfies_all(wanted)))
                }) / 5.0
            });
        bench
            .case("intersection of 100 and 20", "µs")
            .bar(AtMost(2.0))
            .ours(|| each(times, || black_box(&worker).intersection(black_box(&task))));
        growth(bench);
    })
}

/// A check searches a sorted set, and an intersection is one pass over both sets.
fn growth(bench: &mut Bench) {
    const PLOT: Plot = Plot {
        name: "scopes",
        title: "Time of an operation with a set of scopes",
        by: "scopes",
    };
    let wanted = scopes(20, 5);
    let (task, times) = (ScopeSet::new(&wanted), 10_000);
    let sizes = [100, 1000, 10_000];
    let set = |size| ScopeSet::new(scopes(size as usize, 1));
    bench
        .growth(PLOT, "satisfies 20 scopes", "µs")
        .bar(AtMost(0.3))
        .run(&sizes, set, |set, _| {
            each(times, || black_box(&*set).satisfies_all(black_box(&wanted)))
        });
    bench
        .growth(PLOT, "intersection with 20", "µs")
        .bar(AtMost(1.1))
        .run(&sizes, set, |set, size| {
            let times = times * 100 / size;
            each(times, || black_box(&*set).intersection(black_box(&task)))
        });
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
