//! Landlock: a second wall around files, and the only one where namespaces are not allowed.

use std::path::Path;

use crate::error::{SpawnError, SpawnStep};
use crate::files::{FileAccess, FileView, RootFolder};
use crate::plan::{Cell, Plan};
use crate::sys;

/// Rights on files, by the version of Landlock that introduced them.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const RIGHTS_1: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEVICE: u64 = 1 << 15;

/// Rights to create device nodes, which no command gets.
const MAKE_DEVICES: u64 = 1 << 6 | 1 << 11;

/// Rights that apply to files. A rule on a file must not have others.
const FILE_RIGHTS: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE;

const READ_RIGHTS: u64 = EXECUTE | READ_FILE | READ_DIR;

/// Abstract sockets and signals stay inside, since version 6.
const SCOPES: u64 = 0b11;

const RULE_PATH_BENEATH: u32 = 1;

/// Returns the rights on files that a version supports.
fn known_rights(version: u32) -> u64 {
    let mut rights = RIGHTS_1;
    for (least, right) in [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEVICE)] {
        if version >= least {
            rights |= right;
        }
    }
    rights
}

/// Restricts the process to the view, by paths inside the sandbox if `own_root`, else by those of the machine.
pub(crate) fn restrict(plan: &mut Plan, view: &FileView, own_root: bool) -> Result<(), SpawnError> {
    plan.step(SpawnStep::Landlock);
    let version = sys::landlock_version();
    let known = known_rights(version);
    let scopes = if version >= 6 { SCOPES } else { 0 };
    let mut attributes = Vec::new();
    // Every right that the kernel knows: one that is not listed here would stay allowed everywhere.
    for number in [known, 0, scopes] {
        attributes.extend(number.to_ne_bytes());
    }
    // Older versions have a shorter structure, and accept a longer one only if the rest is 0.
    let len = attributes.len();
    let attributes = plan.address(&attributes);
    let create = libc::SYS_landlock_create_ruleset;
    let rules = Rules {
        ruleset: plan.open(create, [attributes, len.into(), 0.into()]),
        known,
    };
    let write = known & !MAKE_DEVICES;
    if own_root {
        let is_overlay = matches!(view.root, RootFolder::Overlay { .. });
        rules.allow(plan, "/", if is_overlay { write } else { READ_RIGHTS })?;
        rules.allow(plan, "/dev", write)?;
        rules.allow(plan, "/proc", READ_RIGHTS | WRITE_FILE)?;
        rules.allow(plan, "/tmp", write)?;
    } else {
        rules.allow(plan, "/proc", READ_RIGHTS | WRITE_FILE)?;
        for device in ["null", "zero", "full", "random", "urandom", "tty"] {
            rules.allow(plan, format!("/dev/{device}"), FILE_RIGHTS & !EXECUTE)?;
        }
    }
    for bind in &view.binds {
        let rights = match bind.access {
            // The rule of the root folder permits this everywhere.
            FileAccess::ReadOnly if own_root => continue,
            FileAccess::ReadOnly => READ_RIGHTS,
            FileAccess::ReadWrite => write,
        };
        if bind.is_system_folder() && !bind.source.exists() {
            continue;
        }
        let is_folder = bind.source.is_dir();
        let rights = if is_folder {
            rights
        } else {
            rights & FILE_RIGHTS
        };
        let path = if own_root { &bind.target } else { &bind.source };
        rules.allow(plan, path, rights)?;
    }
    plan.step(SpawnStep::Landlock);
    plan.call(
        libc::SYS_landlock_restrict_self,
        [rules.ruleset.into(), 0.into()],
    );
    plan.call(libc::SYS_close, [rules.ruleset.into()]);
    Ok(())
}

/// A ruleset under construction.
struct Rules {
    ruleset: Cell,
    known: u64,
}

impl Rules {
    /// Allows rights on a file, or on a folder and everything below it.
    fn allow(
        &self,
        plan: &mut Plan,
        path: impl AsRef<Path>,
        rights: u64,
    ) -> Result<(), SpawnError> {
        plan.step_on(SpawnStep::Landlock, path.as_ref());
        let path = plan.string(path.as_ref())?;
        // `struct landlock_path_beneath_attr`: the rights, and a descriptor that the next operation stores.
        let mut rule = [0; 12];
        // The kernel refuses rules with rights that the ruleset does not list.
        rule[..8].copy_from_slice(&(rights & self.known).to_ne_bytes());
        let rule = plan.bytes(&rule);
        let folder = plan.cell_at(rule + 8);
        let flags = libc::O_PATH | libc::O_CLOEXEC;
        plan.open_to(
            folder,
            libc::SYS_openat,
            [libc::AT_FDCWD.into(), path, flags.into()],
        );
        let address = plan.address_of(rule);
        let add = libc::SYS_landlock_add_rule;
        plan.call(
            add,
            [
                self.ruleset.into(),
                RULE_PATH_BENEATH.into(),
                address,
                0.into(),
            ],
        );
        plan.call(libc::SYS_close, [folder.into()]);
        Ok(())
    }
}
