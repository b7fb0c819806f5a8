//! Unpacking any archive stays inside its folder and within its limits.

#![no_main]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use runtime_fetcher::unpack::{UnpackLimits, unpack};

fuzz_target!(|archive: &[u8]| {
    let outer = tempfile::tempdir().expect("there is room");
    let folder = outer.path().join("in");
    fs::create_dir(&folder).expect("there is room");
    let mut file = tempfile::tempfile().expect("there is room");
    file.write_all(archive).expect("there is room");

    let mut limits = UnpackLimits::default();
    limits.max_entries = 100;
    limits.max_bytes = 1 << 20;
    let unpacked = unpack(&mut file, None, &folder, &limits);

    let beside = fs::read_dir(outer.path()).expect("it is there").count();
    assert_eq!(beside, 1, "unpacked outside the folder");
    let (entries, bytes) = count(&folder, &folder.canonicalize().expect("it is there"));
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
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is readable").path();
        let metadata = fs::symlink_metadata(&path).expect("it is there");
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
