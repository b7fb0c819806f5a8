//! Reports panics as incidents, and incidents that panic.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::Monitor;
use super::sink::IncidentId;
use crate::util::panic_message;

/// A caught panic that was reported as an incident.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {message} (incident {incident})")]
#[non_exhaustive]
pub struct Panicked {
    /// The id of the reported incident.
    pub incident: IncidentId,
    /// The panic message.
    pub message: String,
}

/// The reported error. It has no incident id: the report carries that already.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
struct Panic(String);

impl Monitor {
    /// Reports an error, as [`report_error`](Self::report_error) does, and panics with the context and the id of the
    /// incident.
    ///
    /// The panic message does not contain the error: a panic hook would print its secrets, which a sink redacts. Code that
    /// catches the panic and reports it creates a second incident, whose message names the first.
    ///
    /// ```should_panic
    /// # use runtime_core::Monitor;
    /// # let monitor = Monitor::null();
    /// let error = std::io::Error::other("two tasks hold the same device");
    /// monitor.panic(&error, "the table of devices is inconsistent");
    /// ```
    ///
    /// # Panics
    ///
    /// Always.
    #[track_caller]
    pub fn panic(&self, error: &(dyn Error + 'static), context: impl fmt::Display) -> ! {
        let incident = self.report_error(error, &context);
        panic!("{context} (incident {incident})");
    }

    /// Runs `work`. A panic is reported as an error and returned.
    ///
    /// Data that `work` was modifying when it panicked may be left in an inconsistent state.
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

    /// Awaits `work`. A panic is reported as an error and returned.
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
                // `Ready`, because polling a future after it panicked has no defined result.
                Err(payload) => Poll::Ready(Err(payload)),
            }
        });
        let outcome = outcome.await;
        outcome.map_err(|payload| self.panicked(&context, &*payload))
    }

    fn panicked(&self, context: &dyn fmt::Display, payload: &(dyn Any + Send)) -> Panicked {
        let message = panic_message(payload).to_owned();
        let incident = self.report_error(&Panic(message.clone()), context);
        Panicked { incident, message }
    }
}
