//! A body that survives broken connections.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::connection_scaler::ConnectionScaler;
use super::connections::OpenConnections;
use super::parallel_ranges::ParallelRanges;
use super::pass_error::PassError;
use super::retry_budget::RetryBudget;
use crate::attempt_error::{AttemptError, ErrorClass};
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::hash::Hashes;
use crate::http::{BodyMetadata, BodyResponse, Encoding, Location, RangeRequest};
use crate::progress::ProgressMeter;
use crate::reference::{FetchStats, Reference};

/// A reference that can locate its bytes.
#[async_trait]
pub(super) trait Locatable: Reference {
    /// Returns the current location of the bytes.
    ///
    /// Called for every attempt, because signed URLs expire.
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError>;
}

/// An encoded body, received over as many requests as it takes.
///
/// After a broken connection it resumes at the next byte if the server identified the body by a strong entity tag
/// (`ETag`, sent back as `If-Range`). Else [`PassError::Restart`] starts another pass: two responses without a
/// common tag may belong to different versions of the file, and a mix of them must never reach the target. A large
/// and slow body switches to several connections.
pub(super) struct ResumableBody<'a> {
    reference: &'a dyn Locatable,
    context: &'a FetchContext,
    subject: String,
    retry: RetryBudget,
    scaler: ConnectionScaler,
    meter: ProgressMeter,
    start: Instant,
    /// The location of the last request.
    location: Option<Arc<Location>>,
    /// The headers of the current body.
    metadata: Option<BodyMetadata>,
    connections: OpenConnections,
    /// The bytes of the body received in this pass.
    received: u64,
}

impl<'a> ResumableBody<'a> {
    pub(super) fn new(reference: &'a dyn Locatable, context: &'a FetchContext) -> Self {
        let (config, subject) = (context.config(), reference.subject());
        Self {
            reference,
            context,
            retry: RetryBudget::new(config.retry.clone()),
            scaler: ConnectionScaler::new(&config.parallel),
            meter: ProgressMeter::start(&subject, context.listener(), config.progress_interval),
            subject,
            start: Instant::now(),
            location: None,
            metadata: None,
            connections: OpenConnections::None,
            received: 0,
        }
    }

    /// Requests the body from its first byte and returns its properties.
    pub(super) async fn start_pass(&mut self) -> Result<BodyMetadata, PassError> {
        // Never the response to a range request: a server that ignores or misunderstands ranges may have sent
        // any part of the body.
        let metadata = loop {
            match self.request(None).await {
                Ok(response) => break self.use_response(response),
                Err(cause) => self.wait_before_retry(cause).await?,
            }
        };
        self.received = 0;
        self.meter.set_position(0, metadata.total);
        Ok(metadata)
    }

    /// Returns the next encoded bytes, or `None` at the end of the body.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, PassError> {
        loop {
            let (total, config) = (self.total(), self.context.config());
            match self.connections.receive(self.received, total, config).await {
                Ok(Some(bytes)) => {
                    self.count(bytes.len() as u64);
                    return Ok(Some(bytes));
                }
                Ok(None) if self.is_complete() => {
                    self.connections = OpenConnections::None;
                    return Ok(None);
                }
                Ok(None) => self.continue_on_single_connection().await?,
                Err(cause) => self.resume(cause).await?,
            }
        }
    }

    /// Returns the hashes that the decoded body must have.
    pub(super) fn hashes(&self) -> Hashes {
        let location = self.location.as_ref();
        location.map_or_else(Hashes::none, |location| location.hashes.clone())
    }

    /// Returns whether the current body has a content encoding.
    pub(super) fn is_encoded(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.encoding != Encoding::Identity)
    }

    /// Waits before the next attempt. Returns the error if it is permanent or the retry policy is exhausted.
    pub(super) async fn wait_before_retry(&mut self, cause: AttemptError) -> Result<(), PassError> {
        self.connections = OpenConnections::None;
        if matches!(cause.class(), ErrorClass::Reference | ErrorClass::Worker) {
            return Err(PassError::Failed(cause));
        }
        let Some(delay) = self.retry.delay(&cause) else {
            return Err(PassError::Failed(cause));
        };
        self.meter.retrying(self.retry.attempts(), delay, cause);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Ends the fetch after its target was committed.
    pub(super) fn finish(self, bytes: u64) -> FetchStats {
        let fetched = FetchStats {
            bytes,
            attempts: self.retry.attempts(),
            elapsed: self.start.elapsed(),
        };
        self.meter.finish();
        fetched
    }

    /// Ends the fetch with an error.
    pub(super) fn into_error(self, error: PassError) -> FetchError {
        let subject = self.subject;
        match error {
            PassError::Target(source) => FetchError::Target { subject, source },
            PassError::Failed(cause) => {
                let (attempts, elapsed) = (self.retry.attempts(), self.start.elapsed());
                FetchError::after_attempts(subject, attempts, elapsed, cause)
            }
            PassError::Restart => unreachable!("a restart is another pass"),
        }
    }

    async fn request(
        &mut self,
        range: Option<&RangeRequest>,
    ) -> Result<BodyResponse, AttemptError> {
        self.retry.start_attempt();
        // A new location for every request: a signed URL may have expired while the body was received.
        let location = self.reference.locate(self.context).await?;
        let location = Arc::clone(self.location.insert(Arc::new(location)));
        self.context.http().get(&location, range).await
    }

    fn use_response(&mut self, response: BodyResponse) -> BodyMetadata {
        let metadata = response.metadata.clone();
        self.metadata = Some(metadata.clone());
        self.connections = OpenConnections::Single(response);
        // The throughput of the old connections says nothing about this one.
        self.scaler.restart();
        metadata
    }

    /// Returns the encoded length of the body, if announced.
    fn total(&self) -> Option<u64> {
        self.metadata.as_ref().and_then(|metadata| metadata.total)
    }

    fn is_complete(&self) -> bool {
        self.total().is_none_or(|total| self.received == total)
    }

    fn count(&mut self, bytes: u64) {
        self.received += bytes;
        self.meter.add(bytes);
        // Encoded bytes: what counts is the progress of the transfer, not that of the decoder.
        self.retry.record_advance(self.received);
        let Some(total) = self.total() else { return };
        let remaining = total.saturating_sub(self.received);
        if let Some(connections) = self.scaler.next_connections(bytes, remaining) {
            self.set_connections(connections, total);
        }
    }

    fn set_connections(&mut self, connections: usize, total: u64) {
        match &mut self.connections {
            OpenConnections::Parallel(ranges) if connections < ranges.connections() => {
                ranges.shrink(connections);
            }
            OpenConnections::Parallel(ranges) => {
                // Without a free connection, asking again at every window would not help this body.
                if !ranges.grow(connections) {
                    self.scaler.freeze();
                }
            }
            OpenConnections::Single(_) | OpenConnections::None => self.split(connections, total),
        }
    }

    /// Switches to several connections, if the server accepts ranges and identified the body.
    ///
    /// The open response is dropped at the current position and its rest requested again as ranges: HTTP has no way
    /// to shorten a running response.
    fn split(&mut self, connections: usize, total: u64) {
        let accepts_ranges = self
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.accepts_ranges);
        let (Some(rest), Some(location), true) =
            (self.remaining_range(), &self.location, accepts_ranges)
        else {
            return self.scaler.freeze();
        };
        let mut ranges = ParallelRanges::new(self.context, location, rest, total);
        if ranges.grow(connections) {
            self.connections = OpenConnections::Parallel(ranges);
        } else {
            self.scaler.freeze();
        }
    }

    /// Requests the rest over one connection after parallel ranges did not help.
    async fn continue_on_single_connection(&mut self) -> Result<(), PassError> {
        self.connections = OpenConnections::None;
        let Some(rest) = self.remaining_range() else {
            return Err(PassError::Restart);
        };
        // Nothing has failed, so without a delay.
        match self.request(Some(&rest)).await {
            Ok(response) => {
                self.use_response(response);
                Ok(())
            }
            Err(error) if is_refused_range(&error) => Err(PassError::Restart),
            Err(cause) => self.resume(cause).await,
        }
    }

    /// Waits, then resumes the body at the next byte, or restarts it if the server does not allow that.
    async fn resume(&mut self, cause: AttemptError) -> Result<(), PassError> {
        if matches!(self.connections, OpenConnections::Parallel(_)) {
            self.scaler.record_failure();
        }
        let mut cause = cause;
        loop {
            self.wait_before_retry(cause).await?;
            // The target keeps the bytes received so far. They are of use only if the rest is of the same version.
            let Some(rest) = self.remaining_range() else {
                return Err(PassError::Restart);
            };
            match self.request(Some(&rest)).await {
                Ok(response) => {
                    self.use_response(response);
                    return Ok(());
                }
                // No delay before the restart: the server has answered, and only dislikes the
                // range.
                Err(error) if is_refused_range(&error) => return Err(PassError::Restart),
                Err(error) => cause = error,
            }
        }
    }

    /// Returns the rest of the body, if it has an entity tag and has begun.
    fn remaining_range(&self) -> Option<RangeRequest> {
        let metadata = self.metadata.as_ref()?;
        let validator = metadata.validator.clone()?;
        // A range from the first byte is the whole body; some servers answer 416 to it for an empty file.
        (self.received > 0).then_some(RangeRequest {
            start: self.received,
            end: None,
            total: metadata.total,
            encoding: metadata.encoding,
            validator,
            resource: metadata.resource.clone(),
        })
    }
}

/// Returns whether a request for the whole body may succeed where one for a range did not.
///
/// Among these are 416 for a body that is shorter by now, 304 of a confused cache, and 400 or 403 of servers that dislike
/// `Range`. If the reference is wrong, the request for the whole body shows it.
fn is_refused_range(error: &AttemptError) -> bool {
    matches!(error, AttemptError::RangeMismatch) || error.class() == ErrorClass::Reference
}
