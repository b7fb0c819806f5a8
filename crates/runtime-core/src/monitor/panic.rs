//! Panics become incidents.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::{IncidentId, Monitor};

/// Some work panicked, and this was reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {message} (incident {incident})")]
#[non_exhaustive]
pub struct Panicked {
    /// The name of the incident.
    pub incident: IncidentId,
    /// What the panic said.
    pub message: String,
}

/// What is reported: the incident's id is not part of its own error.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
struct Panic(String);

impl Monitor {
    /// Runs `work`; if it panics, the panic is reported as an error and returned.
    ///
    /// What `work` was changing when it panicked may be left half-changed.
    ///
    /// # Errors
    ///
    /// [`Panicked`] with the id of the incident.
    pub fn capture_panic<T>(
        &self,
        context: impl fmt::Display,
        work: impl FnOnce() -> T,
    ) -> Result<T, Panicked> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|payload| self.panicked(&context, &*payload))
    }

    /// Awaits `work`; if it panics, the panic is reported as an error and returned.
    ///
    /// # Errors
    ///
    /// [`Panicked`] with the id of the incident.
    ///
    /// # Cancel safety
    ///
    /// As safe as `work`.
    pub async fn capture_panic_async<T>(
        &self,
        context: impl fmt::Display,
        work: impl Future<Output = T>,
    ) -> Result<T, Panicked> {
        let mut work = pin!(work);
        let outcome = poll_fn(|cx| {
            match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
                // The future is not polled again.
                Err(payload) => Poll::Ready(Err(payload)),
            }
        });
        let outcome = outcome.await;
        outcome.map_err(|payload| self.panicked(&context, &*payload))
    }

    fn panicked(&self, context: &dyn fmt::Display, payload: &(dyn Any + Send)) -> Panicked {
        let message = message(payload);
        let incident = self.report_error(&Panic(message.clone()), context);
        Panicked { incident, message }
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("with a value that is no text").to_owned()
}
