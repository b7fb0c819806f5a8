//! The check of the disk on which the worker has its data.

use std::io;
use std::path::Path;

use runtime_core::util::ByteSize;
use runtime_gc::{GarbageCollector, HostStats, Stat, SystemStats as _};
use runtime_worker::config::WorkerConfig;

use runtime_dev_server::output;

/// Prints the state of the disk, and returns whether the worker can write its data folder.
pub(crate) async fn print_disk(config: &WorkerConfig) -> io::Result<bool> {
    let folder = &config.data_folder;
    let name = folder.display();
    // The worker creates a missing folder with its parents.
    let existing = folder.ancestors().find(|it| it.exists());
    let existing = existing.unwrap_or(Path::new("."));
    if let Err(error) = tempfile::tempfile_in(existing) {
        let advice = "change its owner, or set `worker.dataFolder`";
        output::result(format_args!(
            "failed: cannot write to the data folder `{name}`: {error}; {advice}"
        ))?;
        return Ok(false);
    }
    let stats = HostStats::new(existing);
    match stats.read().disk {
        Stat::Known(disk) => output::result(format_args!(
            "ok: the data folder `{name}` has {} of {} free",
            ByteSize(disk.free),
            ByteSize(disk.total)
        ))?,
        Stat::Failed(error) => output::result(format_args!("warning: unknown disk: {error}"))?,
        Stat::Absent => {}
    }
    // A collector without resources, which disposes of nothing.
    let collector = GarbageCollector::new(config.collector.clone(), stats);
    for shortage in collector.collect().await.shortages {
        output::result(format_args!(
            "warning: {shortage}; the worker claims when it can evict enough caches"
        ))?;
    }
    Ok(true)
}
