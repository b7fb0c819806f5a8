//! Processes the frames of the peer.
//!
//! Frames for unknown streams are ignored, as the server does: the peer may have sent them before it received
//! our FIN.

use super::SessionState;
use crate::wsmux::config::Role;
use crate::wsmux::error::SessionError;
use crate::wsmux::frame::{Frame, FrameKind};
use crate::wsmux::frame_decoder::FramePart;
use crate::wsmux::stream_state::StreamState;

/// The maximum number of queued control frames. Only a peer that does not read them causes more.
const MAX_CONTROL_FRAMES: usize = 100_000;

impl SessionState {
    /// Processes a part of a message of the peer.
    pub(in crate::wsmux) fn receive(&mut self, part: FramePart<'_>) -> Result<(), SessionError> {
        match part {
            FramePart::Data { stream, bytes } => self.receive_data(stream, bytes),
            FramePart::Control(Frame { stream, kind }) => match kind {
                FrameKind::Syn => self.receive_syn(stream),
                FrameKind::Dat(bytes) => self.receive_data(stream, &bytes),
                FrameKind::Ack(bytes) => self.receive_ack(stream, bytes),
                FrameKind::Fin => self.receive_fin(stream),
            },
        }
        if self.control_frames.len() > MAX_CONTROL_FRAMES {
            return Err(SessionError::Flood);
        }
        Ok(())
    }

    fn receive_syn(&mut self, id: u32) {
        // Ignored like other frames that concern no stream: the server does the same.
        if self.is_local(id) || self.streams.contains_key(&id) {
            return;
        }
        let is_full = self.streams.len() >= self.config.max_streams
            || self.accept_queue.len() >= self.config.accept_backlog;
        if self.is_closing || is_full {
            // The protocol has no refusal. FIN before any ACK is the closest, and ends the stream on both ends.
            self.send_control(id, FrameKind::Fin);
            return;
        }
        let mut stream = StreamState {
            last_active_ping: self.ping_count,
            ..StreamState::default()
        };
        // SYN carries no window, and a websocktunnel server never ACKs its own SYN: it expects that
        // this end knows the size of its buffer. It drops data beyond it and cuts off the response.
        stream.send.credit = Some(self.config.assumed_window as usize);
        self.streams.insert(id, stream);
        self.accept_queue.push_back(id);
        self.pending_wakes.extend(self.acceptor.take());
    }

    fn receive_data(&mut self, id: u32, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.last_active_ping = self.ping_count;
        let recv = &mut stream.recv;
        if bytes.is_empty() || recv.has_ended || recv.has_overflowed {
            return;
        }
        if recv.push(bytes) {
            self.pending_wakes.extend(recv.reader.take());
            if !stream.has_handle {
                self.discard_received(id);
            }
            return;
        }
        // The peer exceeded the window. Only this stream fails: the violation does not affect the others.
        recv.has_overflowed = true;
        recv.buffer.clear();
        self.pending_wakes.extend(recv.reader.take());
        self.close_stream(id);
    }

    fn receive_ack(&mut self, id: u32, bytes: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.last_active_ping = self.ping_count;
        let credit = stream.send.credit.unwrap_or(0);
        // Saturating: a peer may grant more than fits, which means unlimited.
        stream.send.credit = Some(credit.saturating_add(bytes as usize));
        self.pending_wakes.extend(stream.send.writer.take());
    }

    fn receive_fin(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // FIN ends one direction only. A viewer that leaves looks the same to this end, and no ACK
        // follows.
        stream.recv.has_ended = true;
        self.pending_wakes.extend(stream.recv.reader.take());
        // FIN before ACK refuses a stream, and its opener is registered as the writer.
        self.pending_wakes.extend(stream.send.writer.take());
        self.remove_if_finished(id);
    }

    /// Returns whether the id belongs to a stream that this end opens.
    fn is_local(&self, id: u32) -> bool {
        (id % 2 == 1) == (self.role == Role::Client)
    }
}
