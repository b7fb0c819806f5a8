//! Throughput of hooks compared with hyper and nginx, with many hooks and viewers, and through a tunnel.
//!
//! The same single-threaded client generates the load for all servers.

mod load;
mod nginx;
mod serving;
mod tunnel;

use std::process::ExitCode;

use bench_harness::Bench;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    Bench::main("webhook", |bench| {
        serving::small_responses(bench);
        serving::many_hooks(bench);
        serving::viewers(bench);
        tunnel::one_stream(bench);
        tunnel::small_requests(bench);
        tunnel::fairness(bench);
        tunnel::memory(bench);
        tunnel::restarts(bench);
    })
}

/// Returns the runtime of servers.
fn server_runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Returns the runtime of the client.
fn client_runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
