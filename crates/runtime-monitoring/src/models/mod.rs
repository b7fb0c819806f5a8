//! Models of the queues under loom: every order of every access, with two or three threads.
//!
//! A model states one property and names the weakening of the code that makes it fail. Run them with
//! `cargo xtask loom`.

pub(crate) mod stand_in;

use loom::future::block_on;
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::incidents::queue::Queue;
use crate::logs::queue::{Batch, Shared};

/// What the thread of a log wrote: lines of one byte, and how many are missing as a digit. A lock of loom lets others
/// come between the hand-over of lines and their writing.
type Written = Arc<Mutex<Vec<u8>>>;

fn write(log: &Shared, written: &Written) {
    let mut batch = Batch::default();
    let gap = |out: &mut Vec<u8>, missing: u64| out.push(b'0' + missing as u8);
    while log.next(&mut batch, gap) {
        written.lock().unwrap().extend(&batch.bytes);
        assert_eq!(batch.ends.len(), batch.bytes.len());
    }
}

/// Lines are written once and in the order of whoever has them; those that found no room are told of in the log, even
/// at its end. Catches: a thread that ends when nothing is pending, whatever was dropped
/// and `told` that is set after the lock is given back.
#[test]
fn every_line_is_written_or_told_of() {
    loom::model(|| {
        let log = Arc::new(Shared::new(1));
        let written = Written::default();
        let writer = thread::spawn({
            let (log, written) = (Arc::clone(&log), Arc::clone(&written));
            move || write(&log, &written)
        });
        let other = thread::spawn({
            let log = Arc::clone(&log);
            // It never fits.
            move || log.push(b"xx")
        });
        log.push(b"a");
        log.push(b"b");
        other.join().unwrap();
        log.end();
        let written = written.lock().unwrap().clone();
        let (missing, lines): (Vec<u8>, Vec<u8>) =
            written.iter().partition(|it| it.is_ascii_digit());
        let missing: u8 = missing.iter().map(|digit| digit - b'0').sum();
        assert_eq!(lines.len() + usize::from(missing), 3, "{written:?}");
        assert!([&b"ab"[..], b"a", b"b"].contains(&&lines[..]), "{lines:?}");
        writer.join().unwrap();
    });
}

/// A line wakes the thread, also without a flush. Catches: a push that does not notify, and one that looks at what the
/// thread does before it takes the lock.
#[test]
fn a_line_wakes_the_thread() {
    loom::model(|| {
        let log = Arc::new(Shared::new(8));
        let writer = thread::spawn({
            let log = Arc::clone(&log);
            move || log.next(&mut Batch::default(), |_, _| ())
        });
        log.push(b"a");
        assert!(writer.join().unwrap());
    });
}

/// What was pushed before a flush is written when it returns. Catches: a flush that looks at what is pending and not
/// at what the thread does, and `Writes` that is set after the lock is given back.
#[test]
fn a_flush_returns_when_all_is_written() {
    loom::model(|| {
        let log = Arc::new(Shared::new(8));
        let written = Written::default();
        let writer = thread::spawn({
            let (log, written) = (Arc::clone(&log), Arc::clone(&written));
            move || write(&log, &written)
        });
        log.push(b"a");
        assert!(log.flush());
        assert_eq!(*written.lock().unwrap(), b"a");
        log.push(b"b");
        log.end();
        assert_eq!(*written.lock().unwrap(), b"ab");
        writer.join().unwrap();
    });
}

/// Most orders in which threads take turns differ in nothing that matters: three switches that nobody asked for show the
/// mistakes that are named here, in seconds.
fn within_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Starts what delivers: it takes the items one after the other, until the queue is closed and empty.
fn deliver(queue: &Arc<Queue<u8>>) -> thread::JoinHandle<Vec<u8>> {
    let queue = Arc::clone(queue);
    thread::spawn(move || {
        let mut delivered = Vec::new();
        while let Some(item) = block_on(queue.oldest()) {
            delivered.push(item);
            queue.done(true);
        }
        delivered
    })
}

/// A report wakes the delivery. Catches: a push that notifies before it adds, or not at all.
#[test]
fn a_report_wakes_the_delivery() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(1));
        let delivery = thread::spawn({
            let queue = Arc::clone(&queue);
            move || block_on(queue.oldest())
        });
        queue.push(1);
        assert_eq!(delivery.join().unwrap(), Some(1));
    });
}

/// The end wakes the delivery. Catches: a `close` that notifies before it closes, or not at all.
#[test]
fn the_end_wakes_the_delivery() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(1));
        let delivery = deliver(&queue);
        queue.close();
        assert!(delivery.join().unwrap().is_empty());
    });
}

/// What is reported before the end is delivered, in order. Catches: an `oldest` that ends when the queue is closed, and
/// not only when it is empty.
#[test]
fn what_was_reported_is_delivered_before_the_end() {
    within_preemptions(|| {
        let queue = Arc::new(Queue::new(2));
        let delivery = deliver(&queue);
        queue.push(1);
        queue.push(2);
        queue.close();
        assert_eq!(delivery.join().unwrap(), [1, 2]);
        assert_eq!(queue.counts().delivered, 2);
    });
}

/// However reports, deliveries and the end of patience fall together, each report is counted exactly once. Catches: a
/// push that looks whether the queue is closed before it takes the lock, and a `done` that counts what was dropped.
#[test]
fn every_report_is_counted_once() {
    within_preemptions(|| {
        let queue = Arc::new(Queue::new(1));
        let reporter = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(1)
        });
        let delivery = deliver(&queue);
        queue.push(2);
        queue.close();
        queue.drop_rest();
        reporter.join().unwrap();
        delivery.join().unwrap();
        let counts = queue.counts();
        assert_eq!(counts.waiting, 0);
        assert_eq!(counts.delivered + counts.dropped, 2, "{counts:?}");
    });
}
