//! The parent process, which runs children and checks the results.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use runtime_caching::{LookupOutcome, NewFolder, Sharing};

use crate::child::{BEFORE, EXCLUSIVE, IN_REMOVAL, KEEPING, open};

/// More than the number of changes in the scenario, in case a child never completes.
const MAX_CHANGES: u64 = 1000;

pub(crate) fn kill_at_each_change() {
    // Counted separately: folders are removed on other threads, so that the order of changes differs between runs.
    let changes = kill_at_each(BEFORE);
    assert!(changes > 100, "the child traces its changes");
    let removals = kill_at_each(IN_REMOVAL);
    assert!(removals > 10, "the child traces its removals");
    println!("killed before each of {changes} changes and in each of {removals} removals: ok");
}

/// Kills a child at each number of a moment until it completes, and returns the next number.
fn kill_at_each(moment: &str) -> u64 {
    for number in 0..MAX_CHANGES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let status = run_child(folder.path(), number, moment);
        check(folder.path(), &format!("killed {moment} {number}"));
        if status.success() {
            return number;
        }
        assert_eq!(status.signal(), Some(9), "the child was not killed");
    }
    panic!("the child did not complete");
}

fn run_child(folder: &Path, number: u64, moment: &str) -> ExitStatus {
    let own = std::env::current_exe().expect("a path");
    let mut command = Command::new(own);
    command.arg("child").arg(folder);
    command.arg(number.to_string()).arg(moment);
    command.status().expect("the child starts")
}

/// Checks the folders that the next process adopts, and then that nothing remains.
#[tokio::main(flavor = "current_thread")]
async fn check(folder: &Path, killed: &str) {
    let caches = [
        ("shared", Sharing::Shared),
        ("exclusive", EXCLUSIVE),
        ("keeping", KEEPING),
    ];
    for (name, sharing) in caches {
        Check {
            folder,
            name,
            sharing,
            context: format!("{name}, {killed}"),
        }
        .run()
        .await;
    }
}

struct Check<'a> {
    folder: &'a Path,
    name: &'a str,
    sharing: Sharing,
    context: String,
}

impl Check<'_> {
    async fn run(&self) {
        let (cache, collector) = open(self.folder, self.name, self.sharing).await;
        let report = collector.collect().await;
        assert!(report.failed.is_empty(), "{report}");
        self.check_leaks(cache.len());

        let collected = self.is_guaranteed("collected");
        let keys = [
            "kept",
            "changed",
            "purged",
            "failed",
            "dropped",
            "disposed",
            "abandoned",
        ];
        for key in keys {
            let handle = cache
                .require(&key.to_owned(), fill)
                .await
                .expect("the construction succeeds");
            let found = handle.lookup() == LookupOutcome::Hit;
            if found {
                self.check_content(key, handle.path());
            }
            let lost = self.is_guaranteed(key) && !collected && !found;
            let reappeared = self.is_guaranteed(key) && found;
            match key {
                "kept" => assert!(!lost, "{}: `{key}` is lost", self.context),
                "changed" => assert!(!lost, "{}: `{key}` is lost", self.context),
                "purged" | "disposed" => {
                    assert!(!reappeared, "{}: `{key}` reappeared", self.context)
                }
                _ => assert!(!found, "{}: `{key}` was never complete", self.context),
            }
            handle.poison();
        }
        drop(cache);
        collector.collect().await;
        self.check_leaks(0);
    }

    fn is_guaranteed(&self, what: &str) -> bool {
        self.folder.join(format!("{}-{what}", self.name)).exists()
    }

    fn check_content(&self, key: &str, path: &Path) {
        let read = |file| fs::read_to_string(path.join(file)).unwrap_or_default();
        let (first, second) = (read("first"), read("second"));
        if self.sharing == KEEPING {
            // Its user was killed halfway, and the folder is kept.
            let context = &self.context;
            assert!(
                ["new", "half"].contains(&&*first) && second == "new",
                "{context}: {first}, {second}"
            );
            return;
        }
        let changed = key == "changed" && self.is_guaranteed("changed");
        let expected: &[&str] = if changed {
            &["changed"]
        } else {
            &["new", "changed"]
        };
        let context = &self.context;
        assert_eq!(first, second, "{context}: `{key}` is half-written");
        assert!(expected.contains(&&*first), "{context}: `{key}` is {first}");
    }

    /// Checks that the disk contains the folders of the cache and nothing else.
    fn check_leaks(&self, entries: usize) {
        let names = |part| -> HashSet<String> {
            let folder = self.folder.join(self.name).join(part);
            let entries = fs::read_dir(folder).expect("it exists");
            let names = entries.map(|entry| entry.expect("the part can be listed").file_name());
            names
                .map(|name| name.to_string_lossy().into_owned())
                .collect()
        };
        let context = &self.context;
        assert_eq!(names("index"), names("folders"), "{context}");
        assert_eq!(names("index").len(), entries, "{context}");
        assert!(
            names("leases").is_empty() && names("trash").is_empty(),
            "{context}"
        );
    }
}

async fn fill(folder: NewFolder) -> io::Result<()> {
    fs::write(folder.path().join("first"), "other")
}
