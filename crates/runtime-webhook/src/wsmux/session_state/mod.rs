//! The state of a session without its connection: received messages in, messages to send out.

mod receive;
mod send;

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use parking_lot::Mutex;

use super::config::{Role, SessionConfig};
use super::error::OpenStreamError;
use super::frame::FrameKind;
use super::stream_state::{QueueLimits, StreamState};
use super::websocket::{EncodedFrame, MaskKeys};

/// The state of a session, shared by the driver and all streams.
#[derive(Debug)]
pub(super) struct SharedState(Mutex<SessionState>);

impl SharedState {
    pub(super) fn new(role: Role, config: SessionConfig) -> Self {
        Self(Mutex::new(SessionState::new(role, config)))
    }

    /// Runs a function on the locked state, and wakes tasks after the lock is released.
    pub(super) fn with<T>(&self, function: impl FnOnce(&mut SessionState) -> T) -> T {
        let mut state = self.0.lock();
        let result = function(&mut state);
        let wakers = std::mem::take(&mut state.pending_wakes);
        // A task woken under the lock could start on another thread and block at once. A waker that polls directly
        // would even deadlock.
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        result
    }
}

/// All streams of a session.
#[derive(Debug)]
pub(super) struct SessionState {
    role: Role,
    pub(super) config: SessionConfig,
    queue_limits: QueueLimits,
    mask_keys: MaskKeys,
    pub(super) streams: HashMap<u32, StreamState>,
    next_id: u32,
    // An ACK behind queued data would stall the other direction, and control frames are short.
    /// SYN, ACK and refusals, which are sent before data.
    control_frames: VecDeque<EncodedFrame>,
    // Round robin: the front sends one message and moves to the back. A stream with a large response thus delays
    // another one by at most one message per open stream.
    /// The streams with frames to send, each at most once.
    send_queue: VecDeque<u32>,
    /// The streams of the peer that wait to be accepted.
    accept_queue: VecDeque<u32>,
    /// Whether no more streams are opened or accepted.
    pub(super) is_closing: bool,
    pub(super) has_ended: bool,
    /// The number of sent pings.
    ping_count: u64,
    pub(super) acceptor: Option<Waker>,
    pub(super) driver: Option<Waker>,
    /// The tasks to wake when the lock is released.
    pending_wakes: Vec<Waker>,
}

impl SessionState {
    fn new(role: Role, config: SessionConfig) -> Self {
        Self {
            role,
            queue_limits: QueueLimits {
                max_message_bytes: config.max_message_bytes.max(1),
                max_queued_bytes: config.max_queued_bytes.max(1),
            },
            config,
            mask_keys: MaskKeys::new(role),
            streams: HashMap::new(),
            next_id: match role {
                Role::Client => 1,
                Role::Server => 0,
            },
            control_frames: VecDeque::new(),
            send_queue: VecDeque::new(),
            accept_queue: VecDeque::new(),
            is_closing: false,
            has_ended: false,
            ping_count: 0,
            acceptor: None,
            driver: None,
            pending_wakes: Vec::new(),
        }
    }

    /// Opens a stream and returns its id.
    pub(super) fn open(&mut self) -> Result<u32, OpenStreamError> {
        if self.has_ended || self.is_closing {
            return Err(OpenStreamError::Ended);
        }
        if self.streams.len() >= self.config.max_streams {
            return Err(OpenStreamError::TooMany);
        }
        let id = self.next_id;
        // Ids are never reused within a session: a late frame of an old stream must not reach a new one.
        self.next_id = id.checked_add(2).ok_or(OpenStreamError::TooMany)?;
        let mut stream = StreamState {
            has_handle: true,
            last_active_ping: self.ping_count,
            ..StreamState::default()
        };
        stream.recv.window = self.config.receive_window as usize;
        self.streams.insert(id, stream);
        // Only for peers that accept streams. A websocktunnel server queues SYNs without ever
        // accepting them, and after about 200 it serves neither this session nor a later one with
        // the same id.
        self.send_control(id, FrameKind::Syn);
        Ok(id)
    }

    /// Accepts the oldest waiting stream and returns its id.
    pub(super) fn accept(&mut self) -> Option<u32> {
        while let Some(id) = self.accept_queue.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.has_handle = true;
            // Zero until here: a peer that sends data before the ACK overflows the window.
            stream.recv.window = self.config.receive_window as usize;
            // The first ACK accepts the stream and announces the window. Without it, the server
            // answers its viewer with 500 after 30 s.
            self.send_control(id, FrameKind::Ack(self.config.receive_window));
            return Some(id);
        }
        None
    }

    /// Queues bytes as far as credit and limits allow, and returns their number.
    pub(super) fn write(&mut self, id: u32, bufs: &[&[u8]]) -> usize {
        let Some(stream) = self.streams.get_mut(&id) else {
            return 0;
        };
        let mut written = 0;
        for buf in bufs {
            let count = stream
                .send
                .push(id, buf, &self.queue_limits, &mut self.mask_keys);
            written += count;
            if count < buf.len() {
                break;
            }
        }
        self.enqueue(id);
        written
    }

    /// Sends FIN after the queued data.
    pub(super) fn close_stream(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.send.is_closed = true;
            // After a violation of the window, the response is incomplete in any case. FIN is sent at once.
            if stream.recv.has_overflowed {
                stream.send.clear();
            }
        }
        self.enqueue(id);
    }

    /// Sends an ACK if enough bytes were read.
    pub(super) fn acknowledge(&mut self, id: u32) {
        let full_window = self.config.receive_window as usize;
        let stream = self.streams.get_mut(&id);
        if let Some(count) = stream.and_then(|stream| stream.recv.take_ack(full_window)) {
            self.send_control(id, FrameKind::Ack(count));
        }
    }

    /// Ends a stream whose handle was dropped.
    pub(super) fn release(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.has_handle = false;
            stream.recv.reader = None;
            stream.send.writer = None;
        }
        self.close_stream(id);
        self.discard_received(id);
        self.remove_if_finished(id);
        if self.is_closing {
            self.pending_wakes.extend(self.driver.take());
        }
    }

    /// Discards and acknowledges the received data of a stream without a handle.
    fn discard_received(&mut self, id: u32) {
        // A websocktunnel server forwards the whole request before it reads the response. Without ACKs, a request that
        // the handler answers early would wait for ever.
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let full_window = self.config.receive_window as usize;
        stream.recv.buffer.clear();
        // The used part of the window. A stream that was never accepted has no window and no data.
        stream.recv.unacknowledged = full_window.saturating_sub(stream.recv.window);
        self.acknowledge(id);
    }

    fn remove_if_finished(&mut self, id: u32) {
        // A stream with a handle still serves reads of buffered data. Without the peer's FIN, data may follow that has to
        // be acknowledged.
        let is_finished = |stream: &StreamState| {
            stream.recv.has_ended && stream.send.has_ended && !stream.has_handle
        };
        if self.streams.get(&id).is_some_and(is_finished) {
            self.streams.remove(&id);
        }
    }

    /// Starts closing the session: no more streams are opened or accepted.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
        while let Some(id) = self.accept_queue.pop_front() {
            self.close_stream(id);
        }
        self.pending_wakes.extend(self.acceptor.take());
        self.pending_wakes.extend(self.driver.take());
    }

    /// Returns whether the session is closing and all data has been sent.
    pub(super) fn is_done(&self) -> bool {
        // Streams that only wait for the peer's FIN do not count: some peers never send it.
        let is_busy = |stream: &StreamState| stream.has_handle || stream.send.has_work();
        self.is_closing && self.control_frames.is_empty() && !self.streams.values().any(is_busy)
    }

    /// Ends the session and all streams. Data that was received can still be read.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        self.control_frames.clear();
        self.send_queue.clear();
        self.accept_queue.clear();
        self.streams.retain(|_, stream| {
            stream.send.clear();
            self.pending_wakes.extend(stream.recv.reader.take());
            self.pending_wakes.extend(stream.send.writer.take());
            // Kept for reads of data received before the end.
            stream.has_handle
        });
        self.pending_wakes.extend(self.acceptor.take());
        self.driver = None;
    }

    /// Counts a ping and releases unused resources.
    pub(super) fn record_ping(&mut self) {
        self.ping_count += 1;
        let ping_count = self.ping_count;
        self.streams.retain(|_, stream| {
            // At pings instead of after each read: a busy stream would otherwise allocate for each message.
            stream.recv.buffer.shrink();
            // Some peers never send FIN. Two intervals without a frame are taken for it.
            stream.has_handle
                || stream.send.has_work()
                || !stream.send.has_ended
                || stream.last_active_ping + 2 > ping_count
        });
    }
}
