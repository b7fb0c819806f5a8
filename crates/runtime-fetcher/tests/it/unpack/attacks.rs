//! A corpus of attacks, each with the refusal that is expected.

use runtime_core::error_chain;
use runtime_fetcher::UnpackLimits;

use super::Site;
use super::build::{Tar, Zip, gzip, xz, zstd};

/// Each archive is refused with a text, and leaves nothing anywhere.
async fn check(corpus: Vec<(&str, Vec<u8>, &str)>) {
    for (what, archive, expected) in corpus {
        let site = Site::new();
        let error = site.unpack(archive, None, UnpackLimits::default()).await;
        let error = error
            .err()
            .unwrap_or_else(|| panic!("{what} is not refused"));
        assert!(error.is_archives_fault(), "{what}: {error:?}");
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
async fn paths_that_lead_out_are_refused() {
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
        ("no name", file(""), "names nothing"),
        ("the folder itself", file("."), "names nothing"),
        ("a folder", tar(|tar| tar.folder("../in2")), "contains `..`"),
        (
            "a name that is no text",
            tar(|tar| tar.entry(b'0', b"\xff\xfe", "", 0, b"")),
            "not UTF-8",
        ),
        (
            "a very long name",
            long_name(5000),
            "not one that this system takes",
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
async fn a_long_name_hides_nothing() {
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
async fn links_that_lead_out_are_refused() {
    let link = |name: &'static str, target: &'static str| tar(|tar| tar.symlink(name, target));
    check(vec![
        (
            "an absolute target",
            link("a", "/etc/passwd"),
            "it is a link to",
        ),
        ("a parent", link("a", ".."), "it is a link to"),
        (
            "one parent too many",
            link("a/b/c", "../../../outside"),
            "it is a link to",
        ),
        (
            "a parent behind a name",
            link("a/b/c", "x/../../../../outside"),
            "it is a link to",
        ),
        ("no target", link("a", ""), "it is a link to"),
        (
            // Taken by its text, the second target stays inside.
            "a parent behind another link",
            tar(|tar| {
                tar.symlink("a/b/up", "../..")
                    .symlink("a/b/out", "up/../outside")
            }),
            "it is a link to",
        ),
        (
            "a file through a link",
            tar(|tar| tar.folder("d").symlink("l", "d").file("l/file", b"evil")),
            "in its place",
        ),
        (
            "a file in the place of a link",
            tar(|tar| tar.symlink("l", "first").file("l", b"evil")),
            "in its place",
        ),
        (
            "a folder in the place of a link",
            tar(|tar| tar.symlink("l", ".").folder("l")),
            "in its place",
        ),
    ])
    .await;
}

#[tokio::test]
async fn hard_links_to_what_is_not_a_file_of_the_archive_are_refused() {
    let link = |target: &'static str| tar(|tar| tar.folder("d").hard_link("a", target));
    check(vec![
        (
            "a parent",
            link("../../outside"),
            "no file that came before",
        ),
        (
            "an absolute target",
            link("/etc/passwd"),
            "no file that came before",
        ),
        ("a folder", link("d"), "no file that came before"),
        ("itself", link("a"), "no file that came before"),
        ("nothing", link("missing"), "no file that came before"),
    ])
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_hard_link_to_a_symlink_is_refused() {
    let archive = tar(|tar| tar.symlink("l", "first").hard_link("h", "l"));
    check(vec![(
        "a link to a link",
        archive,
        "no file that came before",
    )])
    .await;
}

#[tokio::test]
async fn what_is_no_file_folder_or_link_is_refused() {
    let kind = |kind: u8| tar(|tar| tar.entry(kind, b"odd", "", 0, b""));
    let sparse = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n";
    let pax_sparse = tar(|tar| {
        let tar = tar.entry(b'x', b"pax", "", sparse.len() as u64, sparse.as_bytes());
        tar.file("sparse", b"map")
    });
    check(vec![
        ("a character device", kind(b'3'), "it is a device"),
        ("a block device", kind(b'4'), "it is a device"),
        ("a pipe", kind(b'6'), "it is a named pipe"),
        ("a volume", kind(b'V'), "of a kind that is not known"),
        (
            "a sparse file in an extended header",
            pax_sparse,
            "it is a sparse file",
        ),
    ])
    .await;
}

#[tokio::test]
async fn two_entries_for_one_place_are_refused() {
    check(vec![
        (
            "a file twice",
            tar(|tar| tar.file("first", b"2")),
            "in its place",
        ),
        (
            "a file as a folder",
            tar(|tar| tar.file("first/2", b"2")),
            "in its place",
        ),
        (
            "a folder as a file",
            tar(|tar| tar.folder("d").file("d", b"2")),
            "in its place",
        ),
        (
            "a file as a folder by itself",
            tar(|tar| tar.folder("first")),
            "in its place",
        ),
    ])
    .await;
}

#[tokio::test]
async fn damaged_archives_are_refused() {
    let whole = tar(|tar| tar.file("second", &[7; 2000]));
    let cut = |at: usize| whole[..at].to_vec();
    let mut flipped = whole.clone();
    flipped[1030] ^= 1;
    let packed = gzip(&whole);
    let mut wrong_sum = packed.clone();
    let sum = wrong_sum.len() - 6;
    wrong_sum[sum] ^= 1;
    check(vec![
        ("a header that is cut", cut(1300), "damaged"),
        ("a file that is cut", cut(1700), "damaged"),
        ("a header that is changed", flipped, "damaged"),
        (
            "gzip that is cut",
            packed[..packed.len() - 9].to_vec(),
            "damaged",
        ),
        ("gzip with a wrong sum", wrong_sum, "damaged"),
        ("xz that is cut", xz(&whole)[..60].to_vec(), "damaged"),
        ("zstd that is cut", zstd(&whole)[..30].to_vec(), "damaged"),
        ("gzip around something else", gzip(&[b'x'; 2000]), "damaged"),
        (
            "no archive",
            b"#!/bin/sh\necho hello\n".to_vec(),
            "no archive that can be unpacked",
        ),
        ("nothing", Vec::new(), "no archive that can be unpacked"),
        (
            "a page",
            vec![b'<'; 5000],
            "no archive that can be unpacked",
        ),
    ])
    .await;
}

#[tokio::test]
async fn zips_are_refused_for_the_same_reasons() {
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
        ("a file as a folder", file("first/2"), "in its place"),
        ("a name twice", file("first"), "damaged"),
        (
            "two names for a file",
            Zip::new()
                .entry("harmless", "evil", 0o100_644, b"?")
                .bytes(),
            "damaged",
        ),
        (
            "a file within another",
            Zip::overlapping().bytes(),
            "its files overlap",
        ),
        (
            "an encrypted file",
            Zip::new().file("secret", b"?").encrypted().bytes(),
            "it is encrypted",
        ),
        (
            "a device",
            Zip::new().entry("null", "null", 0o020_666, b"").bytes(),
            "it is a device",
        ),
        (
            "a zip that is cut",
            whole[..whole.len() - 30].to_vec(),
            "damaged",
        ),
    ])
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_zips_are_refused_for_the_same_reasons() {
    let link = |target: &'static str| Zip::new().symlink("d/l", target).bytes();
    check(vec![
        ("an absolute target", link("/etc/passwd"), "it is a link to"),
        (
            "a parent too many",
            link("../../outside"),
            "it is a link to",
        ),
        (
            "a file through a link",
            Zip::new().symlink("l", ".").file("l/x", b"evil").bytes(),
            "in its place",
        ),
    ])
    .await;
}
