//! From a source of URLs to a target, over as many attempts as it takes.

mod decode;
mod pace;
mod pieces;
mod retry;
mod sink;
mod source;
mod wire;

pub(crate) use source::{Location, Source, Trust};

use crate::cause::Blame;
use crate::http::Encoding;
use crate::{AttemptError, FetchContext, FetchError, Fetched, Target, TargetError};
use sink::Sink;
use wire::Wire;

/// Why the bytes of one pass do not become the result.
pub(crate) enum Halt {
    /// The bytes so far are of no use; the next pass may do better.
    Restart,
    /// The fetch is over.
    Failed(AttemptError),
    /// The target is over.
    Target(TargetError),
}

impl From<TargetError> for Halt {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

/// Brings what `source` leads to into `target`.
pub(crate) async fn download(
    source: &dyn Source,
    context: &FetchContext,
    target: &mut dyn Target,
) -> Result<Fetched, FetchError> {
    let subject = source.subject();
    let mut wire = Wire::new(source, context, &subject);
    match passes(&mut wire, target).await {
        Ok(bytes) => Ok(wire.finish(bytes)),
        Err(Halt::Target(source)) => Err(FetchError::Target { subject, source }),
        Err(Halt::Failed(cause)) => Err(FetchError::after(
            subject,
            wire.attempts(),
            wire.elapsed(),
            cause,
        )),
        Err(Halt::Restart) => unreachable!("a restart is another pass"),
    }
}

/// Passes over the body from its first byte until one ends with the right bytes.
async fn passes(wire: &mut Wire<'_>, target: &mut dyn Target) -> Result<u64, Halt> {
    let mut wrong = 0;
    loop {
        wire.begin().await?;
        target.reset().await?;
        if let Some(bytes) = wire.total() {
            expect(wire, target, bytes).await?;
        }
        match pass(wire, target).await {
            Err(Halt::Restart) => {}
            // Whole and wrong bytes are worth one more look: a proxy may have cut or mixed them.
            Err(Halt::Failed(cause)) if cause.blame() == Blame::Content && wrong == 0 => {
                wrong += 1;
                wire.pause(cause).await?;
            }
            result => return result,
        }
    }
}

/// What is too large is known from what the server promises, before a byte of it comes.
async fn expect(wire: &Wire<'_>, target: &mut dyn Target, bytes: u64) -> Result<(), Halt> {
    let limit = wire.max_bytes();
    if bytes > limit && wire.encoding() == Encoding::Identity {
        return Err(Halt::Failed(AttemptError::TooLarge { limit }));
    }
    Ok(target.expect(bytes).await?)
}

async fn pass(wire: &mut Wire<'_>, target: &mut dyn Target) -> Result<u64, Halt> {
    let mut sink = Sink::new(target, wire.hashes(), wire.max_bytes());
    decode::pour(wire, &mut sink).await?;
    sink.finish().await
}
