//! Work for a real deployment.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use runtime::client::TaskclusterDeployment;
use runtime::{Credentials, CredentialsWatch, LifeCycleTracker};

use crate::args::Args;
use crate::assemble::{Parts, assemble};
use crate::progress::Progress;
use crate::signals::stop_on_signals;

/// Claims and runs tasks until SIGTERM or SIGINT.
pub(crate) async fn run(args: &Args, root_url: &str) -> Result<()> {
    let progress = Arc::new(Progress::new(args.json));
    let stop = LifeCycleTracker::new();
    let parts = Parts {
        deployment: TaskclusterDeployment::new(root_url)?,
        credentials: CredentialsWatch::fixed(Some(credentials()?)),
        progress: Arc::clone(&progress),
        cancel_poll: Duration::from_secs(60),
        trust_loopback: is_on_this_machine(root_url),
    };
    let _signals = stop_on_signals(stop.clone())?;
    let assembled = assemble(args, parts, &stop).await?;
    progress.say(format_args!(
        "claiming from {} at {root_url}",
        args.task_queue_id
    ));
    assembled.worker.run_until(&stop).await;
    progress.say(format_args!("measured: {}", assembled.measured()));
    assembled.close().await;
    Ok(())
}

/// Whether it is a deployment for tests, whose store of artifacts is on this machine as well.
fn is_on_this_machine(root_url: &str) -> bool {
    let host = root_url.strip_prefix("http://127.0.0.1");
    host.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

/// The credentials in the environment, as Taskcluster's own tools read them.
fn credentials() -> Result<Credentials> {
    let read =
        |name: &str| std::env::var(name).with_context(|| format!("{name} must be set to connect"));
    let credentials = Credentials::new(
        read("TASKCLUSTER_CLIENT_ID")?,
        read("TASKCLUSTER_ACCESS_TOKEN")?,
    );
    Ok(match std::env::var("TASKCLUSTER_CERTIFICATE") {
        Ok(certificate) if !certificate.is_empty() => credentials.with_certificate(certificate),
        _ => credentials,
    })
}
