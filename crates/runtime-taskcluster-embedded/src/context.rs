//! The context of the server: state, clock, secrets and settings, shared by all connections.

use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use runtime_core::clock::{Clock, MockClock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::credentials::{Issuer, TemporaryCredentials};
use crate::data_folder::DataFolder;
use crate::error::{ErrorCode, RequestError};
use crate::faults::FaultRules;
use crate::hawk::ClientsAndRoles;
use crate::journal::OpenJournalError;
use crate::slugid::slugid;
use crate::state::State;
use crate::state::blobs::{Blob, MAX_IN_MEMORY};
use crate::state::clients::{
    AuthClient, QUEUE_CLIENT_ID, ROOT_CLIENT_ID, WORKER_MANAGER_CLIENT_ID,
};
use crate::state::secret_text::SecretText;

/// The settings of the builder.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    pub(crate) claim_timeout: Duration,
    pub(crate) long_poll: Duration,
    pub(crate) resolver_delay: Duration,
    pub(crate) strict_uploads: bool,
}

/// State, clock, secrets and settings.
#[derive(Debug)]
pub(crate) struct ServerContext {
    state: Mutex<State>,
    pub(crate) clock: MockClock,
    pub(crate) settings: ServerSettings,
    pub(crate) root_url: String,
    /// Signs URLs of the S3-like store.
    pub(crate) url_key: SecretText,
    /// Signs the tokens of websocktunnels.
    pub(crate) tunnel_key: SecretText,
    pub(crate) faults: FaultRules,
    pub(crate) started: Instant,
    /// Cancelled when the server stops.
    pub(crate) stopping: CancellationToken,
    /// Notified after each change of a task, and after a failure to store a change.
    tasks_changed: Notify,
    /// Notified when a new timer is due before all others.
    earlier_timer: Notify,
    folder: DataFolder,
    /// Set when a change could not be stored.
    save_error: OnceLock<String>,
}

impl ServerContext {
    /// Creates a context with the state of a folder, or with a new state that is lost when the server stops.
    pub(crate) fn new(
        settings: ServerSettings,
        root_url: String,
        folder: DataFolder,
    ) -> Result<Self, OpenJournalError> {
        let clock = MockClock::new();
        let mut state = folder.open_state(settings.resolver_delay, clock.now())?;
        let (url_key, tunnel_key) = (state.key("url"), state.key("tunnel"));
        state.save()?;
        Ok(Self {
            state: Mutex::new(state),
            clock,
            settings,
            root_url,
            url_key,
            tunnel_key,
            faults: FaultRules::default(),
            started: Instant::now(),
            stopping: CancellationToken::new(),
            tasks_changed: Notify::new(),
            earlier_timer: Notify::new(),
            folder,
            save_error: OnceLock::new(),
        })
    }

    /// Returns whether the state survives the server.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.folder, DataFolder::Permanent { .. })
    }

    /// Returns the time of the services.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads the state under the lock.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock())
    }

    /// Changes the state under the lock, stores the change, and notifies the waiters afterwards.
    ///
    /// A failure to store it is in [`check_storage`](Self::check_storage).
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, before, after, notify) = {
            let mut state = self.state.lock();
            let before = state.next_timer();
            let result = change(&mut state);
            let mut notify = state.tasks.are_changed();
            // Under the lock: the journal has the changes in their order. A panic becomes an error, so that this call
            // and all others are refused: its change is in memory only.
            let saved = catch_unwind(AssertUnwindSafe(|| state.save()));
            let saved = saved.unwrap_or_else(|_| Err(io::Error::other("the write panicked")));
            if let Err(error) = saved {
                let _ = self.save_error.set(error.to_string());
                notify = true;
            }
            (result, before, state.next_timer(), notify)
        };
        // Only an earlier timer matters: `run_timers` sleeps until `before` and looks again.
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.earlier_timer.notify_one();
        }
        if notify {
            self.tasks_changed.notify_waiters();
        }
        result
    }

    /// Waits until `find` returns a value. It is called once, and again after each change of a task. Changes of artifacts
    /// and workers, which are several times as many, wake nothing.
    pub(crate) async fn wait_for<T>(&self, mut find: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            // Enabled before the state is read: a change in between is not lost.
            let changed = self.tasks_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.read(&mut find) {
                return found;
            }
            changed.await;
        }
    }

    /// Runs timers when they are due, until the server stops.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        loop {
            self.run_due_timers();
            let next = self.read(State::next_timer);
            let due = async {
                match next {
                    Some(next) => Clock::sleep_until(&self.clock, next).await,
                    // Not until the end of time, which a test may have reached.
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                // `notify_one` stores a permit, so a timer that is added right now is not lost.
                () = self.earlier_timer.notified() => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Moves the clock forward and runs the timers that become due.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        // Timers run here too, and not only in their tokio task, so that the caller sees the effects at once.
        self.run_due_timers();
    }

    fn run_due_timers(&self) {
        let now = self.now();
        if self.read(State::next_timer).is_some_and(|next| next <= now) {
            self.update(|state| state.run_due_timers(now));
        }
    }

    /// Fails if a change could not be stored. No call may be acknowledged after that.
    pub(crate) fn check_storage(&self) -> Result<(), RequestError> {
        match self.save_error.get() {
            None => Ok(()),
            Some(error) => Err(RequestError::new(
                ErrorCode::InternalServerError,
                format!(
                    "The state could not be written to the data folder: {error}. Free disk space and restart the server."
                ),
            )),
        }
    }

    /// Stores a blob, and removes the file of the replaced blob.
    pub(crate) fn put_blob(&self, key: String, blob: Blob) -> Result<(), RequestError> {
        let replaced = self.update(|state| state.blobs.put(key, blob));
        let stored = self.check_storage();
        if let (Err(_), Some(replaced)) = (&stored, &replaced) {
            // The journal still names its file.
            replaced.keep();
        }
        stored
    }

    /// Sets the content of a small blob, from this thread: to pass it to another one takes longer, three times for a
    /// [`File`](tokio::fs::File) of tokio.
    pub(crate) fn fill(&self, blob: &mut Blob, content: &[u8]) -> io::Result<()> {
        // What a server forgets at its end needs no file, whose creation takes longer than the rest of an upload.
        if !self.is_stored() && content.len() as u64 <= MAX_IN_MEMORY {
            blob.set_in_memory(content);
            return Ok(());
        }
        std::fs::write(&blob.path, content)
    }

    /// Returns an unused path in the data folder.
    pub(crate) fn new_file(&self) -> PathBuf {
        // A name is never reused: ETags are derived from it.
        self.folder.blobs().join(slugid())
    }

    /// Issues temporary credentials in the name of a service.
    pub(crate) fn issue(
        &self,
        service: IssuingService,
        client_id: String,
        scopes: Vec<String>,
        (start, expiry): (Timestamp, Timestamp),
    ) -> TemporaryCredentials {
        let issuer_id = match service {
            IssuingService::Queue => QUEUE_CLIENT_ID,
            IssuingService::WorkerManager => WORKER_MANAGER_CLIENT_ID,
        };
        let issuer = self.client(issuer_id);
        let issuer = Issuer {
            client_id: issuer_id,
            access_token: issuer.as_ref().map_or("", |client| client.token()),
        };
        issuer.issue(client_id, scopes, start, expiry)
    }

    /// Returns the access token of the root client.
    pub(crate) fn root_token(&self) -> String {
        let root = self.client(ROOT_CLIENT_ID);
        root.map_or_else(String::new, |client| client.token().to_owned())
    }
}

/// The services that issue credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IssuingService {
    Queue,
    WorkerManager,
}

impl ClientsAndRoles for ServerContext {
    fn client(&self, client_id: &str) -> Option<Arc<AuthClient>> {
        self.read(|state| state.clients.get(client_id))
    }

    fn assume(&self, scopes: Vec<String>) -> Vec<String> {
        self.read(|state| state.clients.roles.assume(scopes))
    }

    fn anonymous(&self) -> Arc<[String]> {
        self.read(|state| state.clients.roles.anonymous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_during_a_write_refuses_later_calls() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let settings = ServerSettings {
            claim_timeout: Duration::from_secs(60),
            long_poll: Duration::ZERO,
            resolver_delay: Duration::ZERO,
            strict_uploads: true,
        };
        let data = DataFolder::permanent(folder.path())?;
        let context = ServerContext::new(settings, String::new(), data)?;
        context.update(|state| drop(state.key("first")));
        assert!(context.check_storage().is_ok());
        context.update(State::add_panicking_change);
        let error = context.check_storage().map_err(|error| error.message);
        assert!(error.is_err_and(|message| message.contains("the write panicked")));
        Ok(())
    }
}
