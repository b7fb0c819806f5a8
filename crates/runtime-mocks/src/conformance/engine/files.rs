//! Claims about the files of an ended task.

use runtime_worker::{ExtractError, FolderWalk};

use super::{link, print, write};
use crate::conformance::EngineUnderTest;
use crate::conformance::at_every_await::drop_at_every_await;
use crate::conformance::engine_test::{EndedTask, EngineTest, read};
use crate::conformance::script::Step;

fn folder(path: &str) -> Step {
    Step::MakeFolder(path.to_owned())
}

async fn open_error(ended: &EndedTask, path: &str) -> ExtractError {
    let opened = ended.result.open_file(path).await;
    opened.map(drop).expect_err("no plain file of the task")
}

/// Returns the paths and contents of the files in a folder, sorted.
async fn walk(ended: &EndedTask, path: &str) -> Vec<(String, String)> {
    let walked = ended.result.walk_folder(path, 1000).await;
    let mut files = Vec::new();
    for file in walked.expect("a folder of the task").files {
        let path = file.path.to_string_lossy().replace('\\', "/");
        files.push((path, read(file.file.expect("a readable file")).await));
    }
    files.sort();
    files
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let files = files.iter();
    files
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

pub(super) async fn file_is_opened<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[folder("a"), write("a/file", "text")]).await;
    for path in ["a/file", "./a/file"] {
        assert_eq!(ended.read(path).await, "text");
    }
    // Each open starts at the beginning: an upload is repeated after a failure.
    let file = ended.result.open_file("a/file").await.expect("a file");
    assert_eq!(read(file.clone()).await, "text");
    assert_eq!(read(file).await, "text");
}

pub(super) async fn missing_file_is_reported<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[write("file", "text")]).await;
    for path in ["missing", "a/missing", "file/x"] {
        let error = open_error(&ended, path).await;
        assert!(matches!(error, ExtractError::Missing { .. }), "{error:?}");
        assert!(error.to_string().contains(path), "{error}");
    }
}

pub(super) async fn file_outside_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[print("x")]).await;
    for path in ["../x", "/etc/passwd", "a/../../x"] {
        let error = open_error(&ended, path).await;
        assert!(matches!(error, ExtractError::Outside { .. }), "{error:?}");
    }
}

pub(super) async fn link_out_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        link("file", "/etc/passwd"),
        link("folder", "/etc"),
        link("up", ".."),
    ];
    let ended = test.run(&steps).await;
    for path in ["file", "folder/passwd", "up/x"] {
        let error = open_error(&ended, path).await;
        let is_refused = matches!(
            error,
            ExtractError::Outside { .. } | ExtractError::Missing { .. }
        );
        assert!(is_refused, "{error:?}");
    }
    let walked = ended.result.walk_folder("folder", 1000).await;
    assert!(walked.is_err());
}

pub(super) async fn link_inside_is_followed<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        folder("a"),
        write("a/file", "text"),
        link("a/link", "file"),
        link("b", "a"),
    ];
    let ended = test.run(&steps).await;
    for path in ["a/link", "b/file", "b/link"] {
        assert_eq!(ended.read(path).await, "text", "{path}");
    }
}

pub(super) async fn folder_is_no_file<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[folder("a")]).await;
    let error = open_error(&ended, "a").await;
    assert!(matches!(error, ExtractError::NotAFile { .. }), "{error:?}");
}

pub(super) async fn file_is_no_folder<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[write("file", "text")]).await;
    let error = ended.result.walk_folder("file", 1000).await;
    let error = error.map(drop).expect_err("no folder");
    assert!(
        matches!(error, ExtractError::NotAFolder { .. }),
        "{error:?}"
    );
}

pub(super) async fn folder_is_walked<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        folder("out/deep/deeper"),
        folder("out/empty"),
        write("out/one", "1"),
        write("out/deep/two", "2"),
        write("out/deep/deeper/three", "3"),
        write("other", "4"),
        link("out/link", "deep/two"),
    ];
    let ended = test.run(&steps).await;
    let expected = [
        ("deep/deeper/three", "3"),
        ("deep/two", "2"),
        ("link", "2"),
        ("one", "1"),
    ];
    assert_eq!(walk(&ended, "out").await, owned(&expected));
    assert_eq!(walk(&ended, "out/empty").await, []);
}

pub(super) async fn folder_walk_is_bounded<U: EngineUnderTest>(test: EngineTest<U>) {
    let mut steps = vec![folder("out")];
    steps.extend((0..20).map(|it| write(&format!("out/{it}"), "")));
    let ended = test.run(&steps).await;
    for (max, is_truncated) in [(0, true), (5, true), (20, false)] {
        let walked = ended.result.walk_folder("out", max).await;
        let FolderWalk {
            files,
            is_truncated: found,
            ..
        } = walked.expect("a folder of the task");
        assert_eq!(found, is_truncated, "{max}");
        assert!(files.len() <= max, "{max}");
    }
}

pub(super) async fn link_circle_ends<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        folder("out"),
        write("out/file", "text"),
        link("out/self", "self"),
        link("out/up", "."),
    ];
    let ended = test.run(&steps).await;
    assert_eq!(walk(&ended, "out").await, owned(&[("file", "text")]));
}

pub(super) async fn walk_leaves_out_links_out<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        folder("out"),
        write("out/file", "text"),
        link("out/passwd", "/etc/passwd"),
        link("out/etc", "/etc"),
        link("out/dangling", "nowhere"),
    ];
    let ended = test.run(&steps).await;
    assert_eq!(walk(&ended, "out").await, owned(&[("file", "text")]));
    let walked = ended.result.walk_folder("out", 1000).await;
    let skipped = walked.expect("a folder of the task").skipped_links;
    assert_eq!(skipped.len(), 3, "{skipped:?}");
}

pub(super) async fn files_outlive_the_sandbox<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[write("file", "text")]).await;
    let result = task.sandbox.wait().await.expect("the engine works");
    drop(task);
    let file = result.open_file("file").await.expect("a file of the task");
    assert_eq!(read(file).await, "text");
}

pub(super) async fn cancelled_walk_is_repeatable<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[folder("out"), write("out/file", "text")]).await;
    let result = &ended.result;
    let walked = drop_at_every_await(|| result.walk_folder("out", 1000)).await;
    assert_eq!(walked.expect("a folder of the task").files.len(), 1);
    let opened = drop_at_every_await(|| result.open_file("out/file")).await;
    assert_eq!(read(opened.expect("a file")).await, "text");
}
