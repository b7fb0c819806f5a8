//! The body as it travels, over as many requests as it takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Halt;
use super::pace::Pace;
use super::pieces::Pieces;
use super::retry::Retry;
use super::source::{Location, Source};
use crate::cause::Blame;
use crate::hash::Hashes;
use crate::http::{Answer, Encoding, Head, Part};
use crate::progress::Meter;
use crate::{AttemptError, FetchContext, Fetched};

/// A body that survives broken connections: where the server names exact bytes, it goes on at the
/// byte where it broke; else it says [`Halt::Restart`]. A large body that comes slowly is asked for over
/// several connections at a time.
pub(crate) struct Wire<'a> {
    source: &'a dyn Source,
    context: &'a FetchContext,
    retry: Retry,
    pace: Pace,
    meter: Meter,
    start: Instant,
    /// Where the last answer came from.
    location: Option<Arc<Location>>,
    /// What the server said of the body that is read.
    head: Option<Head>,
    body: Body,
    /// How much of the body came.
    received: u64,
}

/// Where the next bytes come from.
enum Body {
    Nowhere,
    /// From one connection, to the end. Also an answer from the first byte when the rest was asked for.
    One(Answer),
    Many(Pieces),
}

impl<'a> Wire<'a> {
    pub(super) fn new(source: &'a dyn Source, context: &'a FetchContext, subject: &str) -> Self {
        let config = context.config();
        Self {
            source,
            context,
            retry: Retry::new(config.retry.clone()),
            pace: Pace::new(&config.parallel),
            meter: Meter::start(subject, context.listener(), config.progress_interval),
            start: Instant::now(),
            location: None,
            head: None,
            body: Body::Nowhere,
            received: 0,
        }
    }

    /// Makes sure that there is an answer from the first byte.
    pub(super) async fn begin(&mut self) -> Result<(), Halt> {
        while !matches!(self.body, Body::One(_)) {
            match self.request(None).await {
                Ok(answer) => self.read(answer),
                Err(cause) => self.pause(cause).await?,
            }
        }
        self.received = 0;
        self.meter.position(0, self.total());
        Ok(())
    }

    /// The next bytes as they travel, or `None` when the body is complete.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Halt> {
        loop {
            match self.chunk().await {
                Ok(Some(bytes)) => {
                    self.count(bytes.len() as u64);
                    return Ok(Some(bytes));
                }
                Ok(None) if self.is_complete() => {
                    self.body = Body::Nowhere;
                    return Ok(None);
                }
                Ok(None) => self.go_on_over_one().await?,
                Err(cause) => self.recover(cause).await?,
            }
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.head
            .as_ref()
            .map_or(Encoding::Identity, |head| head.encoding)
    }

    pub(super) fn hashes(&self) -> Hashes {
        let location = self.location.as_ref();
        location.map_or_else(Hashes::none, |location| location.hashes.clone())
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.context.config().max_bytes
    }

    pub(super) fn attempts(&self) -> u32 {
        self.retry.attempts()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits before the next attempt, or gives up.
    pub(super) async fn pause(&mut self, cause: AttemptError) -> Result<(), Halt> {
        self.body = Body::Nowhere;
        if matches!(cause.blame(), Blame::Reference | Blame::Worker) {
            return Err(Halt::Failed(cause));
        }
        let Some(delay) = self.retry.delay(&cause) else {
            return Err(Halt::Failed(cause));
        };
        self.meter.retrying(self.retry.attempts(), delay, &cause);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// The body is complete, verified and in its target.
    pub(super) fn finish(self, bytes: u64) -> Fetched {
        let fetched = Fetched {
            bytes,
            attempts: self.retry.attempts(),
            elapsed: self.start.elapsed(),
        };
        self.meter.finish();
        fetched
    }

    async fn request(&mut self, part: Option<&Part>) -> Result<Answer, AttemptError> {
        self.retry.attempt();
        let location = self.source.locate(self.context).await?;
        let location = Arc::clone(self.location.insert(Arc::new(location)));
        self.context.http().get(&location, part).await
    }

    fn read(&mut self, answer: Answer) {
        self.head = Some(answer.head.clone());
        self.body = Body::One(answer);
        self.pace.restart();
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, AttemptError> {
        let (received, total) = (self.received, self.total());
        match &mut self.body {
            Body::Nowhere => Ok(None),
            Body::One(answer) => {
                match (answer.chunk(received, self.context.config()).await?, total) {
                    (None, Some(promised)) if received != promised => {
                        Err(AttemptError::Truncated { received, promised })
                    }
                    (chunk, _) => Ok(chunk),
                }
            }
            Body::Many(pieces) => pieces
                .next()
                .await
                .map_err(|cause| as_broken(received, cause)),
        }
    }

    fn is_complete(&self) -> bool {
        self.total().is_none_or(|total| self.received == total)
    }

    fn count(&mut self, bytes: u64) {
        self.received += bytes;
        self.meter.add(bytes);
        self.retry.reached(self.received);
        let Some(total) = self.total() else { return };
        let rest = total.saturating_sub(self.received);
        if let Some(width) = self.pace.judge(bytes, rest) {
            self.set_width(width, total);
        }
    }

    /// Changes the number of connections. What one connection has brought already is used.
    fn set_width(&mut self, width: usize, total: u64) {
        match &mut self.body {
            Body::Many(pieces) if width < pieces.width() => pieces.narrow(width),
            Body::Many(pieces) => {
                if !pieces.widen(width) {
                    self.pace.settle();
                }
            }
            Body::One(_) | Body::Nowhere => self.split(width, total),
        }
    }

    fn split(&mut self, width: usize, total: u64) {
        let takes_ranges = self.head.as_ref().is_some_and(|head| head.takes_ranges);
        let (Some(rest), Some(location), true) = (self.rest(), &self.location, takes_ranges) else {
            return self.pace.settle();
        };
        let mut pieces = Pieces::new(self.context, location, rest, total);
        match pieces.widen(width) {
            true => self.body = Body::Many(pieces),
            false => self.pace.settle(),
        }
    }

    /// More connections did not help: asks for the rest over one.
    async fn go_on_over_one(&mut self) -> Result<(), Halt> {
        let rest = self.rest();
        self.body = Body::Nowhere;
        match self.request(rest.as_ref()).await {
            Ok(answer) => self.join(answer),
            Err(cause) => self.recover(cause).await,
        }
    }

    /// Goes on where the body broke, if the server lets us.
    async fn recover(&mut self, cause: AttemptError) -> Result<(), Halt> {
        if matches!(self.body, Body::Many(_)) {
            self.pace.fault();
        }
        let mut cause = cause;
        loop {
            self.pause(cause).await?;
            let Some(rest) = self.rest() else {
                return Err(Halt::Restart);
            };
            match self.request(Some(&rest)).await {
                Ok(answer) => return self.join(answer),
                Err(AttemptError::Status { status: 416, .. } | AttemptError::NotResumed) => {
                    return Err(Halt::Restart);
                }
                Err(error) => cause = error,
            }
        }
    }

    /// Reads on from an answer, if it goes on where the body is; else it is one from the first byte.
    fn join(&mut self, answer: Answer) -> Result<(), Halt> {
        let goes_on = answer.start == self.received && answer.start > 0;
        self.read(answer);
        match goes_on {
            true => Ok(()),
            false => Err(Halt::Restart),
        }
    }

    /// What is left of the body, if the server named its exact bytes.
    fn rest(&self) -> Option<Part> {
        let head = self.head.as_ref()?;
        let validator = head.validator.clone()?;
        (self.received > 0).then_some(Part {
            start: self.received,
            end: None,
            total: head.total,
            validator,
        })
    }

    /// How long the body is as it travels, if the server said.
    pub(super) fn total(&self) -> Option<u64> {
        self.head.as_ref().and_then(|head| head.total)
    }
}

/// Whatever is wrong with a piece, the body broke there: one connection may still bring the rest, and if it
/// cannot, it knows better why.
fn as_broken(received: u64, cause: AttemptError) -> AttemptError {
    match cause.blame() {
        Blame::Circumstances => cause,
        _ => AttemptError::Interrupted {
            received,
            source: cause.into(),
        },
    }
}
