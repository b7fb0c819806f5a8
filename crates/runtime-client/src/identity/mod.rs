//! The identity of a machine in its cloud, and its proof for the worker manager.
//!
//! | cloud | pool and provider | group and id | proof |
//! | --- | --- | --- | --- |
//! | [`Aws`](CloudProvider::Aws) | user data | user data, instance id | the signed identity document |
//! | [`Google`](CloudProvider::Google) | attribute `taskcluster` | attribute, instance id | a token for the root URL |
//! | [`Azure`](CloudProvider::Azure) | tags | tag, name of the machine | the attested document |
//!
//! These are the sources that the worker manager fills when it creates a machine. A static worker needs none: its proof is
//! `{"staticSecret": …}`.
//!
//! ```no_run
//! # async fn register() -> Result<(), Box<dyn std::error::Error>> {
//! use runtime_client::identity::CloudProvider;
//! use runtime_client::{Registrar, TaskclusterDeployment};
//!
//! let machine = CloudProvider::Aws.identify().await?;
//! let deployment = TaskclusterDeployment::new(&machine.root_url)?;
//! let (registered, renewal) = Registrar::of_machine(&deployment, &machine)
//!     .state_file("/var/lib/worker/registration.json")
//!     .register()
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod aws;
mod azure;
mod cloud;
mod error;
mod google;
mod machine;
mod metadata;

pub use cloud::CloudProvider;
pub use error::IdentityError;
pub use machine::MachineIdentity;
