//! Keeps a worker registered: credentials at the start, and others before those end.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::clock::{Clock, until};
use runtime_core::{
    ApiError, Credentials, CredentialsCell, CredentialsWatch, ShutdownNotice, ShutdownSource,
    Timestamp, error_chain,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{Client, Registration, TaskclusterDeployment, WorkerName};

/// Credentials are renewed so long before they end.
const EARLY: Duration = Duration::from_secs(30 * 60);
/// And never sooner than this after the last time.
const LEAST: Duration = Duration::from_secs(5 * 60);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// Registers a worker with the worker manager, and keeps it registered.
///
/// ```no_run
/// # use runtime_client::{Registrar, TaskclusterDeployment, WorkerName};
/// # async fn register(worker: WorkerName) -> Result<(), Box<dyn std::error::Error>> {
/// let deployment = TaskclusterDeployment::new("https://tc.example.com")?;
/// let proof = serde_json::json!({ "staticSecret": std::fs::read_to_string("/etc/worker/secret")? });
/// let (registered, renewal) = Registrar::new(&deployment, worker, "static", proof)
///     .state_file("/var/lib/worker/registration.json")
///     .register()
///     .await?;
/// // `registered.credentials` is for the worker; `renewal` is a source for its `ShutdownManager`.
/// # let _ = renewal;
/// # Ok(())
/// # }
/// ```
pub struct Registrar {
    shared: Shared,
}

/// What a worker has once it is registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registered {
    /// The credentials of the worker, as they change.
    pub credentials: CredentialsWatch,
    /// The configuration of the pool; only at the first registration.
    pub worker_config: Option<Value>,
}

struct Shared {
    anonymous: Client,
    client: Client,
    worker: WorkerName,
    provider_id: String,
    proof: Value,
    cell: CredentialsCell,
    file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl Registrar {
    /// Will register `worker` with `provider_id` by `proof`, which is what the provider wants, such as
    /// `{"staticSecret": …}`.
    #[must_use]
    pub fn new(
        deployment: &TaskclusterDeployment,
        worker: WorkerName,
        provider_id: impl Into<String>,
        proof: Value,
    ) -> Self {
        let cell = CredentialsCell::new(None);
        let client = deployment.client(cell.watch());
        let clock = Arc::clone(&client.transport.settings.clock);
        let shared = Shared {
            anonymous: deployment.client(CredentialsWatch::fixed(None)),
            client,
            worker,
            provider_id: provider_id.into(),
            proof,
            cell,
            file: None,
            clock,
        };
        Self { shared }
    }

    /// Keeps credentials and the secret of the next registration in a file that only this user may
    /// read, so that a worker that starts again can go on: many providers register a machine once.
    #[must_use]
    pub fn state_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.shared.file = Some(file.into());
        self
    }

    /// Registers, or goes on with what an earlier process kept. The second value renews the
    /// registration for as long as it is listened to.
    ///
    /// # Errors
    ///
    /// A [`RegisterError`].
    ///
    /// # Cancel safety
    ///
    /// Not safe: the machine may be registered without knowing its credentials.
    pub async fn register(self) -> Result<(Registered, Renewal), RegisterError> {
        let mut renewal = Renewal {
            shared: self.shared,
            state: None,
            is_told: false,
        };
        let registration = match renewal.take_up().await {
            Some(registration) => registration,
            None => renewal.shared.register().await?,
        };
        let worker_config = registration.worker_config.clone();
        renewal.adopt(registration)?;
        let registered = Registered {
            credentials: renewal.shared.cell.watch(),
            worker_config,
        };
        Ok((registered, renewal))
    }
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar")
            .field("worker", &self.shared.worker)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn register(&self) -> Result<Registration, ApiError> {
        self.anonymous
            .register_worker(&self.provider_id, &self.worker, &self.proof)
            .await
    }
}

/// Renews a registration before it ends. When that is refused, the worker must go before the end of
/// its credentials, and this tells it as a [`ShutdownSource`].
pub struct Renewal {
    shared: Shared,
    state: Option<State>,
    is_told: bool,
}

/// What the next registration needs.
struct State {
    secret: Option<SecretString>,
    expires: Timestamp,
    last: Timestamp,
}

impl Renewal {
    /// Keeps the secret before it is used, and then lets everybody use the credentials.
    fn adopt(&mut self, registration: Registration) -> Result<(), RegisterError> {
        if let Some(file) = &self.shared.file {
            keep(file, &registration).map_err(|source| RegisterError::Keep {
                file: file.clone(),
                source,
            })?;
        }
        let credentials = registration.credentials;
        self.shared
            .cell
            .set(credentials.with_expiry(registration.expires));
        self.state = Some(State {
            secret: registration.secret,
            expires: registration.expires,
            last: self.shared.clock.now(),
        });
        Ok(())
    }

    /// Goes on where an earlier process ended, if its credentials are still good.
    async fn take_up(&mut self) -> Option<Registration> {
        let (credentials, secret, expires) = read(self.shared.file.as_deref()?)?;
        until(self.shared.clock.now(), expires)?;
        self.shared.cell.set(credentials);
        let renewed = self
            .shared
            .client
            .reregister_worker(&self.shared.worker, &secret);
        renewed
            .await
            .inspect_err(|error| {
                tracing::warn!(
                    error = error_chain(error),
                    "cannot go on with a kept registration"
                );
            })
            .ok()
    }

    /// Waits until it is time, or somebody finds that the credentials do not work.
    async fn is_due(&self, state: &State) {
        let clock = &self.shared.clock;
        let earliest = state.last.checked_add(LEAST).unwrap_or(state.expires);
        let planned = state.expires.checked_sub(EARLY).unwrap_or(earliest);
        tokio::select! {
            () = clock.sleep_until(planned.max(earliest)) => {}
            () = self.shared.cell.refused() => clock.sleep_until(earliest).await,
        }
    }

    /// Renews with the secret, or else with the proof. The error is a refusal of both.
    async fn renew(&mut self) -> Result<(), RegisterError> {
        let secret = self.state.as_mut().and_then(|state| state.secret.take());
        if let Some(secret) = secret {
            let client = &self.shared.client;
            match client.reregister_worker(&self.shared.worker, &secret).await {
                Ok(registration) => return self.adopt(registration),
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "cannot renew the registration");
                    // It may or may not be spent; the service knows.
                    if let Some(state) = self.state.as_mut().filter(|_| error.is_transient()) {
                        state.secret = Some(secret);
                    }
                }
            }
        }
        let registration = self.shared.register().await?;
        self.adopt(registration)
    }
}

#[async_trait]
impl ShutdownSource for Renewal {
    fn name(&self) -> &'static str {
        "registration"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        while !self.is_told {
            self.is_due(self.state.as_ref()?).await;
            let Err(error) = self.renew().await else {
                continue;
            };
            let left = until(self.shared.clock.now(), self.state.as_ref()?.expires);
            if error.is_transient() && left.is_some_and(|left| left > PAUSE) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            self.is_told = true;
            let reason = format!(
                "the registration cannot be renewed: {}",
                error_chain(&error)
            );
            return Some(ShutdownNotice::graceful(reason).within(left.unwrap_or_default()));
        }
        None
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewal")
            .field("worker", &self.shared.worker)
            .finish_non_exhaustive()
    }
}

/// A worker could not be registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The worker manager refused, or could not be asked.
    #[error("cannot register the worker; are pool, provider and proof right?")]
    Refused(#[from] ApiError),

    /// The secret of the next registration could not be kept, so it must not be used.
    #[error("cannot keep the registration in `{}`", file.display())]
    Keep {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl RegisterError {
    /// Reports whether the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_transient(),
            Self::Keep { .. } => true,
        }
    }
}

/// Writes to a file beside and moves it into place, so that there is always a whole one.
fn keep(file: &Path, registration: &Registration) -> io::Result<()> {
    let Some(secret) = &registration.secret else {
        return Ok(());
    };
    let Credentials {
        client_id,
        access_token,
        certificate,
        ..
    } = &registration.credentials;
    let text = json!({
        "clientId": client_id,
        "accessToken": access_token.expose_secret(),
        "certificate": certificate.as_ref().map(ExposeSecret::expose_secret),
        "expires": registration.expires,
        "secret": secret.expose_secret(),
    });
    let beside = file.with_extension("new");
    // A file of an earlier process could be open to others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(&beside)?;
    open.write_all(text.to_string().as_bytes())?;
    open.sync_all()?;
    fs::rename(&beside, file)
}

fn read(file: &Path) -> Option<(Credentials, SecretString, Timestamp)> {
    let kept: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let secret = SecretString::from(kept["secret"].as_str()?);
    let credentials: Credentials = serde_json::from_value(kept).ok()?;
    let expires = credentials.expires?;
    Some((credentials, secret, expires))
}
