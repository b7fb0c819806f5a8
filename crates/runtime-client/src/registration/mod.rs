//! Registers a worker with the worker manager and renews the registration.

mod context;
mod error;
mod registrar;
mod renewal;
mod state_file;

pub use error::RegisterError;
pub use registrar::{RegisteredWorker, Registrar};
pub use renewal::RegistrationRenewal;
