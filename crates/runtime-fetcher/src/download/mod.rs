//! Downloading a body into a target, with resume, retries, decoding and verification.

mod connection_scaler;
mod connections;
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
    let mut body = ResumableBody::new(source, context);
    match run_passes(&mut body, target, context.config().max_bytes).await {
        Ok(bytes) => Ok(body.finish(bytes)),
        Err(error) => Err(body.into_error(error)),
    }
}

/// Runs passes over the body until one is complete and verified. Returns the number of decoded bytes.
async fn run_passes(
    body: &mut ResumableBody<'_>,
    target: &mut dyn Target,
    limit: u64,
) -> Result<u64, PassError> {
    let mut corrupt_passes = 0;
    loop {
        match run_pass(body, target, limit).await {
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

/// Decodes, verifies and stores the body once, from its first byte.
async fn run_pass(
    body: &mut ResumableBody<'_>,
    target: &mut dyn Target,
    limit: u64,
) -> Result<u64, PassError> {
    let too_large = || PassError::Failed(AttemptError::TooLarge { limit });
    let metadata = body.start_pass().await?;
    // Before anything else: the target may hold bytes of an earlier pass.
    target.reset().await?;
    if let Some(total) = metadata.total {
        // Checked before the first byte. The length of an encoded body says nothing about the decoded one.
        if total > limit && metadata.encoding == Encoding::Identity {
            return Err(too_large());
        }
        target.expect(total).await?;
    }
    let mut verifier = Verifier::new(body.hashes());
    let mut decoded = DecodedBody::new(body, &metadata);
    let mut bytes = 0;
    while let Some(chunk) = decoded.next_chunk().await? {
        bytes += chunk.len() as u64;
        // Counted after decoding: a small encoded body may expand to any size.
        if bytes > limit {
            return Err(too_large());
        }
        verifier.update(&chunk).await.map_err(hashing_failed)?;
        target.write(chunk).await?;
    }
    let verdict = verifier.finish().await.map_err(hashing_failed)?;
    verdict.map_err(|mismatch| PassError::Failed(mismatch.into()))?;
    // Last: a committed target holds verified bytes.
    target.commit().await?;
    Ok(bytes)
}

/// Hashing fails only if its thread panics or the runtime shuts down.
fn hashing_failed(error: std::io::Error) -> PassError {
    PassError::Target(TargetError::Receiver(error.into()))
}
