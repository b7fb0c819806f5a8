//! The process that kills, and looks at what is left.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use runtime_caching::{Lookup, NewFolder, Sharing};

use crate::child::{EXCLUSIVE, KEEPING, open};

/// More than the scenario has changes, in case a child never gets to its end.
const TOO_MANY: u64 = 1000;

pub(crate) fn kill_before_each_change() {
    for kill_before in 0..TOO_MANY {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let status = run_child(folder.path(), kill_before);
        check(folder.path(), kill_before);
        if status.success() {
            println!("killed before each of {kill_before} changes: ok");
            assert!(kill_before > 100, "the child tells its changes");
            return;
        }
        assert_eq!(status.signal(), Some(9), "the child failed by itself");
    }
    panic!("the child did not come to its end");
}

fn run_child(folder: &Path, kill_before: u64) -> ExitStatus {
    let own = std::env::current_exe().expect("it is known");
    let mut command = Command::new(own);
    command
        .arg("child")
        .arg(folder)
        .arg(kill_before.to_string());
    command.status().expect("it can be started")
}

/// What the next process finds, and the one after it.
#[tokio::main(flavor = "current_thread")]
async fn check(folder: &Path, kill_before: u64) {
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
            context: format!("{name}, killed before change {kill_before}"),
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
        self.nothing_leaks(cache.len());

        let collected = self.was_promised("collected");
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
                .expect("it can be made");
            let found = handle.lookup() == Lookup::Hit;
            if found {
                self.is_whole(key, handle.path());
            }
            let lost = self.was_promised(key) && !collected && !found;
            let came_back = self.was_promised(key) && found;
            match key {
                "kept" => assert!(!lost, "{}: `{key}` is lost", self.context),
                "changed" => assert!(!lost, "{}: `{key}` is lost", self.context),
                "purged" | "disposed" => assert!(!came_back, "{}: `{key}` came back", self.context),
                _ => assert!(!found, "{}: `{key}` was never good", self.context),
            }
            handle.poison();
        }
        drop(cache);
        collector.collect().await;
        self.nothing_leaks(0);
    }

    fn was_promised(&self, what: &str) -> bool {
        self.folder.join(format!("{}-{what}", self.name)).exists()
    }

    fn is_whole(&self, key: &str, path: &Path) {
        let read = |file| fs::read_to_string(path.join(file)).unwrap_or_default();
        let (first, second) = (read("first"), read("second"));
        if self.sharing == KEEPING {
            // Whatever its user has made of it.
            let context = &self.context;
            assert!(
                ["made", "half"].contains(&&*first) && second == "made",
                "{context}: {first}, {second}"
            );
            return;
        }
        let changed = key == "changed" && self.was_promised("changed");
        let whole: &[&str] = match changed {
            true => &["changed"],
            false => &["made", "changed"],
        };
        let context = &self.context;
        assert_eq!(first, second, "{context}: `{key}` is half-written");
        assert!(whole.contains(&&*first), "{context}: `{key}` is {first}");
    }

    /// What is on disk is what the cache knows.
    fn nothing_leaks(&self, entries: usize) {
        let names = |part| -> HashSet<String> {
            let folder = self.folder.join(self.name).join(part);
            let entries = fs::read_dir(folder).expect("it is there");
            let names = entries.map(|entry| entry.expect("it can be listed").file_name());
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

async fn fill(draft: NewFolder) -> io::Result<()> {
    fs::write(draft.path().join("first"), "new")
}
