//! Downloading a body into a target, with resume, retries, decoding and verification.

mod connection_scaler;
mod decode;
mod parallel_ranges;
mod pass_error;
mod resumable_body;
mod retry_budget;
mod source;

pub(crate) use source::Source;

use crate::attempt_error::{AttemptError, ErrorClass};
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::hash::Verifier;
use crate::http::Encoding;
use crate::reference::Fetched;
use crate::target::{Target, TargetError};
use decode::DecodedBody;
use pass_error::PassError;
use resumable_body::ResumableBody;

/// Downloads the bytes of `source` into `target`.
pub(crate) async fn download(
    source: &dyn Source,
    context: &FetchContext,
    target: &mut dyn Target,
) -> Result<Fetched, FetchError> {
    let subject = source.subject();
    let mut body = ResumableBody::new(source, context, &subject);
    match run_passes(&mut body, target).await {
        Ok(bytes) => Ok(body.finish(bytes)),
        Err(PassError::Target(source)) => Err(FetchError::Target { subject, source }),
        Err(PassError::Failed(cause)) => Err(FetchError::after_attempts(
            subject,
            body.attempts(),
            body.elapsed(),
            cause,
        )),
        Err(PassError::Restart) => unreachable!("`run_passes` starts another pass"),
    }
}

/// Runs passes over the body until one is complete and verified. Returns the number of decoded bytes.
async fn run_passes(
    body: &mut ResumableBody<'_>,
    target: &mut dyn Target,
) -> Result<u64, PassError> {
    let mut corrupt_passes = 0;
    loop {
        body.start_pass().await?;
        target.reset().await?;
        if let Some(bytes) = body.total() {
            announce(body, target, bytes).await?;
        }
        match run_pass(body, target).await {
            Err(PassError::Restart) => {}
            // A proxy or mirror may have served a truncated or mixed body with the right length: retry once. A
            // second mismatch means that the reference has the wrong hash.
            Err(PassError::Failed(cause))
                if cause.class() == ErrorClass::CorruptBody && corrupt_passes == 0 =>
            {
                corrupt_passes += 1;
                body.wait_before_retry(cause).await?;
            }
            result => return result,
        }
    }
}

/// Announces the length to the target. Fails before the first byte if an unencoded body exceeds the limit.
async fn announce(
    body: &ResumableBody<'_>,
    target: &mut dyn Target,
    bytes: u64,
) -> Result<(), PassError> {
    let limit = body.max_bytes();
    if bytes > limit && body.encoding() == Encoding::Identity {
        return Err(PassError::Failed(AttemptError::TooLarge { limit }));
    }
    Ok(target.expect(bytes).await?)
}

/// Decodes, verifies and stores the body once, from its first byte.
async fn run_pass(body: &mut ResumableBody<'_>, target: &mut dyn Target) -> Result<u64, PassError> {
    let (limit, mut bytes) = (body.max_bytes(), 0);
    let mut verifier = Verifier::new(body.hashes());
    let mut decoded = DecodedBody::new(body);
    while let Some(chunk) = decoded.next_chunk().await? {
        bytes += chunk.len() as u64;
        // Counted after decoding: a small encoded body may expand to any size.
        if bytes > limit {
            return Err(PassError::Failed(AttemptError::TooLarge { limit }));
        }
        verifier.update(&chunk).await.map_err(hashing_failed)?;
        target.write(chunk).await?;
    }
    let verdict = verifier.finish().await.map_err(hashing_failed)?;
    verdict.map_err(|mismatch| PassError::Failed(mismatch.into()))?;
    target.commit().await?;
    Ok(bytes)
}

/// Hashing fails only if its thread panics or the runtime shuts down.
fn hashing_failed(error: std::io::Error) -> PassError {
    PassError::Target(TargetError::Receiver(error.into()))
}
