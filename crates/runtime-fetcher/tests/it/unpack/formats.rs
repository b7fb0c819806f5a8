//! Valid archives in every format.

use runtime_fetcher::{
    ArchiveFormat, DirectoryTarget, FetchError, Target, TargetError, UnpackLimits,
};
use serde_json::json;
use sha2::Sha256;

use super::build::{Tar, Zip, gzip, xz, zstd};
use super::{Site, names};
use crate::support::{Server, Step, body, context, digest, resolve};

fn tree() -> Tar {
    Tar::new()
        .entry_with(b'5', b"./", "", 0, b"", |_| ())
        .folder("bin/")
        .entry_with(b'0', b"bin/tool", "", 9, b"#!/bin/sh", |header| {
            header.set_mode(0o4755)
        })
        .file("share/doc/read.me", &body(100_000))
}

fn check_tree(site: &Site) {
    let read = |path: &str| std::fs::read(site.path().join(path)).expect(path);
    assert_eq!(read("bin/tool"), b"#!/bin/sh");
    assert!(read("share/doc/read.me") == body(100_000));
    assert_eq!(names(&site.path()), ["bin", "share"]);
    assert_eq!(
        names(&site.outer.path().join("in")),
        ["here"],
        "a sibling was left behind"
    );
}

#[tokio::test]
async fn formats_are_detected() {
    let plain = tree().bytes();
    let zip = Zip::new()
        .file("bin/tool", b"#!/bin/sh")
        .file("share/doc/read.me", &body(100_000));
    for archive in [
        plain.clone(),
        gzip(&plain),
        xz(&plain),
        zstd(&plain),
        zip.bytes(),
    ] {
        let site = Site::new();
        site.unpack(archive, None, UnpackLimits::default())
            .await
            .expect("archive is valid");
        check_tree(&site);
    }
}

#[tokio::test]
async fn concatenated_streams_are_unpacked() {
    let plain = tree().bytes();
    let (front, back) = plain.split_at(40_000);
    for parts in [
        [gzip(front), gzip(back)].concat(),
        [xz(front), xz(back)].concat(),
        [zstd(front), zstd(back)].concat(),
    ] {
        let site = Site::new();
        site.unpack(parts, None, UnpackLimits::default())
            .await
            .expect("archive is valid");
        check_tree(&site);
    }
}

#[tokio::test]
async fn nuls_after_gzip_are_skipped() {
    let site = Site::new();
    let padded = [gzip(&tree().bytes()), vec![0; 300_000]].concat();
    site.unpack(padded, None, UnpackLimits::default())
        .await
        .expect("archive is valid");
    check_tree(&site);
    let garbage = [gzip(&tree().bytes()), vec![0, 0, 1]].concat();
    let site = Site::new();
    site.unpack(garbage, None, UnpackLimits::default())
        .await
        .expect_err("garbage follows the archive");
}

#[tokio::test]
async fn decoded_tar_is_unpacked_with_its_declared_format() {
    for format in [
        ArchiveFormat::TarGz,
        ArchiveFormat::TarXz,
        ArchiveFormat::TarZst,
    ] {
        let site = Site::new();
        site.unpack(tree().bytes(), Some(format), UnpackLimits::default())
            .await
            .expect("archive is valid");
        check_tree(&site);
    }
    let site = Site::new();
    site.unpack(
        vec![0; 1024],
        Some(ArchiveFormat::TarGz),
        UnpackLimits::default(),
    )
    .await
    .expect_err("zeros are no compressed tar");
}

#[tokio::test]
async fn empty_archive_is_an_empty_folder() {
    for archive in [
        Tar::new().bytes(),
        gzip(&Tar::new().bytes()),
        Zip::new().bytes(),
    ] {
        let site = Site::new();
        site.unpack(archive, None, UnpackLimits::default())
            .await
            .expect("archive is valid");
        assert_eq!(names(&site.path()), [""; 0]);
    }
}

#[tokio::test]
async fn global_headers_are_skipped() {
    let remark = b"52 comment=1d19f9e3a6c4f0f59a4a0d5f9f7e3b9d6a2c4f4e\n";
    let tar = Tar::new().entry(b'g', b"pax_global_header", "", remark.len() as u64, remark);
    let site = Site::new();
    let archive = tar.file("a", b"a").bytes();
    site.unpack(archive, None, UnpackLimits::default())
        .await
        .expect("archive is valid");
    assert_eq!(names(&site.path()), ["a"]);
}

#[cfg(unix)]
#[tokio::test]
async fn dangerous_mode_bits_are_dropped() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    let site = Site::new();
    let archive = tree()
        .entry_with(b'5', b"locked", "", 0, b"", |header| {
            header.set_mode(0o1555)
        })
        .file("locked/file", b"x");
    site.unpack(archive.bytes(), None, UnpackLimits::default())
        .await
        .expect("archive is valid");
    let metadata = |path: &str| std::fs::metadata(site.path().join(path)).expect(path);
    assert_eq!(metadata("bin/tool").permissions().mode() & 0o7777, 0o755);
    assert_eq!(metadata("locked").permissions().mode() & 0o7777, 0o755);
    assert_eq!(metadata("").permissions().mode() & 0o7777, 0o755);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(
        metadata("bin/tool")
            .modified()
            .expect("modification time is supported"),
        time
    );
}

#[cfg(unix)]
#[tokio::test]
async fn links_inside_the_archive_are_created() {
    use std::os::unix::fs::MetadataExt as _;
    let site = Site::new();
    let archive = tree()
        .symlink("tool", "bin/tool")
        .symlink("share/tool", "../bin/./tool")
        .symlink("share/doc/up", "../..")
        .symlink("later", "nowhere")
        .hard_link("bin/tool2", "bin/tool");
    site.unpack(archive.bytes(), None, UnpackLimits::default())
        .await
        .expect("archive is valid");
    for path in ["tool", "share/tool", "share/doc/up/bin/tool", "bin/tool2"] {
        assert_eq!(
            std::fs::read(site.path().join(path)).expect(path),
            b"#!/bin/sh"
        );
    }
    let inode = |path: &str| std::fs::metadata(site.path().join(path)).expect(path).ino();
    assert_eq!(inode("bin/tool"), inode("bin/tool2"));
}

#[tokio::test]
async fn archive_is_fetched_and_unpacked() {
    let archive = zstd(&tree().bytes());
    let hash = digest::<Sha256>(&archive);
    let server = Server::start(move |_| Step::answer("200 OK", &[], &archive)).await;
    let (site, context) = (Site::new(), context());
    let reference = resolve(&context, json!({ "url": server.url("/"), "sha256": hash })).await;
    let mut target = DirectoryTarget::new(site.path());
    reference
        .fetch(&context, &mut target)
        .await
        .expect("fetch succeeds");
    check_tree(&site);
}

#[tokio::test]
async fn unverified_archive_is_not_parsed() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"not an archive")).await;
    let (site, context) = (Site::new(), context());
    let hash = "0".repeat(64);
    let reference = resolve(&context, json!({ "url": server.url("/"), "sha256": hash })).await;
    let error = reference
        .fetch(&context, &mut DirectoryTarget::new(site.path()))
        .await;
    let error = error.expect_err("hash differs");
    assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
    site.check_untouched("a wrong hash");
}

#[tokio::test]
async fn non_archive_is_a_broken_reference() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"not an archive")).await;
    let (site, context) = (Site::new(), context());
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let error = reference
        .fetch(&context, &mut DirectoryTarget::new(site.path()))
        .await;
    assert!(
        error
            .expect_err("certificate is invalid")
            .is_broken_reference()
    );
    site.check_untouched("not an archive");
}

#[tokio::test]
async fn existing_folder_is_left_alone() {
    let site = Site::new();
    std::fs::create_dir(site.path()).expect("disk has space");
    std::fs::write(site.path().join("old"), "old").expect("disk has space");
    let mut target = DirectoryTarget::new(site.path()).with_format(ArchiveFormat::Tar);
    target
        .write(tree().bytes().into())
        .await
        .expect("disk has space");
    let error = target.commit().await.expect_err("folder is not empty");
    assert!(matches!(error, TargetError::Io { .. }), "{error:?}");
    assert!(!error.is_content_error());
    assert_eq!(names(&site.path()), ["old"]);
    assert_eq!(names(&site.outer.path().join("in")), ["here"]);
}

#[test]
fn abandoned_archive_is_not_unpacked() {
    let site = Site::new();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build();
    runtime.expect("runtime starts").block_on(async {
        // The only blocking thread is busy until the caller has left.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || wait.recv());
        let mut target = DirectoryTarget::new(site.path());
        let archive = Tar::new().file("file", b"hello").bytes();
        target.write(archive.into()).await.expect("disk has space");
        let unpacking = futures_util::poll!(target.commit());
        assert!(unpacking.is_pending(), "the only thread is busy");
        go.send(()).expect("thread is waiting");
        let next = tokio::task::spawn_blocking(|| ());
        next.await.expect("thread does not panic");
    });
    site.check_untouched("an abandoned archive");
}
