//! A wrapper that forwards each stop once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{StopStage, Stoppable, request_stop};
use crate::sys::Mutex;

/// Forwards a stop only if it is more urgent than all earlier ones: an immediate stop after a graceful one, or an earlier
/// deadline.
///
/// The wrapped component receives at most one graceful and one immediate stop, and no graceful one after the start of
/// an immediate one, even if they are requested concurrently. An earlier deadline without a new stage is forwarded as
/// [`stop_within`](Stoppable::stop_within) with [`StopStage::Running`].
///
/// Calls of the wrapped component do not overlap. A stop that is requested during a call, by another thread or by the
/// component itself, returns at once, and the thread that makes the call forwards it next.
///
/// ```
/// # use std::sync::Arc;
/// # use runtime_core::lifecycle::StoppableOnce;
/// # use runtime_core::Stoppable;
/// #[derive(Debug)]
/// struct Printer;
///
/// impl Stoppable for Printer {
///     fn stop_now(&self) {
///         println!("stopping now");
///     }
///     fn stop_gracefully(&self) {
///         unreachable!("a graceful stop never follows an immediate one");
///     }
/// }
///
/// let once = StoppableOnce::new(Arc::new(Printer));
/// once.stop_now();
/// once.stop_now(); // Prints nothing.
/// once.stop_gracefully();
/// ```
#[derive(Debug)]
pub struct StoppableOnce {
    inner: Arc<dyn Stoppable>,
    state: Mutex<Forwarding>,
}

#[derive(Debug, Default)]
struct Forwarding {
    requested: StopRequest,
    forwarded: StopRequest,
    /// Whether a thread is calling the wrapped component.
    is_forwarding: bool,
}

/// The most urgent stop so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StopRequest {
    stage: StopStage,
    /// The time at which the machine disappears, if known.
    deadline: Option<Instant>,
}

impl StoppableOnce {
    /// Creates a wrapper around `inner`.
    pub fn new(inner: Arc<dyn Stoppable>) -> Self {
        Self {
            inner,
            state: Mutex::default(),
        }
    }

    fn request(&self, stage: StopStage, deadline: Option<Instant>) {
        self.state.lock().requested.raise(stage, deadline);
        // The lock is not held during the call, which may request another stop. Decided under the lock but called
        // without `is_forwarding`, a graceful stop could arrive after an immediate one of another thread.
        loop {
            let next = self.state.lock().begin_call();
            let Some(stop) = next else {
                return;
            };
            let _call = ForwardingCall(&self.state);
            let budget = stop
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()));
            request_stop(&*self.inner, stop.stage, budget);
        }
    }
}

impl Stoppable for StoppableOnce {
    fn stop_now(&self) {
        self.request(StopStage::Now, None);
    }

    fn stop_gracefully(&self) {
        self.request(StopStage::Graceful, None);
    }

    fn stop_within(&self, stage: StopStage, budget: Duration) {
        self.request(stage, Instant::now().checked_add(budget));
    }
}

impl StopRequest {
    /// Merges a request into this one. Stage and deadline are independent: a less urgent stop may have an
    /// earlier deadline.
    fn raise(&mut self, stage: StopStage, deadline: Option<Instant>) {
        self.stage = self.stage.max(stage);
        self.deadline = self.deadline.into_iter().chain(deadline).min();
    }

    /// Returns the part of this request that an earlier one does not contain.
    fn since(self, earlier: Self) -> Self {
        Self {
            stage: if self.stage > earlier.stage {
                self.stage
            } else {
                StopStage::Running
            },
            deadline: self.deadline.filter(|_| self.deadline != earlier.deadline),
        }
    }
}

impl Forwarding {
    /// Returns the stop to forward, unless there is none or another thread forwards it.
    fn begin_call(&mut self) -> Option<StopRequest> {
        if self.is_forwarding || self.requested == self.forwarded {
            return None;
        }
        let stop = self.requested.since(self.forwarded);
        self.forwarded = self.requested;
        self.is_forwarding = true;
        Some(stop)
    }
}

/// Ends a call when dropped. This is a destructor, so that a panic of the component does not block later
/// stops.
struct ForwardingCall<'a>(&'a Mutex<Forwarding>);

impl Drop for ForwardingCall<'_> {
    fn drop(&mut self) {
        self.0.lock().is_forwarding = false;
    }
}
