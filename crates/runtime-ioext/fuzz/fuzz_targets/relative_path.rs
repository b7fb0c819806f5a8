//! An accepted path consists of names, on every system.

#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use runtime_ioext::relative_path;

fuzz_target!(|path: &str| {
    if let Ok(relative) = relative_path(path) {
        assert!(relative.components().all(|part| matches!(part, Component::Normal(_))));
        assert_ne!(relative.components().count(), 0);
        assert!(!path.split(['/', '\\']).any(|part| part == ".."));
    }
});
