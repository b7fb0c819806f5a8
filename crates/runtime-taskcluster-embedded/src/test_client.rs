//! The client with which programs test their signatures.

use std::sync::Arc;

use jiff::Timestamp;

use crate::hawk::ClientsAndRoles;
use crate::state::clients::AuthClient;

/// The id of the client.
const CLIENT_ID: &str = "tester";
/// The public access token of the client.
const ACCESS_TOKEN: &str = "no-secret";

/// A clients whose only client is the one for tests, with the roles of the real clients.
pub(crate) struct TestClient<'a> {
    client: Arc<AuthClient>,
    roles: &'a dyn ClientsAndRoles,
}

impl<'a> TestClient<'a> {
    pub(crate) fn new(roles: &'a dyn ClientsAndRoles, scopes: Vec<String>) -> Self {
        let token = ACCESS_TOKEN.to_owned().into();
        let created = Timestamp::UNIX_EPOCH;
        let client = AuthClient::new(token, scopes, "", created, Timestamp::MAX);
        Self {
            client: Arc::new(client),
            roles,
        }
    }
}

impl ClientsAndRoles for TestClient<'_> {
    fn client(&self, client_id: &str) -> Option<Arc<AuthClient>> {
        (client_id == CLIENT_ID).then(|| Arc::clone(&self.client))
    }

    fn assume(&self, scopes: Vec<String>) -> Vec<String> {
        self.roles.assume(scopes)
    }

    fn anonymous(&self) -> Arc<[String]> {
        self.roles.anonymous()
    }
}
