//! Programs whose execution hangs, as on a dead network file system.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::support::{TestBed, sh, wait_until};

/// A command of `fcntl` that the crate `libc` lacks.
const F_SETSIG: i32 = 10;

/// A program whose execution blocks until this is dropped.
struct HangingProgram(File);

impl HangingProgram {
    async fn new(path: &Path) -> Self {
        fs::write(path, "#!/bin/sh\n").expect("a file of the test");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of the test");
        let program = Self(File::open(path).expect("a file of the test"));
        // The kernel asks the holder of the lease to give it up, with a signal that is ignored by default, and waits.
        program
            .control(F_SETSIG, libc::SIGURG)
            .expect("an open file");
        // A child that another test forks has the file open until it executes its program.
        wait_until(|| program.control(libc::F_SETLEASE, libc::F_WRLCK).is_ok()).await;
        program
    }

    /// Returns whether a process waits for its execution: then the lease is to be given up.
    fn is_executed(&self) -> bool {
        let lease = self.control(libc::F_GETLEASE, 0);
        lease.expect("an open file") != libc::F_WRLCK
    }

    fn control(&self, command: i32, value: i32) -> io::Result<i32> {
        #[expect(unsafe_code, reason = "rustix does not have leases")]
        // SAFETY: the arguments are numbers.
        let result = unsafe { libc::fcntl(self.0.as_raw_fd(), command, value) };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(result)
    }
}

/// The test has one thread, which a start that blocks it would stop.
#[tokio::test]
async fn other_task_runs_meanwhile() {
    for bed in TestBed::each().await {
        let program = bed.marker("program");
        let hang = HangingProgram::new(&program).await;
        let hanging = bed.create(json!({ "command": [program] }));
        let running = bed.start(bed.worker().capacity(2));
        wait_until(|| hang.is_executed()).await;
        for _ in 0..3 {
            let quick = bed.create(sh("true"));
            assert_eq!(bed.resolved(&quick).await.state_and_reason(), "completed");
        }
        // Nothing keeps the program from being executed now.
        drop(hang);
        assert_eq!(bed.resolved(&hanging).await.state_and_reason(), "completed");
        running.stop().await;
    }
}

#[tokio::test]
async fn hanging_start_can_be_cancelled() {
    for bed in TestBed::each().await {
        let program = bed.marker("program");
        let hang = HangingProgram::new(&program).await;
        let hanging = bed.create(json!({ "command": [program] }));
        let running = bed.start(bed.worker());
        wait_until(|| hang.is_executed()).await;
        bed.cancel(&hanging);
        let next = bed.create(sh("true"));
        assert_eq!(bed.resolved(&next).await.state_and_reason(), "completed");
        running.stop().await;
        bed.assert_no_leftovers();
    }
}
