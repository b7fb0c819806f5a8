//! A task whose log fills the disk: the errors of its writer, its readers and the worker.
//!
//! `cargo xtask e2e full-disk` runs it on a file system of 256 KiB. The argument is a folder there.

use std::io;
use std::path::Path;

use runtime_core::log::{CloseLogError, ExtractLogError, LogReader, ReadLogError, WriteLogError};
use runtime_core::{LogDrain, Run, TaskContext, TaskId, TaskInfo, error_chain};

/// Upper bound of the output, so that the example also ends on a large disk.
const TOO_MUCH: usize = 64 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("give a folder on a small disk")?;
    let path = Path::new(&folder).join("task.log");
    let (context, controller) = TaskContext::create(&path, info()?)?;
    let follower = tokio::spawn(read(context.new_log_reader()));

    let (accepted, error) = fill(context.log_drain());
    let error = error.ok_or("the disk took everything")?;
    println!(
        "writer: {accepted} bytes are accepted, then: {}",
        error_chain(&error)
    );
    let WriteLogError::Failed { source, .. } = error else {
        return Err("the log was closed".into());
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);

    // The worker continues: a line that cannot be written is not a panic.
    context.log("this line does not fit on the disk");

    for (who, reader) in [
        ("follower", follower.await?),
        ("late reader", read(context.new_log_reader()).await),
    ] {
        println!(
            "{who}: {} bytes, then: {}",
            reader.0,
            error_chain(&reader.1)
        );
        assert_eq!(
            reader.0, accepted,
            "a reader gets every byte that was accepted"
        );
        assert!(matches!(reader.1, ReadLogError::Failed { .. }));
    }

    let Err(error) = controller.close_log() else {
        return Err("the log was closed without an error".into());
    };
    println!("worker, closing the log: {}", error_chain(&error));
    assert!(matches!(error, CloseLogError::Failed { .. }));
    let Err(error) = context.extract_log() else {
        return Err("an incomplete log was extracted".into());
    };
    println!("worker, extracting the log: {}", error_chain(&error));
    assert!(matches!(error, ExtractLogError::Failed { .. }));

    let in_file = std::fs::metadata(&path)?.len();
    println!("in the file: {in_file} bytes");
    assert!(in_file > 0 && in_file <= accepted as u64);
    controller.dispose()?;
    Ok(())
}

/// Writes lines until a write fails.
fn fill(mut drain: LogDrain) -> (usize, Option<WriteLogError>) {
    let line = [b'x'; 99];
    let mut accepted = 0;
    while accepted < TOO_MUCH {
        if let Err(error) = drain.write_all(&line) {
            return (accepted, Some(error));
        }
        accepted += line.len();
    }
    (accepted, None)
}

/// Returns the number of readable bytes and the error after them.
async fn read(mut reader: LogReader) -> (usize, ReadLogError) {
    let mut got = 0;
    loop {
        match reader.next_chunk().await {
            Ok(chunk) => got += chunk.expect("a log that broke does not end cleanly").len(),
            Err(error) => return (got, error),
        }
    }
}

fn info() -> Result<TaskInfo, serde_json::Error> {
    let definition = serde_json::from_value(serde_json::json!({
        "taskQueueId": "demo/linux", "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z",
        "payload": {}, "scopes": [],
        "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
    }))?;
    let run = Run {
        task_id: TaskId::random(),
        run_id: 0,
    };
    Ok(TaskInfo::new(run, definition))
}
