//! Unpacking any archive stays inside its folder and within its limits.

#![no_main]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use runtime_fetcher::unpack::{UnpackLimits, unpack};

fuzz_target!(|archive: &[u8]| {
    let outer = tempfile::tempdir().expect("disk has space");
    let folder = outer.path().join("in");
    fs::create_dir(&folder).expect("disk has space");
    let mut file = tempfile::tempfile().expect("disk has space");
    file.write_all(archive).expect("disk has space");

    let mut limits = UnpackLimits::default();
    limits.max_entries = 100;
    limits.max_bytes = 1 << 20;
    let unpacked = unpack(&mut file, None, &folder, &limits);

    let beside = fs::read_dir(outer.path()).expect("path exists").count();
    assert_eq!(beside, 1, "unpacked outside the folder");
    let (entries, bytes) = count(&folder, &folder.canonicalize().expect("path exists"));
    assert!(
        entries <= 100 && bytes <= 1 << 20,
        "{entries} entries, {bytes} bytes"
    );
    if let Ok(unpacked) = unpacked {
        assert_eq!(unpacked.entries, entries);
    }
});

/// Counts the entries of a folder, and checks that no link leads out of the root.
fn count(folder: &Path, root: &Path) -> (u64, u64) {
    let (mut entries, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).expect("path exists") {
        let path = entry.expect("entry is readable").path();
        let metadata = fs::symlink_metadata(&path).expect("path exists");
        entries += 1;
        if metadata.is_dir() {
            let within = count(&path, root);
            (entries, bytes) = (entries + within.0, bytes + within.1);
        } else if metadata.is_symlink() {
            // A dangling link is fine: `canonicalize` fails only if the target does not exist.
            let leads_to = path.canonicalize().unwrap_or_else(|_| root.to_owned());
            assert!(leads_to.starts_with(root), "{path:?} leads to {leads_to:?}");
        } else {
            bytes += metadata.len();
        }
    }
    (entries, bytes)
}
