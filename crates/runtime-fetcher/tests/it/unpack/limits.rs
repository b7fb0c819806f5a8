//! How much may come out of an archive.

use std::io::Write as _;

use runtime_core::error_chain;
use runtime_fetcher::{ArchiveFormat, UnpackError, UnpackLimits, unpack};

use super::build::{Tar, Zip, gzip, xz, xz_with_dictionary, zstd, zstd_with_window};
use super::{Site, names};

async fn check(archive: Vec<u8>, limits: UnpackLimits, expected: &str) {
    let site = Site::new();
    let error = site.unpack(archive, None, limits).await;
    let error = error
        .err()
        .unwrap_or_else(|| panic!("not refused: {expected}"));
    assert!(error.is_archives_fault(), "{error:?}");
    assert!(
        error_chain(&error).contains(expected),
        "{}",
        error_chain(&error)
    );
    site.check_untouched(expected);
}

fn limits(change: impl FnOnce(&mut UnpackLimits)) -> UnpackLimits {
    let mut limits = UnpackLimits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn bytes_over_all_files_are_limited() {
    let archive = Tar::new().file("a", &[0; 600]).file("b", &[0; 600]).bytes();
    let limits = limits(|limits| limits.max_bytes = 1000);
    check(archive, limits, "more than the 1000 bytes").await;
}

#[tokio::test]
async fn entries_are_limited_whatever_they_are() {
    let many = (0..20).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), b""));
    let ten = || limits(|limits| limits.max_entries = 10);
    check(many.bytes(), ten(), "more than the 10 files").await;
    let zip = (0..20).fold(Zip::new(), |zip, n| zip.file(&format!("f{n}"), b""));
    check(zip.bytes(), ten(), "more than the 10 files").await;
    let deep = Tar::new().file("a/b/c/d/e/f/g/h/i/j/k", b"");
    check(deep.bytes(), ten(), "more than the 10 files").await;
    if cfg!(unix) {
        let links = (0..20).fold(Tar::new(), |tar, n| tar.symlink(&format!("l{n}"), "x"));
        check(links.bytes(), ten(), "more than the 10 files").await;
    }
}

/// A file of zeros, packed in parts of which many are the same.
fn bomb(pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    const PARTS: usize = 20;
    let part = vec![0; 1 << 20];
    let size = (PARTS * part.len()) as u64;
    let head = Tar::new().entry(b'0', b"zeros", "", size, b"").part();
    let parts = [
        pack(&head),
        pack(&part).repeat(PARTS),
        pack(&Tar::new().bytes()),
    ];
    parts.concat()
}

#[tokio::test]
async fn an_archive_that_swells_is_refused_in_every_compression() {
    let ten = || limits(|limits| limits.max_ratio = 10);
    for pack in [gzip, xz, zstd] {
        check(bomb(pack), ten(), "more than 10 times the size").await;
    }
}

#[tokio::test]
async fn names_and_headers_that_swell_are_refused_before_they_fill_the_memory() {
    let long = vec![b'x'; 8 << 20];
    for kind in [b'L', b'K', b'x'] {
        let archive = Tar::new().entry(kind, b"meta", "", long.len() as u64, &long);
        let archive = archive.file("short", b"").bytes();
        check(gzip(&archive), UnpackLimits::default(), "than headers need").await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_with_long_names_do_not_fill_the_memory() {
    let long = vec![b'x'; 900_000];
    let one = Tar::new().entry(b'L', b"long", "", long.len() as u64, &long);
    let one = one.symlink("short", "x").part();
    let archive = [zstd(&one).repeat(160), zstd(&Tar::new().bytes())].concat();
    check(archive, UnpackLimits::default(), "the names in the archive").await;
}

#[tokio::test]
async fn compressions_that_want_much_memory_are_refused() {
    let tar = Tar::new().file("a", b"a").bytes();
    for (good, bad) in [
        // 64 MiB and 96 MiB, 128 MiB and 256 MiB.
        (xz_with_dictionary(&tar, 28), xz_with_dictionary(&tar, 29)),
        (zstd_with_window(&tar, 27), zstd_with_window(&tar, 28)),
    ] {
        let site = Site::new();
        let unpacked = site.unpack(good, None, UnpackLimits::default()).await;
        unpacked.expect("honest programs make such");
        check(bad, UnpackLimits::default(), "memory").await;
    }
}

#[test]
fn a_zip_of_too_many_files_is_refused_before_the_first() {
    let zip = (0..20).fold(Zip::new(), |zip, n| zip.file(&format!("f{n}"), b""));
    let mut archive = tempfile::tempfile().expect("there is room");
    archive.write_all(&zip.bytes()).expect("there is room");
    let folder = tempfile::tempdir().expect("there is room");
    let ten = limits(|limits| limits.max_entries = 10);
    let error = unpack(&mut archive, None, folder.path(), &ten).expect_err("there are 20");
    assert!(
        matches!(error, UnpackError::TooMany { limit: 10 }),
        "{error:?}"
    );
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn zeros_behind_the_archive_are_not_read_for_ever() {
    let mut archive = Tar::new().file("a", b"a").bytes();
    archive.resize(archive.len() + (8 << 20), 0);
    check(gzip(&archive), UnpackLimits::default(), "than headers need").await;
}

#[tokio::test]
async fn a_size_that_is_a_lie_fills_no_memory() {
    let archive = Tar::new()
        .entry(b'0', b"huge", "", 1 << 40, b"not so huge")
        .bytes();
    check(archive, UnpackLimits::default(), "damaged").await;
}

#[tokio::test]
async fn a_small_archive_of_zeros_is_allowed() {
    let archive = gzip(&Tar::new().file("zeros", &vec![0; 4 << 20]).bytes());
    let site = Site::new();
    let target = site
        .unpack(archive, Some(ArchiveFormat::TarGz), UnpackLimits::default())
        .await;
    let unpacked = target
        .expect("it is small")
        .unpacked()
        .expect("it is unpacked");
    assert_eq!((unpacked.entries, unpacked.bytes), (1, 4 << 20));
}
