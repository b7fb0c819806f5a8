//! Claims about the folder of a task, and about attached folders and copies.

use std::path::Path;

use runtime_worker::{Capability, FolderAccess, SandboxBuilder};

use super::{print, write};
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::{EngineTest, assert_refused, exists};
use crate::conformance::script::Step;

/// Returns whether the engine attaches folders in this way. If it does not, checks that it refuses them.
async fn has_folders<U: EngineUnderTest>(test: &EngineTest<U>, access: FolderAccess) -> bool {
    let has = test.has(match access {
        FolderAccess::ReadOnly => Capability::ReadOnlyFolders,
        FolderAccess::ReadWrite => Capability::Folders,
    });
    if !has {
        let folder = test.host_folder("refused", "");
        let attached = test.builder().await.attach_folder(&folder, "x", access);
        assert_refused(attached);
    }
    has
}

/// Returns whether the engine attaches copies. If it does not, checks that it refuses them.
async fn has_copies<U: EngineUnderTest>(test: &EngineTest<U>) -> bool {
    let has = test.has(Capability::Copies);
    if !has {
        let folder = test.host_folder("refused", "");
        assert_refused(test.builder().await.attach_copy(&folder, "x"));
    }
    has
}

fn read(path: &str) -> Step {
    Step::Read(path.to_owned())
}

pub(super) async fn folder_starts_empty<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [print("begin"), Step::List(".".to_owned()), print("end")];
    let ended = test.run(&steps).await;
    assert!(ended.log.contains("begin\nend\n"), "{}", ended.log);
}

pub(super) async fn folder_is_not_shared<U: EngineUnderTest>(test: EngineTest<U>) {
    let first = test.run(&[write("file", "secret of a task")]).await;
    let second = test.run(&[read("file"), print("end")]).await;
    second.assert_printed("end");
    assert!(!second.log.contains("secret"), "{}", second.log);
    drop(first);
}

pub(super) async fn folder_changes_are_kept<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_folders(&test, FolderAccess::ReadWrite).await {
        let folder = test.host_folder("cache", "old");
        let steps = [
            write("cache/deep/file", "new"),
            write("cache/other", "more"),
        ];
        let attach = |it: &mut dyn SandboxBuilder| {
            it.attach_folder(&folder, "cache", FolderAccess::ReadWrite)
        };
        test.run_with(&steps, attach).await;
        let text = |path: &str| std::fs::read_to_string(folder.join(path));
        assert_eq!(text("deep/file").expect("a file"), "new");
        assert_eq!(text("other").expect("a file"), "more");
    }
}

pub(super) async fn folder_content_is_read<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_folders(&test, FolderAccess::ReadWrite).await {
        let folder = test.host_folder("cache", "content\n");
        let attach = |it: &mut dyn SandboxBuilder| {
            it.attach_folder(&folder, "a/cache", FolderAccess::ReadWrite)
        };
        let ended = test.run_with(&[read("a/cache/deep/file")], attach).await;
        ended.assert_printed("content");
    }
}

pub(super) async fn read_only_folder_is_read<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_folders(&test, FolderAccess::ReadOnly).await {
        let folder = test.host_folder("fixed", "content\n");
        let attach = |it: &mut dyn SandboxBuilder| {
            it.attach_folder(&folder, "fixed", FolderAccess::ReadOnly)
        };
        let ended = test.run_with(&[read("fixed/deep/file")], attach).await;
        ended.assert_printed("content");
    }
}

pub(super) async fn read_only_folder_is_unchanged<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_folders(&test, FolderAccess::ReadOnly).await {
        let folder = test.host_folder("fixed", "old");
        let steps = [
            write("fixed/deep/file", "new"),
            write("fixed/deep/other", "more"),
            write("fixed/other", "more"),
        ];
        let attach = |it: &mut dyn SandboxBuilder| {
            it.attach_folder(&folder, "fixed", FolderAccess::ReadOnly)
        };
        test.run_with(&steps, attach).await;
        let text = std::fs::read_to_string(folder.join("deep/file"));
        assert_eq!(text.expect("a file"), "old");
        assert!(!exists(&folder.join("other")) && !exists(&folder.join("deep/other")));
    }
}

/// A way to attach a folder or a copy.
type Attach = fn(&mut dyn SandboxBuilder, &Path, &str) -> bool;

fn attach_folder(builder: &mut dyn SandboxBuilder, source: &Path, target: &str) -> bool {
    let attached = builder.attach_folder(source, target, FolderAccess::ReadWrite);
    attached.is_ok()
}

fn attach_copy(builder: &mut dyn SandboxBuilder, source: &Path, target: &str) -> bool {
    builder.attach_copy(source, target).is_ok()
}

/// Returns the ways to attach that the engine supports.
async fn ways<U: EngineUnderTest>(test: &EngineTest<U>) -> Vec<Attach> {
    let mut ways: Vec<Attach> = Vec::new();
    if has_folders(test, FolderAccess::ReadWrite).await {
        ways.push(attach_folder);
    }
    if has_copies(test).await {
        ways.push(attach_copy);
    }
    ways
}

pub(super) async fn folder_outside_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let folder = test.host_folder("cache", "");
    for attach in ways(&test).await {
        for target in ["", ".", "..", "../x", "a/../../x", "/x"] {
            let attached = attach(&mut *test.builder().await, &folder, target);
            assert!(!attached, "attached at {target:?}");
        }
    }
}

pub(super) async fn folder_at_used_target_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let folder = test.host_folder("cache", "");
    for attach in ways(&test).await {
        let mut builder = test.builder().await;
        assert!(attach(&mut *builder, &folder, "x"));
        for target in ["x", "./x", "x/deep"] {
            assert!(!attach(&mut *builder, &folder, target), "{target:?}");
        }
    }
}

pub(super) async fn missing_folder_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let missing = test.host_folder("cache", "").join("missing");
    for attach in ways(&test).await {
        let mut builder = test.builder().await;
        // An engine may look at the source only when it starts the task.
        let refused = !attach(&mut *builder, &missing, "x") || builder.start().await.is_err();
        assert!(refused);
    }
}

pub(super) async fn copy_is_read<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_copies(&test).await {
        let folder = test.host_folder("input", "content\n");
        let file = folder.join("deep/file");
        let attach = |it: &mut dyn SandboxBuilder| it.attach_copy(&file, "a/input");
        let ended = test.run_with(&[read("a/input")], attach).await;
        ended.assert_printed("content");
    }
}

pub(super) async fn copy_protects_the_original<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_copies(&test).await {
        let folder = test.host_folder("input", "old");
        let steps = [
            write("input/deep/file", "new"),
            write("input/other", "more"),
            print("end"),
        ];
        let attach = |it: &mut dyn SandboxBuilder| it.attach_copy(&folder, "input");
        let ended = test.run_with(&steps, attach).await;
        ended.assert_printed("end");
        assert_eq!(ended.read("input/deep/file").await, "new");
        let text = std::fs::read_to_string(folder.join("deep/file"));
        assert_eq!(text.expect("a file"), "old");
        assert!(!exists(&folder.join("other")));
    }
}

pub(super) async fn copy_of_folder_is_complete<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_copies(&test).await {
        let folder = test.host_folder("input", "one\n");
        std::fs::write(folder.join("two"), "two\n").expect("a folder of the test");
        let attach = |it: &mut dyn SandboxBuilder| it.attach_copy(&folder, "input");
        let steps = [read("input/deep/file"), read("input/two")];
        let ended = test.run_with(&steps, attach).await;
        ended.assert_printed("one");
        ended.assert_printed("two");
    }
}
