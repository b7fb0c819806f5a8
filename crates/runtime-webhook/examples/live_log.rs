//! Serves a live log: open the URL in a browser or follow it with `curl -N`.
//!
//! `cargo run -p runtime-webhook --example live_log -- [SECONDS]`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::webhook::WebHookServer as _;
use runtime_ioext::FollowedLog;
use runtime_webhook::{LiveLog, LocalhostServer};
use tokio::time::{interval, sleep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(60), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let log = FollowedLog::create(folder.path().join("task.log"))?;
    let server = LocalhostServer::start().await?;
    let handler = LiveLog::new({
        let log = log.clone();
        move |offset| log.reader_at(offset)
    });
    let hook = server.attach(Arc::new(handler)).await?;
    println!("{}", hook.url());

    let writing = write_lines(&log);
    let _ = tokio::time::timeout(Duration::from_secs(seconds), writing).await;
    log.close()?;
    // Lets viewers read the end of the log.
    sleep(Duration::from_secs(1)).await;
    drop(hook);
    server.stop(Duration::from_secs(5)).await;
    Ok(())
}

/// Writes ten lines per second in different colours.
async fn write_lines(log: &FollowedLog) -> Result<(), Box<dyn Error>> {
    let writer = log.writer();
    let mut ticks = interval(Duration::from_millis(100));
    for number in 1.. {
        ticks.tick().await;
        let colour = 31 + number % 6;
        writeln!(
            writer,
            "step {number}: \x1b[{colour}mcompiling\x1b[0m something, {}",
            "word ".repeat(number % 40)
        )?;
    }
    Ok(())
}
