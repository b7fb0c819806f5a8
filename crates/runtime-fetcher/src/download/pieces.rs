//! A body that comes over several connections at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

use super::source::Location;
use crate::http::Part;
use crate::{AttemptError, FetchContext};

type Piece = Result<Vec<Bytes>, AttemptError>;

/// The rest of a body in pieces, of which some are on their way at a time. The target takes the bytes in
/// order, so a piece that is early waits in memory.
pub(super) struct Pieces {
    context: FetchContext,
    location: Arc<Location>,
    /// All of what is left to ask for.
    rest: Part,
    end: u64,
    width: usize,
    running: VecDeque<AbortOnDropHandle<Piece>>,
    ready: VecDeque<Bytes>,
    /// For all connections but the first, which every fetch may have. One that is not wanted any more is
    /// given back when the piece that it brings is there.
    permits: Vec<OwnedSemaphorePermit>,
}

impl Pieces {
    /// Makes pieces of `rest`, which ends at `end`; none is asked for before [`widen`](Self::widen).
    pub(super) fn new(
        context: &FetchContext,
        location: &Arc<Location>,
        rest: Part,
        end: u64,
    ) -> Self {
        Self {
            context: context.clone(),
            location: Arc::clone(location),
            rest,
            end,
            width: 1,
            running: VecDeque::new(),
            ready: VecDeque::new(),
            permits: Vec::new(),
        }
    }

    /// Takes more connections, if the worker has that many to spare.
    pub(super) fn widen(&mut self, width: usize) -> bool {
        let more = width.saturating_sub(self.width);
        let Some(permits) = self.context.http().spare_connections(more) else {
            return false;
        };
        self.permits.extend(permits);
        self.width = width;
        true
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Goes back to fewer connections; with one, nothing more is asked for, since the rest is better one request.
    pub(super) fn narrow(&mut self, width: usize) {
        self.width = width;
        self.give_back();
        if width == 1 {
            self.end = self.rest.start;
        }
    }

    /// The next bytes, or `None` when all that was asked for has come.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, AttemptError> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            while self.running.len() < self.width && self.rest.start < self.end {
                self.ask();
            }
            // It stays in the queue while it is waited for, so that a dropped future loses nothing.
            let Some(first) = self.running.front_mut() else {
                return Ok(None);
            };
            let piece = first.await;
            self.running.pop_front();
            self.give_back();
            self.ready.extend(piece.map_err(lost)??);
        }
    }

    fn give_back(&mut self) {
        let used = self.width.max(self.running.len());
        self.permits.truncate(used - 1);
    }

    fn piece_bytes(&self) -> u64 {
        self.context.config().parallel.piece_bytes.max(1)
    }

    fn ask(&mut self) {
        let end = self
            .end
            .min(self.rest.start.saturating_add(self.piece_bytes()));
        let part = Part {
            end: Some(end),
            ..self.rest.clone()
        };
        self.rest.start = end;
        let (context, location) = (self.context.clone(), Arc::clone(&self.location));
        let task = tokio::spawn(async move { fetch(&context, &location, &part).await });
        self.running.push_back(AbortOnDropHandle::new(task));
    }
}

async fn fetch(context: &FetchContext, location: &Location, part: &Part) -> Piece {
    let mut answer = context.http().get(location, Some(part)).await?;
    if answer.start != part.start {
        return Err(AttemptError::NotResumed);
    }
    let mut chunks = Vec::new();
    let mut at = part.start;
    while let Some(chunk) = answer.chunk(at, context.config()).await? {
        at += chunk.len() as u64;
        chunks.push(chunk);
    }
    match part.end {
        Some(end) if at != end => Err(AttemptError::Truncated {
            received: at,
            promised: end,
        }),
        _ => Ok(chunks),
    }
}

/// A task ends early only with its runtime.
fn lost(error: tokio::task::JoinError) -> AttemptError {
    AttemptError::Interrupted {
        received: 0,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use runtime_core::Services;

    use super::*;
    use crate::download::Trust;
    use crate::hash::Hashes;
    use crate::{FetchConfig, HttpClient};

    fn context(max_extra_connections: usize) -> FetchContext {
        let mut config = FetchConfig::default();
        config.parallel.max_extra_connections = max_extra_connections;
        let http = HttpClient::new(config).expect("the configuration is good");
        FetchContext::new(http, Services::disconnected())
    }

    fn pieces(context: &FetchContext) -> Pieces {
        let location = Location {
            url: "http://example.invalid".parse().expect("it is a URL"),
            trust: Trust::Task,
            hashes: Hashes::none(),
            redirects: true,
        };
        let rest = Part {
            start: 1,
            end: None,
            total: None,
            validator: String::new(),
        };
        Pieces::new(context, &Arc::new(location), rest, 1)
    }

    #[tokio::test]
    async fn connections_are_bounded_over_all_bodies() {
        let context = context(4);
        let mut bodies = [(); 3].map(|()| pieces(&context));
        let widened = bodies.each_mut().map(|pieces| pieces.widen(3));
        assert_eq!(widened, [true, true, false], "two more for each");
        bodies[0] = pieces(&context);
        assert!(bodies[2].widen(3), "the first has given its own back");
    }

    #[tokio::test]
    async fn a_connection_is_given_back_when_its_piece_is_there() {
        let context = context(1);
        let (mut narrowed, mut other) = (pieces(&context), pieces(&context));
        assert!(narrowed.widen(2));
        for byte in [b"1", b"2"] {
            let piece = tokio::spawn(async { Ok(vec![Bytes::from_static(byte)]) });
            narrowed.running.push_back(AbortOnDropHandle::new(piece));
        }
        narrowed.narrow(1);
        assert!(!other.widen(2), "two pieces are on their way still");
        let bytes = narrowed.next().await.expect("it comes");
        assert_eq!(bytes.as_deref(), Some(&b"1"[..]));
        assert!(other.widen(2));
    }
}
