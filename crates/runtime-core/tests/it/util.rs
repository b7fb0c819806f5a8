//! Limited concurrency, and rendered documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use runtime_core::util::join_with_limit;
use runtime_core::{Section, render_document};

#[tokio::test(start_paused = true)]
async fn limit_and_order_hold() {
    let running = Arc::new(AtomicUsize::new(0));
    let work = (0..7).map(|number| {
        let running = Arc::clone(&running);
        async move {
            let beside = running.fetch_add(1, Ordering::SeqCst);
            // The first takes longest.
            tokio::time::sleep(Duration::from_secs(10 - number)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            (number, beside)
        }
    });
    let done = join_with_limit(3, work).await;
    assert!(done.iter().map(|(number, _)| *number).eq(0..7), "{done:?}");
    let most = done.iter().map(|(_, beside)| beside + 1).max();
    assert_eq!(most, Some(3));
}

#[test]
#[should_panic(expected = "a limit of 0")]
fn limit_of_zero_panics() {
    // Polled once: without the panic, it waits forever.
    let _ = join_with_limit(0, [async {}]).now_or_never();
}

#[test]
fn headings_are_demoted_outside_code() {
    let section = Section::new(
        "Setup",
        "
        # Shell

        ```sh
        # a comment
        ```
        ## Then
        ",
    );
    let expected = "# Worker\n\n## Setup\n\n### Shell\n\n```sh\n# a comment\n```\n#### Then\n";
    assert_eq!(render_document("Worker", &[section]), expected);
}
