//! The clients that may sign requests, and the roles they may assume.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::scopes::Roles;
use crate::slug::token;

/// The client that tests and people use: it may do everything.
pub(crate) const ROOT: &str = "static/taskcluster/root";
/// The client that signs for the queue.
pub(crate) const QUEUE: &str = "static/taskcluster/queue";
/// The client that signs for the worker manager.
pub(crate) const WORKER_MANAGER: &str = "static/taskcluster/worker-manager";

/// Somebody with permanent credentials.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) access_token: SecretString,
    pub(crate) scopes: Vec<String>,
    pub(crate) description: String,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) rotated: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) disabled: bool,
}

impl Client {
    pub(crate) fn token(&self) -> &str {
        self.access_token.expose_secret()
    }
}

/// All clients and roles.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) by_id: BTreeMap<String, Arc<Client>>,
    pub(crate) roles: Roles,
}

impl Clients {
    /// The clients at the start: one for people, and those of the services.
    pub(crate) fn new(root_token: SecretString, now: Timestamp) -> Self {
        let forever = "3026-01-01T00:00:00Z".parse().unwrap_or(Timestamp::MAX);
        let client = |access_token| {
            Arc::new(Client {
                access_token,
                scopes: vec!["*".to_owned()],
                description: "A client of the embedded Taskcluster.".to_owned(),
                created: now,
                modified: now,
                rotated: now,
                expires: forever,
                disabled: false,
            })
        };
        let services = [QUEUE, WORKER_MANAGER].map(|id| (id.to_owned(), client(token().into())));
        let mut by_id = BTreeMap::from(services);
        by_id.insert(ROOT.to_owned(), client(root_token));
        Self {
            by_id,
            roles: Roles::new(),
        }
    }

    /// The client of that name.
    pub(crate) fn get(&self, client_id: &str) -> Option<Arc<Client>> {
        self.by_id.get(client_id).cloned()
    }
}
