//! Names that are known only at run time.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tracing::warn;

/// The maximum number of interned names, as a limit for their memory and for the series of metrics.
const MAX_NAMES: usize = 1024;

/// The name that all names beyond the limit share.
const OTHER: &str = "other";

/// One per process rather than per monitor: an interned name must be `'static`, so it outlives every monitor.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Returns a static copy of the name of a metric, prefix, tag, field or plugin that is known only at run
/// time.
///
/// Monitors take constants as names, because every name of a metric costs at least one time series in the memory of the
/// worker and of every system that scrapes it. A series is never removed. Use this function only for a small, bounded
/// set of names, such as those in a configuration. A text that identifies a task or a file belongs in the value of a
/// tag or a field.
///
/// The copies of equal names have the same address, so an interned name is as fast as a constant. Copies are kept until
/// the process ends. After 1024 names, every further one is replaced by `other`, and a warning is logged once: totals
/// stay correct, only the breakdown is lost.
///
/// ```
/// use runtime_core::Monitor;
/// use runtime_core::monitor::intern_name;
///
/// let monitor = Monitor::null();
/// // The names of devices in the configuration of the worker.
/// for device in ["pixel-7".to_owned(), "pixel-8".to_owned()] {
///     monitor.with_prefix(intern_name(&device)).count("resets", 1);
/// }
/// ```
#[must_use]
pub fn intern_name(name: &str) -> &'static str {
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    if names.len() < MAX_NAMES {
        let name: &'static str = Box::leak(Box::from(name));
        names.insert(name);
        return name;
    }
    // Inserted once, so it also marks that the warning was logged.
    let is_first = names.insert(OTHER);
    drop(names);
    if is_first {
        warn!(
            limit = MAX_NAMES,
            "too many metric names at run time; further ones become `other`"
        );
    }
    OTHER
}
