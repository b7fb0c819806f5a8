//! A corpus of attacks, each with the expected error.

use runtime_core::error_chain;
use runtime_fetcher::UnpackLimits;

use super::Site;
use super::build::{Tar, Zip, gzip, xz, zstd};

/// Checks that each archive is rejected with a text and leaves nothing behind.
async fn check(corpus: Vec<(&str, Vec<u8>, &str)>) {
    for (what, archive, expected) in corpus {
        let site = Site::new();
        let error = site.unpack(archive, None, UnpackLimits::default()).await;
        let error = error
            .err()
            .unwrap_or_else(|| panic!("{what} is not refused"));
        assert!(error.is_invalid_archive(), "{what}: {error:?}");
        assert!(
            error_chain(&error).contains(expected),
            "{what}: {}",
            error_chain(&error)
        );
        site.check_untouched(what);
    }
}

fn tar(add: impl FnOnce(Tar) -> Tar) -> Vec<u8> {
    add(Tar::new().file("first", b"1")).bytes()
}

#[tokio::test]
async fn paths_leaving_the_folder_are_rejected() {
    let file = |name: &'static str| tar(|tar| tar.file(name, b"evil"));
    check(vec![
        ("a parent", file("../outside"), "contains `..`"),
        (
            "a parent on the way",
            file("a/../../outside"),
            "contains `..`",
        ),
        ("a parent at the end", file("a/.."), "contains `..`"),
        ("a parent of Windows", file(r"..\outside"), "contains `..`"),
        ("an absolute path", file("/tmp/outside"), "is absolute"),
        ("two slashes", file("//tmp/outside"), "is absolute"),
        ("a drive", file(r"C:\outside"), "drive letter"),
        ("a share", file(r"\\host\outside"), "is absolute"),
        ("no name", file(""), "names no entry"),
        ("the folder itself", file("."), "names no entry"),
        ("a folder", tar(|tar| tar.folder("../in2")), "contains `..`"),
        (
            "a name that is no text",
            tar(|tar| tar.entry(b'0', b"\xff\xfe", "", 0, b"")),
            "not UTF-8",
        ),
        (
            "a very long name",
            long_name(5000),
            "not valid on this system",
        ),
    ])
    .await;
}

fn long_name(length: usize) -> Vec<u8> {
    let name = "x".repeat(length);
    tar(|tar| {
        let tar = tar.entry(b'L', b"././@LongLink", "", length as u64, name.as_bytes());
        tar.file("short", b"")
    })
}

#[tokio::test]
async fn long_names_are_checked() {
    let name = format!("{}/../../../outside", "a".repeat(120));
    let archive = tar(|tar| {
        let tar = tar.entry(
            b'L',
            b"././@LongLink",
            "",
            name.len() as u64,
            name.as_bytes(),
        );
        tar.file("harmless", b"evil")
    });
    let pax = |record: &str| {
        let record = format!("{} {record}\n", record.len() + 4);
        tar(|tar| {
            let tar = tar.entry(b'x', b"pax", "", record.len() as u64, record.as_bytes());
            tar.file("harmless", b"evil")
        })
    };
    check(vec![
        ("a long name of GNU", archive, "contains `..`"),
        (
            "a path in an extended header",
            pax("path=../../outside"),
            "contains `..`",
        ),
        (
            "an absolute path in an extended header",
            pax("path=/tmp/outside"),
            "is absolute",
        ),
    ])
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn symlinks_leaving_the_folder_are_rejected() {
    let link = |name: &'static str, target: &'static str| tar(|tar| tar.symlink(name, target));
    check(vec![
        ("an absolute target", link("a", "/etc/passwd"), "symlink to"),
        ("a parent", link("a", ".."), "symlink to"),
        (
            "one parent too many",
            link("a/b/c", "../../../outside"),
            "symlink to",
        ),
        (
            "a parent behind a name",
            link("a/b/c", "x/../../../../outside"),
            "symlink to",
        ),
        ("no target", link("a", ""), "symlink to"),
        (
            // Lexically, the second target stays inside.
            "a parent behind another link",
            tar(|tar| {
                tar.symlink("a/b/up", "../..")
                    .symlink("a/b/out", "up/../outside")
            }),
            "symlink to",
        ),
        (
            "a file through a link",
            tar(|tar| tar.folder("d").symlink("l", "d").file("l/file", b"evil")),
            "conflicts with another entry",
        ),
        (
            "a file in the place of a link",
            tar(|tar| tar.symlink("l", "first").file("l", b"evil")),
            "conflicts with another entry",
        ),
        (
            "a folder in the place of a link",
            tar(|tar| tar.symlink("l", ".").folder("l")),
            "conflicts with another entry",
        ),
    ])
    .await;
}

#[tokio::test]
async fn hard_links_need_an_earlier_file() {
    let link = |target: &'static str| tar(|tar| tar.folder("d").hard_link("a", target));
    check(vec![
        ("a parent", link("../../outside"), "not an earlier file"),
        (
            "an absolute target",
            link("/etc/passwd"),
            "not an earlier file",
        ),
        ("a folder", link("d"), "not an earlier file"),
        ("itself", link("a"), "not an earlier file"),
        ("nothing", link("missing"), "not an earlier file"),
    ])
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn hard_link_to_symlink_is_rejected() {
    let archive = tar(|tar| tar.symlink("l", "first").hard_link("h", "l"));
    check(vec![("a link to a link", archive, "not an earlier file")]).await;
}

#[tokio::test]
async fn other_entry_kinds_are_rejected() {
    let kind = |kind: u8| tar(|tar| tar.entry(kind, b"odd", "", 0, b""));
    let sparse = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n";
    let pax_sparse = tar(|tar| {
        let tar = tar.entry(b'x', b"pax", "", sparse.len() as u64, sparse.as_bytes());
        tar.file("sparse", b"map")
    });
    check(vec![
        (
            "a character device",
            kind(b'3'),
            "unsupported kind of entry: device",
        ),
        (
            "a block device",
            kind(b'4'),
            "unsupported kind of entry: device",
        ),
        (
            "a pipe",
            kind(b'6'),
            "unsupported kind of entry: named pipe",
        ),
        (
            "a volume",
            kind(b'V'),
            "unsupported kind of entry: unknown type",
        ),
        (
            "a sparse file in an extended header",
            pax_sparse,
            "unsupported kind of entry: sparse file",
        ),
    ])
    .await;
}

#[tokio::test]
async fn conflicting_entries_are_rejected() {
    check(vec![
        (
            "a file twice",
            tar(|tar| tar.file("first", b"2")),
            "conflicts with another entry",
        ),
        (
            "a file as a folder",
            tar(|tar| tar.file("first/2", b"2")),
            "conflicts with another entry",
        ),
        (
            "a folder as a file",
            tar(|tar| tar.folder("d").file("d", b"2")),
            "conflicts with another entry",
        ),
        (
            "a file as a folder by itself",
            tar(|tar| tar.folder("first")),
            "conflicts with another entry",
        ),
    ])
    .await;
}

#[tokio::test]
async fn corrupt_archives_are_rejected() {
    let whole = tar(|tar| tar.file("second", &[7; 2000]));
    let cut = |at: usize| whole[..at].to_vec();
    let mut flipped = whole.clone();
    flipped[1030] ^= 1;
    let packed = gzip(&whole);
    let mut wrong_sum = packed.clone();
    let sum = wrong_sum.len() - 6;
    wrong_sum[sum] ^= 1;
    check(vec![
        ("a header that is cut", cut(1300), "corrupt"),
        ("a file that is cut", cut(1700), "corrupt"),
        ("a header that is changed", flipped, "corrupt"),
        (
            "gzip that is cut",
            packed[..packed.len() - 9].to_vec(),
            "corrupt",
        ),
        ("gzip with a wrong sum", wrong_sum, "corrupt"),
        ("xz that is cut", xz(&whole)[..60].to_vec(), "corrupt"),
        ("zstd that is cut", zstd(&whole)[..30].to_vec(), "corrupt"),
        ("gzip around something else", gzip(&[b'x'; 2000]), "corrupt"),
        (
            "not an archive",
            b"#!/bin/sh\necho hello\n".to_vec(),
            "unknown archive format",
        ),
        ("nothing", Vec::new(), "unknown archive format"),
        ("a page", vec![b'<'; 5000], "unknown archive format"),
    ])
    .await;
}

#[tokio::test]
async fn unsafe_zips_are_rejected() {
    let file = |name: &'static str| Zip::new().file("first", b"1").file(name, b"evil").bytes();
    let whole = file("second");
    check(vec![
        ("a parent", file("../outside"), "contains `..`"),
        (
            "a parent of Windows",
            file(r"a\..\..\outside"),
            "contains `..`",
        ),
        ("an absolute path", file("/tmp/outside"), "is absolute"),
        ("a drive", file("C:/outside"), "drive letter"),
        (
            "a file as a folder",
            file("first/2"),
            "conflicts with another entry",
        ),
        ("a name twice", file("first"), "corrupt"),
        (
            "two names for a file",
            Zip::new()
                .entry("harmless", "evil", 0o100_644, b"?")
                .bytes(),
            "corrupt",
        ),
        (
            "a file within another",
            Zip::overlapping().bytes(),
            "entries overlap",
        ),
        (
            "an encrypted file",
            Zip::new().file("secret", b"?").encrypted().bytes(),
            "unsupported kind of entry: encrypted",
        ),
        (
            "a device",
            Zip::new().entry("null", "null", 0o020_666, b"").bytes(),
            "unsupported kind of entry: device",
        ),
        (
            "a zip that is cut",
            whole[..whole.len() - 30].to_vec(),
            "corrupt",
        ),
    ])
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn unsafe_symlinks_in_zips_are_rejected() {
    let link = |target: &'static str| Zip::new().symlink("d/l", target).bytes();
    check(vec![
        ("an absolute target", link("/etc/passwd"), "symlink to"),
        ("a parent too many", link("../../outside"), "symlink to"),
        (
            "a file through a link",
            Zip::new().symlink("l", ".").file("l/x", b"evil").bytes(),
            "conflicts with another entry",
        ),
    ])
    .await;
}
