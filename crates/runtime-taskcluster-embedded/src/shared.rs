//! What the parts of the embedded Taskcluster share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::credentials::{Issuer, TemporaryCredentials};
use super::faults::Faults;
use super::hawk::Directory;
use super::services::auth::clients::{Client, Clients, QUEUE, WORKER_MANAGER};
use super::slug::token;
use super::state::State;
use runtime_core::clock::MockClock;

/// What the builder settles.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) claim_timeout: Duration,
    pub(crate) long_poll: Duration,
    pub(crate) resolver_delay: Duration,
    pub(crate) strict_uploads: bool,
}

/// Where the bytes of artifacts are.
#[derive(Debug)]
pub(crate) enum Folder {
    /// Removed when the last user is gone.
    Temporary(TempDir),
    /// Left alone.
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

/// State, clock, secrets and settings.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) clock: MockClock,
    pub(crate) settings: Settings,
    pub(crate) root_url: String,
    pub(crate) root_token: SecretString,
    /// Signs URLs of the S3-like store.
    pub(crate) url_key: SecretString,
    /// Signs the tokens of websocktunnels.
    pub(crate) tunnel_key: SecretString,
    pub(crate) faults: Faults,
    pub(crate) started: Instant,
    /// Tells that the end has come.
    pub(crate) stopping: CancellationToken,
    /// Wakes those who wait for a task to change.
    changed: Notify,
    /// Wakes the ticker when an earlier timer came.
    earlier_timer: Notify,
    folder: Folder,
    files: AtomicU64,
}

impl Shared {
    pub(crate) fn new(settings: Settings, root_url: String, folder: Folder) -> Self {
        let clock = MockClock::new();
        let root_token = SecretString::from(token());
        let clients = Clients::new(root_token.clone(), clock.now());
        Self {
            state: Mutex::new(State::new(clients, settings.resolver_delay)),
            clock,
            settings,
            root_url,
            root_token,
            url_key: token().into(),
            tunnel_key: token().into(),
            faults: Faults::default(),
            started: Instant::now(),
            stopping: CancellationToken::new(),
            changed: Notify::new(),
            earlier_timer: Notify::new(),
            folder,
            files: AtomicU64::new(0),
        }
    }

    /// The time of the services.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock())
    }

    /// Changes the state, and wakes those who wait for a change.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, earlier) = {
            let mut state = self.state.lock();
            let before = state.next_timer();
            let result = change(&mut state);
            let after = state.next_timer();
            (
                result,
                after.is_some() && (before.is_none() || after < before),
            )
        };
        if earlier {
            self.earlier_timer.notify_one();
        }
        self.changed.notify_waiters();
        result
    }

    /// Waits until `look` finds something, looking again after each change.
    pub(crate) async fn wait_for<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.read(&mut look) {
                return found;
            }
            changed.await;
        }
    }

    /// Does what is due, and goes on doing so whenever something becomes due, until the end.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        use runtime_core::clock::Clock;
        loop {
            self.tick();
            let next = self.read(State::next_timer).unwrap_or(Timestamp::MAX);
            tokio::select! {
                () = Clock::sleep_until(&self.clock, next) => {}
                () = self.earlier_timer.notified() => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Moves the clock and does what becomes due.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.tick();
    }

    /// Does what is due now.
    pub(crate) fn tick(&self) {
        let now = self.now();
        if self.read(State::next_timer).is_some_and(|next| next <= now) {
            self.update(|state| state.tick(now));
        }
    }

    /// A path for a new file in the data folder.
    pub(crate) fn new_file(&self) -> PathBuf {
        let n = self.files.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("artifact-{n:06}"))
    }

    /// Makes temporary credentials that a service signs.
    pub(crate) fn issue(
        &self,
        service: Service,
        client_id: String,
        scopes: Vec<String>,
        lifetime: (Timestamp, Timestamp),
    ) -> TemporaryCredentials {
        let issuer = match service {
            Service::Queue => QUEUE,
            Service::WorkerManager => WORKER_MANAGER,
        };
        let access_token = self
            .client(issuer)
            .map(|client| client.access_token.clone());
        let access_token = access_token.unwrap_or_default();
        let issuer = Issuer {
            client_id: issuer,
            access_token: access_token.expose_secret(),
        };
        issuer.issue(client_id, scopes, lifetime.0, lifetime.1)
    }
}

/// The services that hand out credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Queue,
    WorkerManager,
}

impl Directory for Shared {
    fn client(&self, client_id: &str) -> Option<Arc<Client>> {
        self.read(|state| state.clients.get(client_id))
    }

    fn assume(&self, scopes: Vec<String>) -> Vec<String> {
        self.read(|state| state.clients.roles.assume(scopes))
    }

    fn anonymous(&self) -> Arc<[String]> {
        self.read(|state| state.clients.roles.anonymous())
    }
}
