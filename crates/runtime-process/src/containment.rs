//! The walls and limits of tasks on this machine, and the end of processes that a crashed worker left running.

use std::ffi::OsStr;
use std::path::Path;

use runtime_core::Monitor;

use crate::cgroup::CgroupParents;
use crate::marks::LiveWorkers;
use crate::orphans::kill_leftovers;
use crate::settings::{CgroupSetting, EngineSettings};
use crate::walls::Walls;

/// Finds out where control groups can be created.
pub(crate) fn find_cgroups(setting: &CgroupSetting) -> CgroupParents {
    match setting {
        CgroupSetting::Disabled => CgroupParents::none(),
        CgroupSetting::BelowOwn => CgroupParents::below_own(),
        CgroupSetting::Below(parent) => CgroupParents::below(parent),
    }
}

/// Describes the containment of tasks.
pub(crate) fn describe(
    walls: Option<&Walls>,
    settings: &EngineSettings,
    cgroups: &CgroupParents,
) -> String {
    let isolation = walls.map_or_else(
        || "no isolation, tasks run as the worker's user".to_owned(),
        Walls::describe,
    );
    let support = cgroups.support();
    let found = if matches!(settings.cgroups, CgroupSetting::Disabled) {
        "control groups are disabled".to_owned()
    } else {
        support.to_string()
    };
    let rest = if walls.is_some() || support.contains_processes() {
        ""
    } else {
        "; processes are found by their marks, sessions and parents: one that forks faster than it is found may outlive \
         its task"
    };
    let limits = settings.limits;
    format!("containment of tasks: {isolation}; {found}{rest}; limits of each command: {limits}")
}

/// Logs the walls and limits that tasks have, and those that they lack.
pub(crate) fn report(
    walls: Option<&Walls>,
    settings: &EngineSettings,
    cgroups: &CgroupParents,
    monitor: &Monitor,
) {
    let line = describe(walls, settings, cgroups);
    match settings.cgroups {
        // The setting was explicit, but does not work.
        CgroupSetting::Below(_) if !cgroups.support().is_available() => monitor.warn(line),
        _ => monitor.info(line),
    }
}

/// Kills the processes and removes the control groups of dead workers. Blocks for at most about seven seconds.
pub(crate) fn end_leftovers(root: Option<&Path>, cgroups: &CgroupParents, monitor: &Monitor) {
    if let Some(root) = root {
        end_processes(root, &[], monitor);
    }
    let groups = cgroups.remove_abandoned();
    if groups.removed > 0 {
        let count = groups.removed;
        monitor.info(format_args!(
            "removed {count} control groups of dead workers"
        ));
    }
    for group in groups.remaining {
        let group = group.display();
        monitor.warn(format_args!(
            "processes of a dead worker remain in the control group `{group}`"
        ));
    }
}

/// Kills the processes of workers whose process folders are missing below `root` or are listed in `dead`.
pub(crate) fn end_processes(root: &Path, dead: &[&OsStr], monitor: &Monitor) {
    let live = match LiveWorkers::below(root, dead) {
        Ok(live) => live,
        Err(error) => {
            let root = root.display();
            monitor.warn(format_args!(
                "cannot look for processes of dead workers of `{root}`: {error}"
            ));
            return;
        }
    };
    let found = kill_leftovers(&live);
    if found.killed > 0 {
        let count = found.killed;
        monitor.info(format_args!("killed {count} processes of dead workers"));
    }
    if found.remaining > 0 {
        let count = found.remaining;
        monitor.warn(format_args!(
            "{count} processes of dead workers cannot be ended"
        ));
    }
}

/// Kills the processes of workers whose process folders are given, all in the same storage.
pub(crate) fn end_folders(process_folders: &[&Path]) {
    let Some(root) = process_folders.first().and_then(|folder| folder.parent()) else {
        return;
    };
    let names: Vec<_> = process_folders
        .iter()
        .filter_map(|folder| folder.file_name())
        .collect();
    end_processes(root, &names, &Monitor::null());
}
