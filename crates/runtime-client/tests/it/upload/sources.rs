//! Sources that change or cannot be read.

use std::io::{self, Read, Seek, SeekFrom};

use super::*;

/// Uploads a file that is changed between declaration and upload.
async fn upload_with_change(
    name: &str,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> (Result<Uploaded, UploadError>, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "file", &bytes_of(500_000));
    let changing = path.clone();
    let server = Server::start(move |number, request| {
        if request.method == Method::PUT {
            return Reply::text(200, "");
        }
        change(&changing);
        declared(number, request)
    })
    .await;
    let outcome = upload(&client(&server), &s3(name, ArtifactSource::File(path))).await;
    (outcome, puts(&server).len())
}

fn append(path: &Path) {
    let mut file = std::fs::File::options()
        .append(true)
        .open(path)
        .expect("opens");
    file.write_all(b"more").expect("writes");
}

fn cut(path: &Path) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("opens");
    file.set_len(400_000).expect("cuts");
}

fn rewrite(path: &Path) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("opens");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .expect("sets the time");
}

#[tokio::test]
async fn changed_source_is_an_error() {
    for (change, later) in [
        (append as fn(&Path), 500_004),
        (cut, 400_000),
        (rewrite, 500_000),
    ] {
        let (outcome, arrived) = upload_with_change("a.zip", change).await;
        let error = outcome.expect_err("it changed");
        let UploadError::Changed {
            expected: 500_000,
            found,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((found, arrived), (later, 0));
    }
}

/// A stream that claims another length, or whose reads fail.
struct BrokenStream {
    claimed: u64,
    content: Option<Cursor<Bytes>>,
}

impl Read for BrokenStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.content {
            Some(content) => content.read(buffer),
            None => Err(io::Error::other("bad sector")),
        }
    }
}

impl Seek for BrokenStream {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match (position, &mut self.content) {
            (SeekFrom::End(_), _) => Ok(self.claimed),
            (_, Some(content)) => content.seek(position),
            (_, None) => Ok(0),
        }
    }
}

#[tokio::test]
async fn stream_of_other_length_is_not_stored() {
    for (claimed, found) in [(499_999, 500_000), (500_001, 500_000)] {
        let server = good_store().await;
        let content = Some(Cursor::new(bytes_of(500_000)));
        let source = ArtifactSource::stream(BrokenStream { claimed, content });
        let error = upload(&client(&server), &s3("a.zip", source)).await;
        let error = error.expect_err("another length");
        assert!(
            matches!(error, UploadError::Changed { expected, found: bytes, .. }
                if (expected, bytes) == (claimed, found)),
            "{error:?}"
        );
        assert!(puts(&server).is_empty());
    }
}

#[tokio::test]
async fn unreadable_stream_is_an_error() {
    let server = good_store().await;
    let source = ArtifactSource::stream(BrokenStream {
        claimed: 9,
        content: None,
    });
    let error = upload(&client(&server), &s3("a.zip", source)).await;
    assert_eq!(
        runtime_core::error_chain(&error.expect_err("unreadable")),
        "cannot read artifact `a.zip`: bad sector"
    );
}

#[tokio::test]
async fn compressed_copy_is_independent_of_source() {
    let (outcome, arrived) = upload_with_change("a.log", append).await;
    assert_eq!((outcome.expect("success").bytes, arrived), (500_000, 1));
}

#[tokio::test]
async fn unreadable_sources_become_error_artifacts() {
    let server = good_store().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = vec![
        (
            folder.path().join("missing"),
            ArtifactErrorReason::FileMissing,
        ),
        (
            folder.path().to_owned(),
            ArtifactErrorReason::InvalidResource,
        ),
    ];
    cases.extend(unix_cases(folder.path()));
    for (path, reason) in cases {
        let error = upload(
            &client(&server),
            &s3("a.log", ArtifactSource::File(path.clone())),
        )
        .await
        .expect_err("unreadable");
        let artifact = error
            .to_error_artifact()
            .unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(artifact.reason, reason, "{}", path.display());
    }
    assert!(
        server.requests().is_empty(),
        "nothing is declared before the source is open"
    );
}

#[cfg(unix)]
fn unix_cases(folder: &Path) -> Vec<(PathBuf, ArtifactErrorReason)> {
    let link = folder.join("link");
    std::os::unix::fs::symlink(file(folder, "target", b"secret"), &link).expect("links");
    let mut paths = vec![link, PathBuf::from("/dev/null")];
    paths.extend(pipe(folder));
    let refused = |path| (path, ArtifactErrorReason::InvalidResource);
    paths.into_iter().map(refused).collect()
}

#[cfg(target_os = "linux")]
fn pipe(folder: &Path) -> Option<PathBuf> {
    let pipe = folder.join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("makes a pipe");
    Some(pipe)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn pipe(_: &Path) -> Option<PathBuf> {
    None
}

#[cfg(unix)]
#[tokio::test]
async fn linked_parent_folder_is_refused() {
    let server = good_store().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("it is there");
    let (own, other) = (folder.join("own"), folder.join("other"));
    for each in [&own, &other] {
        std::fs::create_dir(each).expect("makes a folder");
    }
    let path = file(&own, "file", b"own");
    file(&other, "file", b"secret");
    let client = client(&server);
    let artifact = s3("a.zip", ArtifactSource::FileWithoutLinks(path));
    upload(&client, &artifact).await.expect("there is no link");
    assert_eq!(puts(&server)[0].body, b"own"[..]);

    std::fs::rename(&own, folder.join("away")).expect("renames");
    std::os::unix::fs::symlink(&other, &own).expect("links");
    let error = upload(&client, &artifact)
        .await
        .expect_err("the folder is a link");
    let declared = error.to_error_artifact().expect("an error artifact");
    assert_eq!(declared.reason, ArtifactErrorReason::InvalidResource);
    assert_eq!(puts(&server).len(), 1);
}

#[cfg(not(unix))]
fn unix_cases(_: &Path) -> Vec<(PathBuf, ArtifactErrorReason)> {
    Vec::new()
}

#[tokio::test]
async fn spool_failure_is_named() {
    let server = good_store().await;
    let deployment = server
        .deployment_with(|settings| settings.spool_folder = Some(PathBuf::from("/nowhere/at/all")));
    let client = deployment.client(CredentialsWatch::fixed(None));
    let noise: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
        .take(2 << 20)
        .collect();
    let error = upload(&client, &s3("a.log", ArtifactSource::Bytes(noise)))
        .await
        .expect_err("no folder");
    assert!(
        runtime_core::error_chain(&error).contains("compressed copy"),
        "{error:?}"
    );
}

#[tokio::test]
async fn clients_share_the_upload_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (barrier, highest) = (Arc::new(Barrier::new(3)), Arc::clone(&most));
    let server = Server::start_async(move |number, request| {
        let (now, highest, barrier) =
            (Arc::clone(&now), Arc::clone(&highest), Arc::clone(&barrier));
        async move {
            if request.method != Method::PUT {
                return declared(number, &request);
            }
            highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Reply::text(200, "")
        }
    })
    .await;
    let deployment = server.deployment_with(|settings| settings.concurrent_uploads = 3);
    let uploads = (0..12).map(|number| {
        let client = deployment.client(CredentialsWatch::fixed(None));
        async move {
            upload(
                &client,
                &s3(
                    &format!("{number}.zip"),
                    ArtifactSource::Bytes(Bytes::new()),
                ),
            )
            .await
        }
    });
    let outcomes = runtime_core::util::join_with_limit(12, uploads).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn errors_do_not_contain_the_url() {
    let server = with_store(|_| Reply::Hangup).await;
    let deployment = server.deployment_with(|settings| settings.upload_attempts = 1);
    let client = deployment.client(CredentialsWatch::fixed(None));
    let error = upload(&client, &s3("a.zip", ArtifactSource::Bytes(Bytes::new())))
        .await
        .expect_err("broken");
    let text = format!("{} {error:?}", runtime_core::error_chain(&error));
    assert!(!text.contains("s3cret"), "{text}");
}
