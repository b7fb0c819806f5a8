//! Errors and flushes of copies.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_ioext::copy::{CopyError, copy, copy_and_close, copy_and_flush};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A reader that fails.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

/// A writer that records calls and fails beyond a size.
#[derive(Clone)]
struct Target {
    available: usize,
    shutdown_fails: bool,
    events: Arc<Mutex<Vec<&'static str>>>,
}

impl Target {
    fn new(available: usize) -> Self {
        Self {
            available,
            shutdown_fails: false,
            events: Arc::default(),
        }
    }

    fn without_shutdown(mut self) -> Self {
        self.shutdown_fails = true;
        self
    }

    fn note(&self, event: &'static str) {
        self.events.lock().unwrap().push(event);
    }

    fn events(&self) -> Vec<&'static str> {
        self.events.lock().unwrap().clone()
    }
}

impl AsyncWrite for Target {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.available);
        self.available -= taken;
        self.note("write");
        Poll::Ready(if taken == 0 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(taken)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("flush");
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("shutdown");
        Poll::Ready(if self.shutdown_fails {
            Err(io::ErrorKind::NotConnected.into())
        } else {
            Ok(())
        })
    }
}

#[tokio::test]
async fn copy_returns_length_and_flushes() {
    let mut target = Target::new(1000);
    assert_eq!(copy(&mut &[0; 300][..], &mut target).await.unwrap(), 300);
    assert_eq!(target.events(), ["write", "flush"]);
}

#[tokio::test]
async fn read_and_write_errors_differ() {
    let mut source = (&b"12345"[..]).chain(Broken);
    let error = copy(&mut source, &mut Target::new(1000)).await.unwrap_err();
    assert!(
        matches!(&error, CopyError::Read { source, .. } if source.kind() == io::ErrorKind::ConnectionReset)
    );
    assert_eq!(error.copied(), 5);

    let error = copy(&mut &b"12345"[..], &mut Target::new(3))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CopyError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    );
    assert_eq!(error.copied(), 3);
}

#[tokio::test]
async fn copy_and_close_shuts_the_writer_down() {
    let target = Target::new(1000);
    copy_and_close(&b"12345"[..], target.clone()).await.unwrap();
    assert_eq!(target.events(), ["write", "flush", "shutdown"]);
}

#[tokio::test]
async fn writer_is_shut_down_after_read_error() {
    let target = Target::new(1000);
    let error = copy_and_close((&b"12345"[..]).chain(Broken), target.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Read { copied: 5, .. }));
    assert_eq!(target.events(), ["write", "flush", "shutdown"]);
}

#[tokio::test]
async fn writer_is_shut_down_after_write_error() {
    let target = Target::new(3);
    let error = copy_and_close(&b"12345"[..], target.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Write { copied: 3, .. }));
    assert_eq!(target.events(), ["write", "write", "shutdown"]);
}

#[tokio::test]
async fn failed_shutdown_is_a_write_error() {
    let target = Target::new(1000).without_shutdown();
    let error = copy_and_close(&b"12345"[..], target).await.unwrap_err();
    assert!(
        matches!(&error, CopyError::Write { copied: 5, source } if source.kind() == io::ErrorKind::NotConnected)
    );
}

#[tokio::test]
async fn read_error_precedes_a_failed_shutdown() {
    let target = Target::new(1000).without_shutdown();
    let error = copy_and_close(Broken, target).await.unwrap_err();
    assert!(matches!(error, CopyError::Read { copied: 0, .. }));
}

#[tokio::test(start_paused = true)]
async fn idle_source_is_flushed_once() {
    let (mut far, mut near) = tokio::io::duplex(64);
    let target = Target::new(1000);
    let copying = tokio::spawn({
        let mut target = target.clone();
        async move { copy_and_flush(&mut near, &mut target, Duration::from_secs(5)).await }
    });
    far.write_all(b"one").await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(target.events(), ["write"]);
    far.write_all(b"two").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(target.events(), ["write", "write", "flush"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(target.events().len(), 3);
    drop(far);
    assert_eq!(copying.await.unwrap().unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn busy_source_is_flushed_at_the_interval() {
    let (mut far, mut near) = tokio::io::duplex(64);
    let target = Target::new(1000);
    let copying = tokio::spawn({
        let mut target = target.clone();
        async move { copy_and_flush(&mut near, &mut target, Duration::from_secs(5)).await }
    });
    for _ in 0..60 {
        far.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    drop(far);
    copying.await.unwrap().unwrap();
    let flushes = target
        .events()
        .iter()
        .filter(|&&event| event == "flush")
        .count();
    assert!((6..=8).contains(&flushes), "{flushes} flushes in 30 s");
}
