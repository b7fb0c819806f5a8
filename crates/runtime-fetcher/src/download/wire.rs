//! The body as it travels, over as many requests as it takes.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Halt;
use super::retry::Retry;
use super::source::Source;
use crate::cause::Blame;
use crate::hash::Hashes;
use crate::http::{Answer, Encoding, Resume};
use crate::progress::Meter;
use crate::{FetchCause, FetchContext, Fetched};

/// A body that survives broken connections: where the server names exact bytes, it goes on at the
/// byte where it broke; else it says [`Halt::Restart`].
pub(crate) struct Wire<'a> {
    source: &'a dyn Source,
    context: &'a FetchContext,
    retry: Retry,
    meter: Meter,
    start: Instant,
    hashes: Hashes,
    /// The answer that is read, or one that came from the first byte when the rest was asked for.
    answer: Option<Answer>,
    /// How much of the body came.
    received: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(source: &'a dyn Source, context: &'a FetchContext, subject: &str) -> Self {
        let config = context.config();
        Self {
            source,
            context,
            retry: Retry::new(config.retry.clone()),
            meter: Meter::start(subject, context.listener(), config.progress_interval),
            start: Instant::now(),
            hashes: Hashes::none(),
            answer: None,
            received: 0,
        }
    }

    /// Makes sure that there is an answer from the first byte.
    pub(super) async fn begin(&mut self) -> Result<(), Halt> {
        while self.answer.is_none() {
            match self.request(None).await {
                Ok(answer) => self.answer = Some(answer),
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
                Ok(None) => {
                    self.answer = None;
                    return Ok(None);
                }
                Err(cause) => self.recover(cause).await?,
            }
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.answer
            .as_ref()
            .map_or(Encoding::Identity, |answer| answer.encoding)
    }

    pub(super) fn hashes(&self) -> Hashes {
        self.hashes.clone()
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
    pub(super) async fn pause(&mut self, cause: FetchCause) -> Result<(), Halt> {
        self.answer = None;
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

    async fn request(&mut self, resume: Option<&Resume>) -> Result<Answer, FetchCause> {
        self.retry.attempt();
        let location = self.source.locate(self.context).await?;
        self.hashes.clone_from(&location.hashes);
        self.context.http().get(&location, resume).await
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchCause> {
        let timeout = self.context.config().stall_timeout;
        let received = self.received;
        let Some(answer) = &mut self.answer else {
            return Ok(None);
        };
        let chunk = answer.chunk(received, timeout).await?;
        match (chunk, answer.total) {
            (None, Some(promised)) if received != promised => {
                Err(FetchCause::Truncated { received, promised })
            }
            (chunk, _) => Ok(chunk),
        }
    }

    fn count(&mut self, bytes: u64) {
        self.received += bytes;
        self.meter.add(bytes);
        self.retry.reached(self.received);
    }

    /// Goes on where the body broke, if the server lets us.
    async fn recover(&mut self, cause: FetchCause) -> Result<(), Halt> {
        let broken = self.answer.take();
        let mut cause = cause;
        loop {
            self.pause(cause).await?;
            let Some(resume) = broken.as_ref().and_then(|answer| self.resume(answer)) else {
                return Err(Halt::Restart);
            };
            match self.request(Some(&resume)).await {
                Ok(answer) if answer.start == self.received && answer.start > 0 => {
                    self.answer = Some(answer);
                    return Ok(());
                }
                Ok(answer) => {
                    self.answer = Some(answer);
                    return Err(Halt::Restart);
                }
                Err(FetchCause::Status { status: 416, .. } | FetchCause::NotResumed) => {
                    return Err(Halt::Restart);
                }
                Err(error) => cause = error,
            }
        }
    }

    fn resume(&self, broken: &Answer) -> Option<Resume> {
        let validator = broken.validator.clone()?;
        (self.received > 0).then_some(Resume {
            offset: self.received,
            total: broken.total,
            validator,
        })
    }

    fn total(&self) -> Option<u64> {
        self.answer.as_ref().and_then(|answer| answer.total)
    }
}
