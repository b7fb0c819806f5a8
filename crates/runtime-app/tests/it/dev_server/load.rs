//! Clients that load the server, and what it has acknowledged to them.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime_client::{Client, ClientSettings, TaskclusterDeployment};
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader as _,
    ContentEncoding, S3Artifact, UploadError,
};
use runtime_core::index::Index as _;
use runtime_core::queue::{
    ArtifactContent, ClaimWorkRequest, Queue as _, TaskDefinition, TaskState,
};
use runtime_core::{ApiError, Credentials, CredentialsWatch, Run, TaskId, Timestamp};
use runtime_http::{client_builder, reqwest, tls_config};
use secrecy::ExposeSecret as _;
use serde_json::json;

const ARTIFACT: &str = "public/result.txt";

/// A fact that a call states, and whether the call was acknowledged. A refused call states nothing and is an error.
#[derive(Clone, Debug, PartialEq)]
enum Fact<T> {
    Unknown,
    /// The connection ended before the response.
    Attempted(T),
    Acknowledged(T),
}

impl<T: PartialEq + std::fmt::Debug> Fact<T> {
    fn of(result: &Result<impl Sized, Lost>, value: T) -> Self {
        match result {
            Ok(_) => Self::Acknowledged(value),
            Err(Lost) => Self::Attempted(value),
        }
    }

    /// Fails if the state of the server contradicts the fact.
    fn check(&self, found: Option<&T>, what: &str, task_id: &TaskId) {
        match self {
            Self::Acknowledged(value) => assert_eq!(found, Some(value), "{what} of {task_id}"),
            Self::Attempted(value) => {
                assert!(
                    found.is_none_or(|it| it == value),
                    "{what} of {task_id}: {found:?}"
                );
            }
            Self::Unknown => assert_eq!(found, None, "{what} of {task_id}"),
        }
    }
}

/// The facts about a task.
#[derive(Clone, Debug)]
pub(super) struct TaskFacts {
    created: Fact<()>,
    /// The worker. A claim whose response was lost may have claimed any pending task.
    worker: Option<String>,
    credentials: Option<Credentials>,
    artifact: Fact<String>,
    state: Fact<TaskState>,
    /// Whether the task is in the index.
    indexed: Fact<()>,
}

/// All facts of a client, which is one worker with its own task queue.
#[derive(Debug)]
pub(super) struct LoadClient {
    name: String,
    random: fastrand::Rng,
    pub(super) facts: BTreeMap<TaskId, TaskFacts>,
    /// The tasks that were used since the last check.
    recent: Vec<TaskId>,
}

/// A started server, as clients see it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    deployment: TaskclusterDeployment,
    root: Client,
    http: reqwest::Client,
}

impl Target {
    pub(super) fn new(root_url: &str, credentials: Credentials) -> Self {
        let mut settings = ClientSettings::default();
        // A failed call is not repeated: whether the server has executed it stays open.
        settings.retry.budget = Duration::ZERO;
        settings.upload_attempts = 1;
        let deployment = TaskclusterDeployment::with_settings(root_url, settings).expect("a URL");
        let tls = tls_config(&[]).expect("roots of the system");
        Self {
            root: deployment.client(CredentialsWatch::fixed(Some(credentials))),
            http: client_builder(tls, "test").build().expect("a client"),
            deployment,
        }
    }

    /// Creates tasks until a call fails. Returns the created ones and the error.
    pub(super) async fn create_until_failure(&self) -> (Vec<TaskId>, ApiError) {
        let mut created = Vec::new();
        while created.len() < 10_000 {
            let task_id = TaskId::random();
            match self
                .root
                .create_task(&task_id, &definition("test/full"))
                .await
            {
                Ok(_) => created.push(task_id),
                Err(error) => return (created, error),
            }
        }
        panic!("no call has failed");
    }

    /// Fails unless the server has this task.
    pub(super) async fn expect_task(&self, task_id: &TaskId) {
        let status = self.root.status(task_id).await;
        status.expect("an acknowledged task");
    }

    /// Returns a secret as JSON.
    pub(super) async fn secret(&self, name: &str) -> String {
        let secret = self.root.secret(name).await.expect("an existing secret");
        secret.value.expose_secret().to_owned()
    }

    fn client(&self, credentials: &Credentials) -> Client {
        let credentials = CredentialsWatch::fixed(Some(credentials.clone()));
        self.deployment.client(credentials)
    }

    /// Returns the content of the artifact, if it was declared and uploaded.
    async fn read_artifact(&self, task_id: &TaskId) -> Option<String> {
        let content = self.root.artifact(task_id, Some(0), ARTIFACT).await;
        let ArtifactContent::S3 { url } = found(content)? else {
            panic!("the artifact of {task_id} has another type");
        };
        let response = self.http.get(url.expose_secret()).send().await;
        let response = response.expect("a response");
        if response.status() == 404 {
            return None;
        }
        let response = response.error_for_status().expect("a stored artifact");
        Some(response.text().await.expect("a complete artifact"))
    }
}

impl LoadClient {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            name: format!("client-{seed}"),
            random: fastrand::Rng::with_seed(seed),
            facts: BTreeMap::new(),
            recent: Vec::new(),
        }
    }

    fn queue(&self) -> String {
        format!("test/{}", self.name)
    }

    /// Creates and runs tasks until a call fails.
    pub(super) async fn run(&mut self, target: &Target) {
        while self.step(target).await.is_ok() {}
    }

    async fn step(&mut self, target: &Target) -> Result<(), Lost> {
        self.finish_claimed(target).await?;
        let root = &target.root;
        for _ in 0..self.random.u8(1..4) {
            self.create(root).await?;
        }
        let request = ClaimWorkRequest {
            worker_group: "group".to_owned(),
            worker_id: self.name.clone(),
            tasks: self.random.u32(1..3),
        };
        let claims = root.claim_work(&self.queue(), &request).await;
        for claim in unless_lost(claims)? {
            let facts = self.facts.get_mut(&claim.status.task_id);
            let facts = facts.expect("only this client uses the queue");
            facts.worker = Some(self.name.clone());
            facts.credentials = Some(claim.credentials);
            self.recent.push(claim.status.task_id);
        }
        Ok(())
    }

    async fn create(&mut self, root: &Client) -> Result<(), Lost> {
        let task_id = TaskId::random();
        let created = root.create_task(&task_id, &definition(&self.queue())).await;
        let created = unless_lost(created);
        let facts = TaskFacts {
            created: Fact::of(&created, ()),
            worker: None,
            credentials: None,
            artifact: Fact::Unknown,
            state: Fact::Unknown,
            indexed: Fact::Unknown,
        };
        self.recent.push(task_id.clone());
        self.facts.insert(task_id, facts);
        created?;
        Ok(())
    }

    /// Uploads and reports the claimed tasks, with the credentials of their claims.
    async fn finish_claimed(&mut self, target: &Target) -> Result<(), Lost> {
        let is_claimed = |facts: &TaskFacts| {
            facts.credentials.is_some() && !matches!(facts.state, Fact::Acknowledged(_))
        };
        let claimed = self.facts.iter().filter(|(_, facts)| is_claimed(facts));
        let claimed: Vec<TaskId> = claimed.map(|(id, _)| id.clone()).collect();
        for task_id in claimed {
            self.recent.push(task_id.clone());
            let facts = self.facts.get_mut(&task_id).expect("from the same map");
            finish(facts, &task_id, &mut self.random, target).await?;
        }
        Ok(())
    }

    /// Compares the facts about the recent tasks, or about all, with the state of the server.
    pub(super) async fn check(&mut self, target: &Target, all: bool) {
        let mut recent = std::mem::take(&mut self.recent);
        if all {
            recent = self.facts.keys().cloned().collect();
        }
        recent.sort();
        recent.dedup();
        for task_id in &recent {
            self.facts[task_id].check(task_id, target).await;
        }
    }
}

impl TaskFacts {
    async fn check(&self, task_id: &TaskId, target: &Target) {
        let root = &target.root;
        let Some(status) = found(root.status(task_id).await) else {
            return self.created.check(None, "creation", task_id);
        };
        self.created.check(Some(&()), "creation", task_id);
        if let Some(worker) = &self.worker {
            let run = status.runs.first().expect("a claimed task has a run");
            assert_eq!(run.worker_id.as_ref(), Some(worker), "worker of {task_id}");
        }
        let resolved = status.state.is_resolved().then_some(&status.state);
        self.state.check(resolved, "state", task_id);
        let content = target.read_artifact(task_id).await;
        self.artifact.check(content.as_ref(), "artifact", task_id);
        let entry = root.find_task(&format!("tasks.{task_id}")).await;
        let indexed = found(entry).map(|entry| assert_eq!(entry.task_id, *task_id));
        self.indexed.check(indexed.as_ref(), "index", task_id);
    }
}

/// The error of a call whose response did not arrive.
#[derive(Debug)]
struct Lost;

/// An error of a client.
trait CallError: std::fmt::Debug {
    /// Returns whether no response has arrived.
    fn is_lost(&self) -> bool;
}

impl CallError for ApiError {
    fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl CallError for UploadError {
    fn is_lost(&self) -> bool {
        match self {
            Self::Declare { source, .. } => source.is_lost(),
            Self::Send { is_permanent, .. } => !is_permanent,
            _ => false,
        }
    }
}

/// Fails if the server has refused a call. A kill does not make it refuse one.
fn unless_lost<T>(result: Result<T, impl CallError>) -> Result<T, Lost> {
    result.map_err(|error| {
        assert!(error.is_lost(), "refused: {error:?}");
        Lost
    })
}

/// Returns an entity that a running server has, or `None` if it does not exist.
fn found<T>(result: Result<T, ApiError>) -> Option<T> {
    match result {
        Ok(entity) => Some(entity),
        Err(error) if error.is_not_found() => None,
        Err(error) => panic!("cannot read an entity: {error:?}"),
    }
}

fn definition(queue: &str) -> TaskDefinition {
    let after = |hours: u64| (Timestamp::now() + Duration::from_secs(hours * 3600)).to_string();
    let definition = json!({
        "taskQueueId": queue, "created": after(0), "deadline": after(1), "expires": after(24),
        "payload": { "command": ["true"] },
        "metadata": { "name": "t", "description": "d", "owner": "a@example.com", "source": "https://example.com/" },
    });
    serde_json::from_value(definition).expect("a definition")
}

async fn finish(
    facts: &mut TaskFacts,
    task_id: &TaskId,
    random: &mut fastrand::Rng,
    target: &Target,
) -> Result<(), Lost> {
    let credentials = facts.credentials.clone().expect("a claimed task");
    // After a restart, a claim goes on with its old credentials.
    let task = target.client(&credentials);
    let run = Run {
        task_id: task_id.clone(),
        run_id: 0,
    };
    // A report whose response was lost may have resolved the run, whose reclaim would be refused.
    if facts.state == Fact::Unknown {
        let reclaimed = unless_lost(task.reclaim_task(&run).await)?;
        facts.credentials = Some(reclaimed.credentials);
    }
    if facts.artifact == Fact::Unknown {
        let text = "x".repeat(random.usize(1..20_000));
        let expires = Timestamp::now() + Duration::from_secs(3600);
        let uploaded = unless_lost(task.upload(&run, expires, &artifact(&text)).await);
        facts.artifact = Fact::of(&uploaded, text);
        uploaded?;
    }
    let state = match &facts.state {
        // The same report again, as a worker does.
        Fact::Attempted(state) => state.clone(),
        _ if random.bool() => TaskState::Completed,
        _ => TaskState::Failed,
    };
    let reported = if state == TaskState::Completed {
        task.report_completed(&run).await
    } else {
        task.report_failed(&run).await
    };
    let reported = unless_lost(reported);
    facts.state = Fact::of(&reported, state);
    reported?;
    let expires = Timestamp::now() + Duration::from_secs(3600);
    let namespace = format!("tasks.{task_id}");
    let data = json!({});
    let inserted = target
        .root
        .insert_task(&namespace, task_id, 0.0, &data, expires);
    let inserted = unless_lost(inserted.await);
    facts.indexed = Fact::of(&inserted, ());
    inserted?;
    Ok(())
}

fn artifact(text: &str) -> Artifact {
    Artifact {
        name: ARTIFACT.to_owned(),
        expires: None,
        content: ArtifactBody::S3(S3Artifact {
            content_type: "text/plain".to_owned(),
            encoding: ContentEncoding::Identity,
            headers: ArtifactHeaders::new(),
            source: ArtifactSource::Bytes(text.to_owned().into()),
        }),
    }
}
