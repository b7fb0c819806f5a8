//! Renders events and hands them to the writer thread.

use std::cell::RefCell;
use std::io;

use super::event::{EventMeta, RenderedEvent};
use super::format::LineFormat;
use super::output::LogOutput;
use super::queue::LogQueue;

/// Renders events in a format and enqueues the lines.
#[derive(Clone)]
pub(super) struct EventWriter {
    pub(super) format: LineFormat,
    pub(super) queue: LogQueue,
}

thread_local! {
    /// The buffers of a thread, reused for each line.
    static BUFFERS: RefCell<(RenderedEvent, Vec<u8>)> = RefCell::default();
}

impl EventWriter {
    pub(super) fn start(format: LineFormat, output: Box<dyn LogOutput>) -> io::Result<Self> {
        let render_dropped =
            move |batch: &mut Vec<u8>, dropped| format.render_dropped(batch, dropped);
        let queue = LogQueue::start(output, render_dropped)?;
        Ok(Self { format, queue })
    }

    /// Writes an event whose dynamic part is added by `fill`.
    ///
    /// Rendering happens on the calling thread: fields borrow from their event, and the writer thread then only copies
    /// bytes.
    pub(super) fn write(&self, meta: EventMeta<'_>, fill: impl FnOnce(&mut RenderedEvent)) {
        // Taken rather than borrowed: a value that logs while it is formatted calls this function again and then uses new
        // buffers. `try_with` fails while the thread is destroying its thread-locals.
        let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
        let (event, line) = &mut buffers;
        event.clear();
        line.clear();
        fill(event);
        self.format.render(line, meta, event);
        self.queue.push(line);
        let _ = BUFFERS.try_with(|cell| cell.replace(buffers));
    }
}
