//! The rest of a body, received as ranges over several connections.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

use crate::attempt_error::AttemptError;
use crate::context::FetchContext;
use crate::http::{Location, RangeRequest};

type ReceivedRange = Result<Vec<Bytes>, AttemptError>;

/// The rest of a body in ranges of equal size, some of which are received at the same time.
///
/// The target takes the bytes in order, so a range that completes early is buffered. The number of ranges at a
/// time is the number of connections, which bounds the memory.
pub(super) struct ParallelRanges {
    context: FetchContext,
    location: Arc<Location>,
    /// The part that has not been requested yet.
    unrequested: RangeRequest,
    /// The offset after the last byte to request.
    end: u64,
    connections: usize,
    running: VecDeque<AbortOnDropHandle<ReceivedRange>>,
    ready: VecDeque<Bytes>,
    /// One for each connection but the first, which every fetch may have. After a `shrink`, a permit is released
    /// only when the range that uses the connection is complete.
    permits: Vec<OwnedSemaphorePermit>,
}

impl ParallelRanges {
    /// Creates the ranges of `rest`, which ends at `end`. Nothing is requested before [`grow`](Self::grow).
    pub(super) fn new(
        context: &FetchContext,
        location: &Arc<Location>,
        rest: RangeRequest,
        end: u64,
    ) -> Self {
        Self {
            context: context.clone(),
            location: Arc::clone(location),
            unrequested: rest,
            end,
            connections: 1,
            running: VecDeque::new(),
            ready: VecDeque::new(),
            permits: Vec::new(),
        }
    }

    /// Raises the number of connections. Returns false if all extra connections of the worker are in use.
    pub(super) fn grow(&mut self, connections: usize) -> bool {
        let more = connections.saturating_sub(self.connections);
        // All or none, without waiting: a body with fewer connections still makes progress.
        let Some(permits) = self.context.http().try_extra_connections(more) else {
            return false;
        };
        self.permits.extend(permits);
        self.connections = connections;
        true
    }

    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// Lowers the number of connections.
    pub(super) fn shrink(&mut self, connections: usize) {
        self.connections = connections;
        self.release_permits();
        if connections == 1 {
            // Request no more ranges: over one connection, a single request for the rest saves round trips.
            self.end = self.unrequested.start;
        }
    }

    /// Returns the next bytes in order, or `None` when all requested ranges are complete.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, AttemptError> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            while self.running.len() < self.connections && self.unrequested.start < self.end {
                self.request_next();
            }
            // The range stays in the queue while it is awaited: a dropped future loses nothing.
            let Some(first) = self.running.front_mut() else {
                return Ok(None);
            };
            let range = first.await;
            self.running.pop_front();
            // Before the error is returned: the connection is free in any case.
            self.release_permits();
            self.ready.extend(range.map_err(task_failed)??);
        }
    }

    fn release_permits(&mut self) {
        // After a `shrink`, more ranges may be running than there are connections.
        let used = self.connections.max(self.running.len());
        self.permits.truncate(used - 1);
    }

    fn request_next(&mut self) {
        let range_bytes = self.context.config().parallel.range_bytes.max(1);
        let start = self.unrequested.start;
        let end = self.end.min(start.saturating_add(range_bytes));
        let range = RangeRequest {
            end: Some(end),
            ..self.unrequested.clone()
        };
        self.unrequested.start = end;
        let (context, location) = (self.context.clone(), Arc::clone(&self.location));
        // A task, so that a range is received while the target stores an earlier one.
        let task = tokio::spawn(async move { receive(&context, &location, &range).await });
        self.running.push_back(AbortOnDropHandle::new(task));
    }
}

async fn receive(
    context: &FetchContext,
    location: &Location,
    range: &RangeRequest,
) -> ReceivedRange {
    let mut response = context.http().get(location, Some(range)).await?;
    let mut chunks = Vec::new();
    let mut received = range.start;
    while let Some(chunk) = response.chunk(received, context.config()).await? {
        received += chunk.len() as u64;
        chunks.push(chunk);
    }
    match range.end {
        // A server may return less than the requested range with a valid 206.
        Some(promised) if received != promised => {
            Err(AttemptError::Truncated { received, promised })
        }
        _ => Ok(chunks),
    }
}

/// A task fails only if it panics or its runtime shuts down.
fn task_failed(error: tokio::task::JoinError) -> AttemptError {
    AttemptError::Interrupted {
        received: 0,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use runtime_core::Services;

    use super::*;
    use crate::config::FetchConfig;
    use crate::hash::Hashes;
    use crate::http::{Encoding, HttpClient, LocationTrust, ResourceUrl};

    fn context(max_extra_connections: usize) -> FetchContext {
        let mut config = FetchConfig::default();
        config.parallel.max_extra_connections = max_extra_connections;
        let http = HttpClient::new(config).expect("configuration is valid");
        FetchContext::new(http, Services::disconnected())
    }

    fn ranges(context: &FetchContext) -> ParallelRanges {
        let url: url::Url = "http://example.invalid".parse().expect("URL is valid");
        let resource = ResourceUrl::new(&url);
        let location = Location {
            url,
            trust: LocationTrust::Task,
            hashes: Hashes::none(),
            follow_redirects: true,
        };
        let rest = RangeRequest {
            start: 1,
            end: None,
            total: None,
            encoding: Encoding::Identity,
            validator: String::new(),
            resource,
        };
        ParallelRanges::new(context, &Arc::new(location), rest, 1)
    }

    #[tokio::test]
    async fn all_bodies_share_the_extra_connections() {
        let context = context(4);
        let mut bodies = [(); 3].map(|()| ranges(&context));
        let grown = bodies.each_mut().map(|ranges| ranges.grow(3));
        assert_eq!(grown, [true, true, false], "two extra connections each");
        bodies[0] = ranges(&context);
        assert!(bodies[2].grow(3), "the first body has released its own");
    }

    #[tokio::test]
    async fn connection_is_released_with_its_range() {
        let context = context(1);
        let (mut shrunk, mut other) = (ranges(&context), ranges(&context));
        assert!(shrunk.grow(2));
        for byte in [b"1", b"2"] {
            let range = tokio::spawn(async { Ok(vec![Bytes::from_static(byte)]) });
            shrunk.running.push_back(AbortOnDropHandle::new(range));
        }
        shrunk.shrink(1);
        assert!(!other.grow(2), "two ranges are still received");
        let bytes = shrunk.next_chunk().await.expect("range is complete");
        assert_eq!(bytes.as_deref(), Some(&b"1"[..]));
        assert!(other.grow(2));
    }
}
