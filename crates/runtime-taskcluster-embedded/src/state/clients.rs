//! Clients with permanent credentials, and roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::roles::Roles;
use crate::slugid::token;

/// The client with all scopes, for tests and people.
pub(crate) const ROOT_CLIENT_ID: &str = "static/taskcluster/root";
/// The client that issues the credentials of tasks.
pub(crate) const QUEUE_CLIENT_ID: &str = "static/taskcluster/queue";
/// The client that issues the credentials of workers.
pub(crate) const WORKER_MANAGER_CLIENT_ID: &str = "static/taskcluster/worker-manager";

/// A client with permanent credentials.
#[derive(Clone, Debug)]
pub(crate) struct AuthClient {
    pub(crate) access_token: SecretString,
    pub(crate) scopes: Vec<String>,
    pub(crate) description: String,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) rotated: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) disabled: bool,
}

impl AuthClient {
    pub(crate) fn new(
        access_token: SecretString,
        scopes: Vec<String>,
        description: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Self {
        Self {
            access_token,
            scopes,
            description: description.to_owned(),
            created: now,
            modified: now,
            rotated: now,
            expires,
            disabled: false,
        }
    }

    pub(crate) fn token(&self) -> &str {
        self.access_token.expose_secret()
    }
}

/// All clients and roles.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) by_id: BTreeMap<String, Arc<AuthClient>>,
    pub(crate) roles: Roles,
}

impl Clients {
    /// Creates the initial clients: the root client and those of the services.
    pub(crate) fn new(root_token: SecretString, now: Timestamp) -> Self {
        // A thousand years: static clients never expire.
        let expires = "3026-01-01T00:00:00Z".parse().unwrap_or(Timestamp::MAX);
        let description = "A client of the embedded Taskcluster.";
        let clients = [
            (ROOT_CLIENT_ID, root_token),
            (QUEUE_CLIENT_ID, token().into()),
            (WORKER_MANAGER_CLIENT_ID, token().into()),
        ];
        let by_id = clients.map(|(id, access_token)| {
            let scopes = vec!["*".to_owned()];
            let client = AuthClient::new(access_token, scopes, description, now, expires);
            (id.to_owned(), Arc::new(client))
        });
        Self {
            by_id: BTreeMap::from(by_id),
            roles: Roles::new(),
        }
    }

    pub(crate) fn get(&self, client_id: &str) -> Option<Arc<AuthClient>> {
        self.by_id.get(client_id).cloned()
    }
}
