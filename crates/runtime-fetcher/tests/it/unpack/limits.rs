//! Limits for unpacking.

use std::io::Write as _;

use runtime_core::error_chain;
use runtime_fetcher::unpack::{UnpackError, unpack};
use runtime_fetcher::{ArchiveFormat, UnpackLimits};

use super::build::{Tar, Zip, gzip, xz, xz_with_dictionary, zstd, zstd_with_window};
use super::{Site, names};

async fn check(archive: Vec<u8>, limits: UnpackLimits, expected: &str) {
    let site = Site::new();
    let error = site.unpack(archive, None, limits).await;
    let error = error
        .err()
        .unwrap_or_else(|| panic!("not refused: {expected}"));
    assert!(error.is_invalid_archive(), "{error:?}");
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
async fn total_bytes_are_limited() {
    let archive = Tar::new().file("a", &[0; 600]).file("b", &[0; 600]).bytes();
    let limits = limits(|limits| limits.max_bytes = 1000);
    check(archive, limits, "limit of 1000 bytes").await;
}

#[tokio::test]
async fn entries_of_every_kind_are_limited() {
    let many = (0..20).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), b""));
    let ten = || limits(|limits| limits.max_entries = 10);
    check(many.bytes(), ten(), "limit of 10 entries").await;
    let zip = (0..20).fold(Zip::new(), |zip, n| zip.file(&format!("f{n}"), b""));
    check(zip.bytes(), ten(), "limit of 10 entries").await;
    let deep = Tar::new().file("a/b/c/d/e/f/g/h/i/j/k", b"");
    check(deep.bytes(), ten(), "limit of 10 entries").await;
    if cfg!(unix) {
        let links = (0..20).fold(Tar::new(), |tar, n| tar.symlink(&format!("l{n}"), "x"));
        check(links.bytes(), ten(), "limit of 10 entries").await;
    }
}

/// Returns a file of zeros, packed as many equal streams.
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
async fn decompression_bombs_are_rejected() {
    let ten = || limits(|limits| limits.max_ratio = 10);
    for pack in [gzip, xz, zstd] {
        check(bomb(pack), ten(), "more than 10 times its size").await;
    }
}

#[tokio::test]
async fn header_size_is_limited() {
    let long = vec![b'x'; 8 << 20];
    for kind in [b'L', b'K', b'x'] {
        let archive = Tar::new().entry(kind, b"meta", "", long.len() as u64, &long);
        let archive = archive.file("short", b"").bytes();
        check(
            gzip(&archive),
            UnpackLimits::default(),
            "headers of an entry exceed",
        )
        .await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn total_name_length_is_limited() {
    let long = vec![b'x'; 900_000];
    let one = Tar::new().entry(b'L', b"long", "", long.len() as u64, &long);
    let one = one.symlink("short", "x").part();
    let archive = [zstd(&one).repeat(160), zstd(&Tar::new().bytes())].concat();
    check(archive, UnpackLimits::default(), "names in the archive").await;
}

#[tokio::test]
async fn decoder_memory_is_limited() {
    let tar = Tar::new().file("a", b"a").bytes();
    for (good, bad) in [
        // 64 and 96 MiB for xz, 128 and 256 MiB for zstd.
        (xz_with_dictionary(&tar, 28), xz_with_dictionary(&tar, 29)),
        (zstd_with_window(&tar, 27), zstd_with_window(&tar, 28)),
    ] {
        let site = Site::new();
        let unpacked = site.unpack(good, None, UnpackLimits::default()).await;
        unpacked.expect("archive is within the limit");
        check(bad, UnpackLimits::default(), "memory").await;
    }
}

#[test]
fn zip_entries_are_counted_in_advance() {
    let zip = (0..20).fold(Zip::new(), |zip, n| zip.file(&format!("f{n}"), b""));
    let mut archive = tempfile::tempfile().expect("disk has space");
    archive.write_all(&zip.bytes()).expect("disk has space");
    let folder = tempfile::tempdir().expect("disk has space");
    let ten = limits(|limits| limits.max_entries = 10);
    let error = unpack(&mut archive, None, folder.path(), &ten).expect_err("limit is 10");
    assert!(
        matches!(error, UnpackError::TooManyEntries { limit: 10 }),
        "{error:?}"
    );
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn trailing_zeros_are_limited() {
    let mut archive = Tar::new().file("a", b"a").bytes();
    archive.resize(archive.len() + (8 << 20), 0);
    check(
        gzip(&archive),
        UnpackLimits::default(),
        "headers of an entry exceed",
    )
    .await;
}

#[tokio::test]
async fn false_entry_size_is_harmless() {
    let archive = Tar::new()
        .entry(b'0', b"huge", "", 1 << 40, b"not so huge")
        .bytes();
    check(archive, UnpackLimits::default(), "corrupt").await;
}

#[tokio::test]
async fn small_archive_of_zeros_is_allowed() {
    let archive = gzip(&Tar::new().file("zeros", &vec![0; 4 << 20]).bytes());
    let site = Site::new();
    let target = site
        .unpack(archive, Some(ArchiveFormat::TarGz), UnpackLimits::default())
        .await;
    let unpacked = target
        .expect("archive is small")
        .unpacked()
        .expect("archive is unpacked");
    assert_eq!((unpacked.entries, unpacked.bytes), (1, 4 << 20));
}

/// The depth of a file. Its path is shorter than the limit of Linux, 4096 bytes.
const DEPTH: usize = 1500;

/// The stack of a thread that cannot even hold 200 bytes for each level.
const SMALL_STACK: usize = 256 * 1024;

fn deep_path() -> String {
    "d/".repeat(DEPTH) + "file"
}

fn deep_tar() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, deep_path(), &b"hello"[..])
        .expect("memory suffices");
    archive.into_inner().expect("memory suffices")
}

/// Removes the folders of a deep file, which `tempfile` would do recursively.
fn remove_deep(folder: &std::path::Path) {
    std::fs::remove_file(folder.join(deep_path())).expect("path exists");
    for depth in (1..=DEPTH).rev() {
        std::fs::remove_dir(folder.join("d/".repeat(depth))).expect("folder is empty");
    }
}

#[test]
fn deep_archive_needs_no_deep_stack() {
    for bytes in [deep_tar(), Zip::new().file(&deep_path(), b"hello").bytes()] {
        let site = Site::new();
        let folder = site.outer.path().join("in");
        let archive = site.outer.path().join("archive");
        std::fs::write(&archive, bytes).expect("disk has space");
        let thread = std::thread::Builder::new().stack_size(SMALL_STACK);
        let unpacking = thread.spawn({
            let folder = folder.clone();
            move || {
                let mut archive = std::fs::File::open(archive).expect("path exists");
                unpack(&mut archive, None, &folder, &UnpackLimits::default())
            }
        });
        let unpacked = unpacking.expect("thread starts").join().expect("no panic");
        assert_eq!(
            unpacked.expect("archive is valid").entries,
            DEPTH as u64 + 1
        );
        let content = std::fs::read(folder.join(deep_path())).expect("path exists");
        assert_eq!(content, b"hello");
        remove_deep(&folder);
    }
}
