//! Random bewits are rejected and do not break the server.

#![no_main]

mod server;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bewit: &[u8]| {
    let encoded: String = bewit.iter().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/api/queue/v1/task-group/CFAKnfgiTSGBc9lIjR5CnQ?bewit={encoded}");
    assert_ne!(server::ask(&path, ""), 200, "{encoded}");
});
