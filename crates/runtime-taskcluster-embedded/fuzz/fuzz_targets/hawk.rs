//! Random `Authorization` headers are rejected and do not break the server.

#![no_main]

mod server;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    let visible: String = header.chars().filter(|c| (' '..='~').contains(c)).collect();
    let status = server::ask("/api/queue/v1/task-group/CFAKnfgiTSGBc9lIjR5CnQ", &format!("Hawk {visible}"));
    assert_eq!(status, 401, "{visible}");
});
