//! Folder listings and concurrent uploads.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader, ContentEncoding,
    S3Artifact, UploadError, Uploaded, list_folder, list_folder_up_to, upload_all,
};
use runtime_core::{Run, TaskId, Timestamp};

fn names(folder: &Path) -> Vec<String> {
    let listing = list_folder(folder).expect("a folder");
    assert!(listing.unreadable.is_empty(), "{:?}", listing.unreadable);
    listing.files.into_iter().map(|file| file.name).collect()
}

#[test]
fn listing_is_recursive_and_sorted() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["b", "a/c/d", "a/b"] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, file).expect("writes");
    }
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    assert_eq!(names(folder.path()), ["a/b", "a/c/d", "b"]);
    let listing = list_folder(folder.path()).expect("a folder");
    assert_eq!(listing.files[1].path, folder.path().join("a/c/d"));
}

#[cfg(unix)]
#[test]
fn links_are_listed_and_not_followed() {
    use std::os::unix::fs::symlink;
    let (outside, folder) = (
        tempfile::tempdir().expect("a"),
        tempfile::tempdir().expect("b"),
    );
    fs::write(outside.path().join("secret"), "x").expect("writes");
    fs::write(folder.path().join("own"), "x").expect("writes");
    for (target, link) in [
        (outside.path(), "folder"),
        (&outside.path().join("secret"), "file"),
        (folder.path(), "circle"),
        (Path::new("nowhere"), "dangling"),
    ] {
        symlink(target, folder.path().join(link)).expect("links");
    }
    assert_eq!(names(folder.path()), ["own"]);
    let listing = list_folder(folder.path()).expect("a folder");
    let links: Vec<_> = listing.links.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(links, ["circle", "dangling", "file", "folder"]);
}

#[test]
fn listing_is_bounded_by_the_length_of_paths() {
    let root = tempfile::tempdir().expect("a folder");
    let mut folder = root.path().to_owned();
    for _ in 0..14 {
        folder.push("n".repeat(250));
    }
    std::fs::create_dir_all(&folder).expect("the path is short enough");
    for file in 0..10_000 {
        std::fs::write(folder.join(file.to_string()), "").expect("a file");
    }
    // Names and paths of 3 500 bytes each.
    let listing = list_folder_up_to(root.path(), 100_000).expect("a folder");
    assert!(listing.is_truncated);
    assert!(
        (9_000..10_000).contains(&listing.files.len()),
        "{}",
        listing.files.len()
    );
    let listing = list_folder_up_to(&folder, 100_000).expect("a folder");
    assert_eq!((listing.is_truncated, listing.files.len()), (false, 10_000));
}

#[test]
fn listing_a_file_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("writes");
    assert!(list_folder(&file).is_err());
    assert!(list_folder(&folder.path().join("none")).is_err());
}

#[cfg(unix)]
#[test]
fn too_deep_folder_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let (chain, outer) = (folder.path().join("d"), folder.path().join("outer"));
    fs::create_dir(&chain).expect("a folder");
    // From the inside out, since the path of the innermost folder is too long.
    for _ in 1..3_000 {
        fs::create_dir(&outer).expect("a folder");
        fs::rename(&chain, outer.join("d")).expect("moves");
        fs::rename(&outer, &chain).expect("moves");
    }
    fs::write(chain.join("file"), "x").expect("writes");
    let listing = list_folder(folder.path()).expect("a folder");
    let found: Vec<_> = listing.files.iter().map(|file| &*file.name).collect();
    assert_eq!(found, ["d/file"]);
    let [(deep, error)] = &listing.unreadable[..] else {
        panic!("{:?}", listing.unreadable);
    };
    assert!(deep.name.starts_with("d/d/d/"), "{}", deep.name);
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidFilename);
    runtime_core::remove_tree(&chain).expect("its depth does not matter");
}

/// An uploader that reads the source, and refuses the name `refused`.
#[derive(Debug, Default)]
struct Store {
    arrived: Mutex<Vec<(String, &'static str)>>,
}

#[async_trait]
impl ArtifactUploader for Store {
    async fn upload(
        &self,
        _: &Run,
        _: Timestamp,
        artifact: &Artifact,
    ) -> Result<Uploaded, UploadError> {
        let name = artifact.name.clone();
        tokio::task::yield_now().await;
        let kind = match &artifact.content {
            ArtifactBody::S3(S3Artifact {
                source: ArtifactSource::File(path),
                ..
            }) => {
                let read = fs::read(path);
                read.map_err(|source| UploadError::Read {
                    name: name.clone(),
                    path: Some(path.clone()),
                    source,
                })?;
                "s3"
            }
            ArtifactBody::Error(_) => "error",
            other => panic!("{other:?}"),
        };
        if name == "refused" {
            let message = String::new();
            return Err(UploadError::Refused {
                name,
                status: 500,
                code: None,
                message,
                retry_after: None,
                attempts: 1,
            });
        }
        self.arrived
            .lock()
            .expect("not poisoned")
            .push((name, kind));
        Ok(Uploaded::default())
    }
}

fn artifact(name: &str, path: PathBuf) -> Artifact {
    let content = S3Artifact {
        content_type: "text/plain".to_owned(),
        encoding: ContentEncoding::Auto,
        headers: ArtifactHeaders::new(),
        source: ArtifactSource::File(path),
    };
    Artifact {
        name: name.to_owned(),
        expires: None,
        content: ArtifactBody::S3(content),
    }
}

#[tokio::test]
async fn failed_uploads_do_not_affect_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("writes");
    let mut artifacts = vec![
        artifact("refused", file.clone()),
        artifact("missing", folder.path().join("none")),
    ];
    artifacts.extend((0..100).map(|n| artifact(&format!("file-{n:03}"), file.clone())));
    let (store, run) = (
        Store::default(),
        Run {
            task_id: TaskId::random(),
            run_id: 0,
        },
    );
    let outcomes = upload_all(&store, &run, Timestamp::now(), artifacts).await;

    let names: Vec<_> = outcomes
        .iter()
        .take(3)
        .map(|outcome| &*outcome.name)
        .collect();
    assert_eq!(
        (outcomes.len(), names),
        (102, vec!["refused", "missing", "file-000"])
    );
    assert!(matches!(
        outcomes[0].result,
        Err(UploadError::Refused { .. })
    ));
    assert!(matches!(outcomes[1].result, Err(UploadError::Read { .. })));
    let explained: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.has_error_artifact)
        .collect();
    assert_eq!(explained.iter().position(|is| *is), Some(1));
    assert_eq!(explained.iter().filter(|is| **is).count(), 1);
    let arrived = store.arrived.into_inner().expect("not poisoned");
    assert_eq!(arrived.len(), 101);
    assert!(arrived.contains(&("missing".to_owned(), "error")));
}

#[test]
fn stream_is_read_from_its_start() {
    let mut stream = Cursor::new(b"content".to_vec());
    stream.set_position(5);
    let ArtifactSource::Stream(stream) = ArtifactSource::stream(stream) else {
        panic!("not a stream")
    };
    for _ in 0..2 {
        let mut bytes = Vec::new();
        assert_eq!(stream.byte_length().expect("a length"), 7);
        let read = stream.read_from_start(|stream| stream.read_to_end(&mut bytes));
        assert_eq!(read.expect("rewinds").expect("reads"), 7);
        assert_eq!(bytes, b"content");
    }
}

#[test]
fn header_names_are_case_insensitive() {
    let headers = ArtifactHeaders::new()
        .with("Content-Language", "en")
        .and_then(|headers| headers.with("content-language", "de"))
        .expect("valid headers");
    assert_eq!(headers.as_map().len(), 1);
    assert_eq!(headers.as_map()["content-language"], "de");
}

#[test]
fn unsupported_headers_are_named() {
    for name in ["x-amz-acl", "content-type", "content-encoding", "a b", ""] {
        let error = ArtifactHeaders::new().with(name, "a").expect_err(name);
        assert_eq!(
            error.to_string(),
            format!(
                "header `{name}` is not supported for artifacts; use one of `cache-control`, \
                 `content-disposition`, `content-language`"
            )
        );
    }
}

#[test]
fn header_values_are_one_line() {
    let error = ArtifactHeaders::new().with("cache-control", "a\r\nx-amz-acl: b");
    assert_eq!(
        error.expect_err("two lines").to_string(),
        "invalid value of artifact header `cache-control`: use visible ASCII characters only"
    );
}
