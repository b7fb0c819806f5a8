//! The renewal of a registration.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::clock::{Stopwatch, duration_until};
use runtime_core::{
    Credentials, CredentialsWatch, ShutdownNotice, ShutdownSource, Timestamp, error_chain,
};
use secrecy::SecretString;
use serde_json::Value;

use super::context::RegistrationContext;
use super::error::RegisterError;
use super::state_file;
use crate::services::worker_manager::RegisterResponse;

const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(30 * 60);
/// Limits renewals, even if the services keep refusing the credentials.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(5 * 60);
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// The longest time for which the certificate of new credentials may already have been valid: Taskcluster starts it
/// 15 minutes early.
const MAX_EARLY_START: Duration = Duration::from_secs(20 * 60);

/// Renews the registration of a worker before it expires.
///
/// If the renewal is refused, the worker has to stop before its credentials expire. The renewal reports that as a
/// [`ShutdownSource`].
pub struct RegistrationRenewal {
    context: RegistrationContext,
    current: Option<CurrentRegistration>,
    /// The configuration of the worker pool.
    worker_config: Option<Value>,
    has_notified: bool,
}

/// The registration in use.
struct CurrentRegistration {
    /// The secret of the next registration.
    secret: Option<SecretString>,
    /// The time from the registration to the expiry of its credentials.
    lifetime: Duration,
    /// Started at the registration.
    age: Stopwatch,
}

impl CurrentRegistration {
    /// Returns the time until the credentials expire.
    fn remaining(&self) -> Duration {
        self.lifetime.saturating_sub(self.age.elapsed())
    }
}

/// Returns the time from the registration, which is now, to the expiry of its credentials.
///
/// The local clock may be wrong, so the certificate limits the result: its times are by the clock of the service.
fn lifetime(credentials: &Credentials, expires: Timestamp, now: Timestamp) -> Duration {
    let by_local_clock = duration_until(now, expires).unwrap_or_default();
    match credentials.certificate_lifetime() {
        Some(longest) => by_local_clock.clamp(longest.saturating_sub(MAX_EARLY_START), longest),
        None => by_local_clock,
    }
}

impl RegistrationRenewal {
    pub(super) fn new(context: RegistrationContext) -> Self {
        Self {
            context,
            current: None,
            worker_config: None,
            has_notified: false,
        }
    }

    /// Returns a watch of the worker's credentials.
    pub(super) fn credentials(&self) -> CredentialsWatch {
        self.context.credentials.watch()
    }

    /// Resumes or registers, and returns the configuration of the worker pool.
    pub(super) async fn start(&mut self) -> Result<Option<Value>, RegisterError> {
        let registration = match self.resume().await {
            Some(registration) => registration,
            None => self.context.register().await?,
        };
        self.apply(registration)?;
        Ok(self.worker_config.clone())
    }

    /// Renews the registration of the state file. Whether its credentials have expired is left to the service, since
    /// the local clock may be wrong.
    async fn resume(&mut self) -> Option<RegisterResponse> {
        let stored = state_file::read(self.context.state_file.as_deref()?)?;
        self.worker_config = stored.worker_config;
        // Set before: `reregisterWorker` is signed with them.
        self.context.credentials.set(stored.credentials);
        self.context
            .reregister(&stored.secret)
            .await
            .inspect_err(|error| {
                tracing::warn!(
                    error = error_chain(error),
                    "cannot resume the stored registration"
                );
            })
            .ok()
    }

    /// Stores a registration and publishes its credentials, even if it could not be stored.
    fn apply(&mut self, mut registration: RegisterResponse) -> Result<(), RegisterError> {
        if let Some(config) = registration.worker_config.take() {
            self.worker_config = Some(config);
        }
        // Stored before anything uses it: a secret is valid once, so a crash in between must not lose the new one.
        let stored = self.store(&registration);
        // Used even if it is not stored: it has replaced the last one, whose secret is used up.
        let (credentials, expires) = (registration.credentials, registration.expires);
        let clock = &self.context.clock;
        self.current = Some(CurrentRegistration {
            secret: registration.secret,
            lifetime: lifetime(&credentials, expires, clock.now()),
            age: Stopwatch::start(Arc::clone(clock)),
        });
        self.context
            .credentials
            .set(credentials.with_expiry(expires));
        stored
    }

    fn store(&self, registration: &RegisterResponse) -> Result<(), RegisterError> {
        let Some(file) = &self.context.state_file else {
            return Ok(());
        };
        let written = state_file::write(file, registration, self.worker_config.as_ref());
        written.map_err(|source| RegisterError::StateFile {
            file: file.clone(),
            source,
        })
    }

    /// Waits until shortly before the expiry, or until a service refuses the credentials.
    async fn wait_until_due(&self, current: &CurrentRegistration) {
        // Credentials with a short lifetime are renewed at the minimum interval instead of continuously.
        let planned = current.lifetime.saturating_sub(RENEW_BEFORE_EXPIRY);
        tokio::select! {
            () = current.age.wait(planned.max(MIN_RENEWAL_INTERVAL)) => {}
            // At the minimum interval in this case too: a service that refuses valid credentials
            // must not use up the secrets.
            () = self.context.credentials.refused() => current.age.wait(MIN_RENEWAL_INTERVAL).await,
        }
    }

    /// Renews with the secret, or else with the proof. Fails only if both fail.
    async fn renew(&mut self) -> Result<(), RegisterError> {
        // A copy: a dropped future must not lose the secret.
        let secret = self.current.as_ref().and_then(|it| it.secret.clone());
        if let Some(secret) = secret {
            match self.context.reregister(&secret).await {
                Ok(registration) => return self.apply(registration),
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "cannot renew the registration");
                    // After a lost response, the secret may be used up or not. It is kept for the next attempt, which
                    // the service then refuses or accepts.
                    if let Some(current) = self.current.as_mut().filter(|_| !error.is_transient()) {
                        current.secret = None;
                    }
                }
            }
        }
        let registration = self.context.register().await?;
        self.apply(registration)
    }
}

#[async_trait]
impl ShutdownSource for RegistrationRenewal {
    fn name(&self) -> &'static str {
        "registration"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        while !self.has_notified {
            self.wait_until_due(self.current.as_ref()?).await;
            let Err(error) = self.renew().await else {
                continue;
            };
            if let RegisterError::StateFile { .. } = error {
                // Renewed nevertheless. The worker cannot resume after a restart, but the next renewal writes the file
                // again.
                let error = error_chain(&error);
                tracing::warn!(error, "cannot store the renewed registration");
                continue;
            }
            let remaining = self.current.as_ref()?.remaining();
            if error.is_transient() && remaining > RETRY_DELAY {
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
            self.has_notified = true;
            let reason = format!("cannot renew the registration: {}", error_chain(&error));
            // Graceful: until the expiry, running tasks can finish and be reported.
            return Some(ShutdownNotice::graceful(reason).within(remaining));
        }
        None
    }
}

impl std::fmt::Debug for RegistrationRenewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrationRenewal")
            .field("worker", &self.context.worker)
            .finish_non_exhaustive()
    }
}
