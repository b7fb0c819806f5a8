//! Clients with permanent credentials, and roles.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::roles::Roles;
use super::secret_text::SecretText;
use super::table::Table;
use crate::slugid::token;

/// The client with all scopes, for tests and people.
pub(crate) const ROOT_CLIENT_ID: &str = "static/taskcluster/root";
/// The client that issues the credentials of tasks.
pub(crate) const QUEUE_CLIENT_ID: &str = "static/taskcluster/queue";
/// The client that issues the credentials of workers.
pub(crate) const WORKER_MANAGER_CLIENT_ID: &str = "static/taskcluster/worker-manager";

/// A client with permanent credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AuthClient {
    pub(crate) access_token: SecretText,
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
        access_token: SecretText,
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
        self.access_token.expose()
    }
}

/// All clients and roles.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) by_id: Table<String, Arc<AuthClient>>,
    pub(crate) roles: Roles,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            by_id: Table::new("client"),
            roles: Roles::new(),
        }
    }

    /// Adds the initial clients and roles: the root client, those of the services, and everyone's role.
    pub(super) fn add_initial(&mut self, now: Timestamp) {
        // A thousand years: static clients never expire.
        let expires = "3026-01-01T00:00:00Z".parse().unwrap_or(Timestamp::MAX);
        let description = "A client of the embedded Taskcluster.";
        for id in [ROOT_CLIENT_ID, QUEUE_CLIENT_ID, WORKER_MANAGER_CLIENT_ID] {
            let scopes = vec!["*".to_owned()];
            let client = AuthClient::new(token().into(), scopes, description, now, expires);
            self.by_id.insert(id.to_owned(), Arc::new(client));
        }
        self.roles.add_anonymous();
    }

    pub(crate) fn get(&self, client_id: &str) -> Option<Arc<AuthClient>> {
        self.by_id.get(client_id).cloned()
    }
}
