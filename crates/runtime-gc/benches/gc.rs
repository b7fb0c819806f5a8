//! The collector with many resources, compared with few.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use bench_harness::{AtMost, Bench, Plot, time_ms, time_ns_each, time_us};
use runtime_gc::{
    Amount, CostClass, Disposable, DisposableResource, DisposeError, Footprint, GarbageCollector,
    GcConfig, HostStats, ResourceId, Size, Stat, Stats, SystemStats, Threshold,
};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let runtime = &Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    Bench::main("gc", |bench| {
        register_and_unregister(bench);
        collect_nothing(bench, runtime);
        next_victims(bench, runtime);
        explain(bench);
        growth(bench, runtime);
    })
}

/// A resource whose disposal does nothing.
#[derive(Debug)]
struct TestResource {
    resource: DisposableResource,
    class: CostClass,
}

#[async_trait]
impl Disposable for TestResource {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn footprint(&self) -> Footprint {
        Footprint::disk(Size::Known(1))
    }

    fn class(&self) -> CostClass {
        self.class
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        Ok(())
    }
}

fn resources(count: usize) -> Vec<Arc<TestResource>> {
    let resource = |index: usize| TestResource {
        resource: DisposableResource::new(),
        class: CostClass::ALL[index % 3],
    };
    (0..count).map(|index| Arc::new(resource(index))).collect()
}

/// A machine with free space, without system calls.
#[derive(Debug)]
struct Plenty;

impl SystemStats for Plenty {
    fn read(&self) -> Stats {
        let disk = runtime_gc::Disk::new(1 << 40, 1 << 39);
        Stats::new(Stat::Known(disk), Stat::Absent)
    }
}

fn filled(config: GcConfig, count: usize) -> GarbageCollector {
    let collector = GarbageCollector::new(config, Plenty);
    for resource in resources(count) {
        collector.tracker().register(resource);
    }
    collector
}

/// Registers and unregisters 1000 resources among many others.
fn register_and_unregister(bench: &mut Bench) {
    const BATCH: u64 = 1000;
    let round = |collector: &GarbageCollector, unregister_is_timed: bool| {
        let (tracker, resources) = (collector.tracker(), resources(BATCH as usize));
        let register = || -> Vec<ResourceId> {
            let resources = resources.iter().cloned();
            resources
                .map(|resource| tracker.register(resource))
                .collect()
        };
        let unregister = |ids: Vec<ResourceId>| {
            for id in ids {
                assert!(tracker.unregister(id));
            }
        };
        if unregister_is_timed {
            let ids = register();
            time_ns_each(BATCH, || unregister(ids))
        } else {
            let mut ids = Vec::new();
            let time = time_ns_each(BATCH, || ids = register());
            unregister(ids);
            time
        }
    };
    let (few, many) = (
        filled(GcConfig::default(), 1000),
        filled(GcConfig::default(), 1_000_000),
    );
    for (name, unregister) in [("register", false), ("unregister", true)] {
        bench
            .case(&format!("{name} among 1 000 000 resources"), "ns")
            .bar(AtMost(3.0))
            .peer("among 1 000", || round(&few, unregister))
            .ours(|| round(&many, unregister));
    }
}

fn limits() -> GcConfig {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Percent(0.1)));
    config.limits.min_available_memory = Some(Threshold::at(Amount::Absolute(1)));
    config.limits.max_count = Some(Threshold::at(u64::MAX));
    config
}

/// Collects with the system's own statistics, and every kind of limit.
fn collect_nothing(bench: &mut Bench, runtime: &Runtime) {
    let rounds = bench.pick(2000, 200);
    let collector = |count| {
        let collector = GarbageCollector::new(limits(), HostStats::new("."));
        for resource in resources(count) {
            collector.tracker().register(resource);
        }
        collector
    };
    let collect = |collector: &GarbageCollector| {
        time_us(|| {
            runtime.block_on(async {
                for _ in 0..rounds {
                    let report = collector.collect().await;
                    assert!(report.freed.is_empty() && report.is_satisfied(), "{report}");
                }
            });
        }) / f64::from(rounds)
    };
    let (few, many) = (collector(100), collector(100_000));
    bench
        .case("collect without a shortage, 100 000 resources", "µs")
        .bar(AtMost(2.0))
        .peer("100", || collect(&few))
        .ours(|| collect(&many));
}

/// Runs a whole collection: decide, dispose of 100 resources at no cost, decide again.
fn next_victims(bench: &mut Bench, runtime: &Runtime) {
    let mut config = GcConfig::default();
    config.limits.max_count = Some(Threshold::at(1_000_000));
    let collector = filled(config, 1_000_000);
    bench
        .case("collect 100 of 1 000 000", "ms")
        .bar(AtMost(10.0))
        .ours(|| {
            for resource in resources(100) {
                collector.tracker().register(resource);
            }
            time_ms(|| {
                let report = runtime.block_on(collector.collect());
                assert_eq!(report.freed.len(), 100);
            })
        });
}

fn explain(bench: &mut Bench) {
    let collector = filled(limits(), 100_000);
    bench
        .case("explain 100 000 resources", "ms")
        .ours(|| time_ms(|| assert_eq!(collector.explain().resources.len(), 100_000)));
}

/// The time of a call must not depend on the number of resources.
fn growth(bench: &mut Bench, runtime: &Runtime) {
    const PLOT: Plot = Plot {
        name: "gc",
        title: "Time of a call of the collector",
        by: "resources",
    };
    const BATCH: usize = 1000;
    let sizes: &[u64] = bench.pick(
        &[1000, 10_000, 100_000, 1_000_000],
        &[1000, 10_000, 100_000],
    );
    bench
        .growth(PLOT, "register", "µs")
        .bar(AtMost(0.2))
        .rounds(11)
        .run(
            sizes,
            |size| filled(GcConfig::default(), size as usize),
            |collector, _| {
                let (tracker, resources) = (collector.tracker(), resources(BATCH));
                let mut ids = Vec::with_capacity(BATCH);
                let time =
                    time_us(|| ids.extend(resources.into_iter().map(|it| tracker.register(it))));
                ids.into_iter()
                    .for_each(|id| assert!(tracker.unregister(id)));
                time / BATCH as f64
            },
        );
    bench
        .growth(PLOT, "collect without a shortage", "µs")
        .bar(AtMost(0.2))
        .rounds(11)
        .run(
            sizes,
            |size| filled(limits(), size as usize),
            |collector, _| {
                let report = || runtime.block_on(collector.collect());
                time_us(|| (0..BATCH).for_each(|_| assert!(report().freed.is_empty())))
                    / BATCH as f64
            },
        );
    bench
        .growth(PLOT, "collect 100 of them", "µs")
        .bar(AtMost(0.2))
        .rounds(11)
        .run(
            sizes,
            |size| {
                let mut config = GcConfig::default();
                config.limits.max_count = Some(Threshold::at(size));
                filled(config, size as usize)
            },
            |collector, _| {
                for resource in resources(100) {
                    collector.tracker().register(resource);
                }
                time_us(|| assert_eq!(runtime.block_on(collector.collect()).freed.len(), 100))
            },
        );
}
