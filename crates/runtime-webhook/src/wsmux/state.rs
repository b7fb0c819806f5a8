//! All streams of a session, without the connection: messages in, messages out.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use bytes::Bytes;

use super::config::{Role, SessionConfig};
use super::frame::{Frame, Kind};
use super::slot::{HttpLimits, Slot};
use super::{OpenStreamError, SessionError};

/// More answers than this wait only if the peer does not read them.
const MOST_ANSWERS: usize = 100_000;

/// All streams of a session.
///
/// Whatever happens here may have to wake somebody: the wakers are gathered in [`wakes`](Self::wakes),
/// to be called once the lock is released.
#[derive(Debug)]
pub(super) struct State {
    role: Role,
    pub(super) config: SessionConfig,
    limits: HttpLimits,
    pub(super) streams: HashMap<u32, Slot>,
    next_id: u32,
    /// Short messages that go first: they give room to the peer.
    answers: VecDeque<Bytes>,
    /// The streams that have something to send, each once, in turn.
    turns: VecDeque<u32>,
    /// Streams of the peer that nobody accepted yet.
    backlog: VecDeque<u32>,
    /// Whether no stream is opened or accepted any more.
    closing: bool,
    ended: bool,
    pings: u64,
    pub(super) acceptor: Option<Waker>,
    pub(super) driver: Option<Waker>,
    pub(super) wakes: Vec<Waker>,
}

impl State {
    pub(super) fn new(role: Role, config: SessionConfig) -> Self {
        let limits = HttpLimits {
            message_bytes: config.message_bytes.max(1),
            queued_bytes: config.queued_bytes.max(1),
        };
        Self {
            role,
            config,
            limits,
            streams: HashMap::new(),
            next_id: match role {
                Role::Client => 1,
                Role::Server => 0,
            },
            answers: VecDeque::new(),
            turns: VecDeque::new(),
            backlog: VecDeque::new(),
            closing: false,
            ended: false,
            pings: 0,
            acceptor: None,
            driver: None,
            wakes: Vec::new(),
        }
    }

    // ----- From the peer -----

    /// Takes a message of the peer. What concerns no stream is ignored.
    pub(super) fn receive(&mut self, message: Bytes) -> Result<(), SessionError> {
        let Frame { stream, kind } = Frame::decode(message)?;
        match kind {
            Kind::Syn => self.receive_syn(stream),
            Kind::Dat(bytes) => self.receive_data(stream, &bytes),
            Kind::Ack(bytes) => self.receive_ack(stream, bytes),
            Kind::Fin => self.receive_fin(stream),
        }
        match self.answers.len() > MOST_ANSWERS {
            true => Err(SessionError::Flood),
            false => Ok(()),
        }
    }

    fn receive_syn(&mut self, stream: u32) {
        if self.is_own(stream) || self.streams.contains_key(&stream) {
            return;
        }
        let is_full =
            self.streams.len() >= self.config.streams || self.backlog.len() >= self.config.backlog;
        if self.closing || is_full {
            self.answer(stream, Kind::Fin);
            return;
        }
        let mut slot = Slot {
            heard: self.pings,
            ..Slot::default()
        };
        slot.sending.credit = Some(self.config.assumed_window as usize);
        self.streams.insert(stream, slot);
        self.backlog.push_back(stream);
        self.wakes.extend(self.acceptor.take());
    }

    fn receive_data(&mut self, stream: u32, bytes: &[u8]) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.heard = self.pings;
        let receiving = &mut slot.receiving;
        if bytes.is_empty() || receiving.ended || receiving.overflowed {
            return;
        }
        if receiving.push(bytes) {
            self.wakes.extend(receiving.reader.take());
            if !slot.held {
                self.discard(stream);
            }
            return;
        }
        receiving.overflowed = true;
        receiving.buffer.clear();
        self.wakes.extend(receiving.reader.take());
        self.close_stream(stream);
    }

    fn receive_ack(&mut self, stream: u32, bytes: u32) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.heard = self.pings;
        let credit = slot.sending.credit.unwrap_or(0);
        slot.sending.credit = Some(credit.saturating_add(bytes as usize));
        self.wakes.extend(slot.sending.writer.take());
    }

    fn receive_fin(&mut self, stream: u32) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.receiving.ended = true;
        self.wakes.extend(slot.receiving.reader.take());
        // The opener waits as a writer for the stream to be accepted.
        self.wakes.extend(slot.sending.writer.take());
        self.forget_if_over(stream);
    }

    // ----- To the peer -----

    /// The next message to send, if there is one.
    pub(super) fn next_message(&mut self) -> Option<Bytes> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        while let Some(stream) = self.turns.pop_front() {
            let Some(slot) = self.streams.get_mut(&stream) else {
                continue;
            };
            slot.in_turn = false;
            let message = slot.sending.pop();
            if message.is_some() {
                // Not for each message: the writer has more to write than that.
                if slot.sending.is_half_empty(&self.limits) {
                    self.wakes.extend(slot.sending.writer.take());
                }
                self.take_turn(stream);
                return message;
            }
            if slot.sending.closed && !slot.sending.ended {
                slot.sending.ended = true;
                self.forget_if_over(stream);
                return Some(
                    Frame {
                        stream,
                        kind: Kind::Fin,
                    }
                    .encode(),
                );
            }
        }
        None
    }

    fn answer(&mut self, stream: u32, kind: Kind) {
        self.answers.push_back(Frame { stream, kind }.encode());
        self.wakes.extend(self.driver.take());
    }

    /// Puts a stream into the queue of those that send, if it has something to send.
    fn take_turn(&mut self, stream: u32) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        if slot.in_turn || !slot.sending.has_work() {
            return;
        }
        slot.in_turn = true;
        self.turns.push_back(stream);
        self.wakes.extend(self.driver.take());
    }

    // ----- From those who hold streams -----

    /// Opens a stream.
    pub(super) fn open(&mut self) -> Result<u32, OpenStreamError> {
        if self.ended || self.closing {
            return Err(OpenStreamError::Ended);
        }
        if self.streams.len() >= self.config.streams {
            return Err(OpenStreamError::TooMany);
        }
        let stream = self.next_id;
        // Ids are not used again within a session.
        self.next_id = stream.checked_add(2).ok_or(OpenStreamError::TooMany)?;
        let mut slot = Slot {
            held: true,
            heard: self.pings,
            ..Slot::default()
        };
        slot.receiving.window = self.config.receive_window as usize;
        self.streams.insert(stream, slot);
        self.answer(stream, Kind::Syn);
        Ok(stream)
    }

    /// Accepts the oldest stream that waits for it.
    pub(super) fn accept(&mut self) -> Option<u32> {
        while let Some(stream) = self.backlog.pop_front() {
            let Some(slot) = self.streams.get_mut(&stream) else {
                continue;
            };
            slot.held = true;
            slot.receiving.window = self.config.receive_window as usize;
            self.answer(stream, Kind::Ack(self.config.receive_window));
            return Some(stream);
        }
        None
    }

    /// Queues as many bytes as there is room for.
    pub(super) fn write(&mut self, stream: u32, parts: &[&[u8]]) -> usize {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return 0;
        };
        let mut written = 0;
        for part in parts {
            let count = slot.sending.push(stream, part, &self.limits);
            written += count;
            if count < part.len() {
                break;
            }
        }
        self.take_turn(stream);
        written
    }

    /// Ends a stream once what was written is sent.
    pub(super) fn close_stream(&mut self, stream: u32) {
        if let Some(slot) = self.streams.get_mut(&stream) {
            slot.sending.closed = true;
            if slot.receiving.overflowed {
                slot.sending.clear();
            }
        }
        self.take_turn(stream);
    }

    /// Gives room to the peer for what was read, once that is worth a message.
    pub(super) fn give_credit(&mut self, stream: u32) {
        let whole = self.config.receive_window as usize;
        let slot = self.streams.get_mut(&stream);
        if let Some(bytes) = slot.and_then(|slot| slot.receiving.credit_due(whole)) {
            self.answer(stream, Kind::Ack(bytes));
        }
    }

    /// Nobody holds the stream any more.
    pub(super) fn release(&mut self, stream: u32) {
        if let Some(slot) = self.streams.get_mut(&stream) {
            slot.held = false;
            slot.receiving.reader = None;
            slot.sending.writer = None;
        }
        self.close_stream(stream);
        self.discard(stream);
        self.forget_if_over(stream);
        if self.closing {
            self.wakes.extend(self.driver.take());
        }
    }

    /// Reads what came for nobody: a peer that has to send everything before it reads must not wait.
    fn discard(&mut self, stream: u32) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        // A stream that was not accepted has no window, so nothing came for it.
        let receiving = &mut slot.receiving;
        let whole = self.config.receive_window as usize;
        receiving.buffer.clear();
        receiving.consumed = whole.saturating_sub(receiving.window);
        self.give_credit(stream);
    }

    fn forget_if_over(&mut self, stream: u32) {
        let is_over = |slot: &Slot| slot.receiving.ended && slot.sending.ended && !slot.held;
        if self.streams.get(&stream).is_some_and(is_over) {
            self.streams.remove(&stream);
        }
    }

    // ----- The session -----

    /// Begins to end: no stream is opened or accepted any more.
    pub(super) fn close(&mut self) {
        self.closing = true;
        while let Some(stream) = self.backlog.pop_front() {
            self.close_stream(stream);
        }
        self.wakes.extend(self.acceptor.take());
        self.wakes.extend(self.driver.take());
    }

    /// Whether the session was to be closed, and nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        let is_busy = |slot: &Slot| slot.held || slot.sending.has_work();
        self.closing && self.answers.is_empty() && !self.streams.values().any(is_busy)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The connection is gone, and with it all streams.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.answers.clear();
        self.turns.clear();
        self.backlog.clear();
        self.streams.retain(|_, slot| {
            slot.sending.clear();
            self.wakes.extend(slot.receiving.reader.take());
            self.wakes.extend(slot.sending.writer.take());
            slot.held
        });
        self.wakes.extend(self.acceptor.take());
        self.driver = None;
    }

    /// A ping goes out. Streams give memory back that they do not use, and those that nobody holds are
    /// forgotten when nothing came for two rounds: some peers never say that they have no more.
    pub(super) fn ping(&mut self) {
        self.pings += 1;
        let pings = self.pings;
        self.streams.retain(|_, slot| {
            slot.receiving.buffer.shrink();
            slot.held || slot.sending.has_work() || !slot.sending.ended || slot.heard + 2 > pings
        });
    }

    fn is_own(&self, stream: u32) -> bool {
        (stream % 2 == 1) == (self.role == Role::Client)
    }
}
