//! Chooses the next message to send.

use super::SessionState;
use crate::wsmux::frame::{Frame, FrameKind};
use crate::wsmux::websocket::{EncodedFrame, OutgoingMessage};

impl SessionState {
    /// Returns the next message to send.
    pub(in crate::wsmux) fn next_message(&mut self) -> Option<EncodedFrame> {
        if let Some(frame) = self.control_frames.pop_front() {
            return Some(frame);
        }
        while let Some(id) = self.send_queue.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.is_queued = false;
            if let Some(message) = stream.send.pop() {
                // Not for each message: a writer that is woken later writes more at once.
                if stream.send.is_half_empty(&self.queue_limits) {
                    self.pending_wakes.extend(stream.send.writer.take());
                }
                self.enqueue(id);
                return Some(message);
            }
            // Only after the last message: FIN ends the data of this end.
            if stream.send.is_closed && !stream.send.has_ended {
                stream.send.has_ended = true;
                self.remove_if_finished(id);
                let kind = FrameKind::Fin;
                return Some(self.encode(id, kind));
            }
        }
        None
    }

    pub(super) fn send_control(&mut self, stream: u32, kind: FrameKind) {
        let frame = self.encode(stream, kind);
        self.control_frames.push_back(frame);
        self.pending_wakes.extend(self.driver.take());
    }

    fn encode(&mut self, stream: u32, kind: FrameKind) -> EncodedFrame {
        let bytes = Frame { stream, kind }.encode();
        let mut message = OutgoingMessage::new(self.mask_keys.next_key(), bytes.len());
        message.extend(&bytes);
        message.into_binary()
    }

    /// Adds a stream to the send queue if it has something to send.
    pub(super) fn enqueue(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.is_queued || !stream.send.has_work() {
            return;
        }
        stream.is_queued = true;
        self.send_queue.push_back(id);
        self.pending_wakes.extend(self.driver.take());
    }
}
