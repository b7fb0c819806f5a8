//! Loom models of the queues: loom runs each model with every interleaving of its threads.
//!
//! A model asserts one property and names the mutation of the code that makes it fail. `cargo xtask loom` runs them.

pub(crate) mod loom_shims;

use loom::future::block_on;
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::incidents::pending::PendingQueue;
use crate::logs::queue::{Batch, LineChannel};

/// The output of a writer thread: lines of one byte, and numbers of dropped lines as digits. The loom lock adds a scheduling
/// point between taking a batch and writing it.
type Written = Arc<Mutex<Vec<u8>>>;

fn write(log: &LineChannel, written: &Written) {
    let mut batch = Batch::default();
    let render_dropped = |out: &mut Vec<u8>, dropped: u64| out.push(b'0' + dropped as u8);
    while log.next_batch(&mut batch, render_dropped) {
        written.lock().unwrap().extend(&batch.bytes);
        assert_eq!(batch.ends.len(), batch.bytes.len());
    }
}

/// Lines of a thread are written once and in order. Dropped lines are reported, even at the end. Fails if the writer exits
/// while only dropped lines are pending, or if `reported_dropped` is set after the lock is released.
#[test]
fn every_line_is_written_or_reported() {
    loom::model(|| {
        let log = Arc::new(LineChannel::new(1));
        let written = Written::default();
        let writer = thread::spawn({
            let (log, written) = (Arc::clone(&log), Arc::clone(&written));
            move || write(&log, &written)
        });
        let other = thread::spawn({
            let log = Arc::clone(&log);
            // Longer than the limit, so it is always dropped.
            move || log.push(b"xx")
        });
        log.push(b"a");
        log.push(b"b");
        other.join().unwrap();
        log.close();
        let written = written.lock().unwrap().clone();
        let (dropped, lines): (Vec<u8>, Vec<u8>) =
            written.iter().partition(|it| it.is_ascii_digit());
        let dropped: u8 = dropped.iter().map(|digit| digit - b'0').sum();
        assert_eq!(lines.len() + usize::from(dropped), 3, "{written:?}");
        assert!([&b"ab"[..], b"a", b"b"].contains(&&lines[..]), "{lines:?}");
        writer.join().unwrap();
    });
}

/// A line wakes the writer without a flush. Fails if `push` does not notify, or if it reads the state of the writer before it
/// takes the lock.
#[test]
fn line_wakes_the_writer() {
    loom::model(|| {
        let log = Arc::new(LineChannel::new(8));
        let writer = thread::spawn({
            let log = Arc::clone(&log);
            move || log.next_batch(&mut Batch::default(), |_, _| ())
        });
        log.push(b"a");
        assert!(writer.join().unwrap());
    });
}

/// Lines pushed before a flush are written when it returns. Fails if `flush` ignores the state of the writer, or if
/// `Writing` is set after the lock is released.
#[test]
fn flush_waits_for_the_writer() {
    loom::model(|| {
        let log = Arc::new(LineChannel::new(8));
        let written = Written::default();
        let writer = thread::spawn({
            let (log, written) = (Arc::clone(&log), Arc::clone(&written));
            move || write(&log, &written)
        });
        log.push(b"a");
        assert!(log.flush());
        assert_eq!(*written.lock().unwrap(), b"a");
        log.push(b"b");
        log.close();
        assert_eq!(*written.lock().unwrap(), b"ab");
        writer.join().unwrap();
    });
}

/// Runs a model with at most three preemptions. That finds the named mutations in seconds; all interleavings would take
/// minutes.
fn check_bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Starts a thread that delivers all items in order until the queue is closed and empty.
fn deliver(queue: &Arc<PendingQueue<u8>>) -> thread::JoinHandle<Vec<u8>> {
    let queue = Arc::clone(queue);
    thread::spawn(move || {
        let mut delivered = Vec::new();
        while let Some(item) = block_on(queue.oldest()) {
            delivered.push(item);
            queue.finish_oldest(true);
        }
        delivered
    })
}

/// Fails if `push` notifies before it appends, or not at all.
#[test]
fn push_wakes_the_delivery() {
    loom::model(|| {
        let queue = Arc::new(PendingQueue::new(1));
        let delivery = thread::spawn({
            let queue = Arc::clone(&queue);
            move || block_on(queue.oldest())
        });
        queue.push(1);
        assert_eq!(delivery.join().unwrap(), Some(1));
    });
}

/// Fails if `close` notifies before it closes, or not at all.
#[test]
fn close_wakes_the_delivery() {
    loom::model(|| {
        let queue = Arc::new(PendingQueue::new(1));
        let delivery = deliver(&queue);
        queue.close();
        assert!(delivery.join().unwrap().is_empty());
    });
}

/// Items pushed before the close are delivered in order. Fails if `oldest` returns `None` for a closed queue that is not
/// empty.
#[test]
fn closed_queue_is_drained() {
    check_bounded(|| {
        let queue = Arc::new(PendingQueue::new(2));
        let delivery = deliver(&queue);
        queue.push(1);
        queue.push(2);
        queue.close();
        assert_eq!(delivery.join().unwrap(), [1, 2]);
        assert_eq!(queue.counts().delivered, 2);
    });
}

/// Pushes, deliveries and a stop at the same time count each item exactly once. Fails if `push` reads `is_closed` before it
/// takes the lock, or if `finish_oldest` counts an item that was dropped.
#[test]
fn every_item_is_counted_once() {
    check_bounded(|| {
        let queue = Arc::new(PendingQueue::new(1));
        let reporter = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(1)
        });
        let delivery = deliver(&queue);
        queue.push(2);
        queue.close();
        queue.drop_remaining();
        reporter.join().unwrap();
        delivery.join().unwrap();
        let counts = queue.counts();
        assert_eq!(counts.waiting, 0);
        assert_eq!(counts.delivered + counts.dropped, 2, "{counts:?}");
    });
}
