//! Scopes and scope expressions.

use serde::Serialize;

use crate::error::{ErrorCode, RequestError};

/// The scopes that a request requires.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Expression {
    Scope(String),
    All {
        #[serde(rename = "AllOf")]
        all_of: Vec<Expression>,
    },
    Any {
        #[serde(rename = "AnyOf")]
        any_of: Vec<Expression>,
    },
}

impl Expression {
    pub(crate) fn scope(scope: impl Into<String>) -> Self {
        Self::Scope(scope.into())
    }

    pub(crate) fn all(all_of: impl IntoIterator<Item = Expression>) -> Self {
        Self::All {
            all_of: all_of.into_iter().collect(),
        }
    }

    pub(crate) fn any(any_of: impl IntoIterator<Item = Expression>) -> Self {
        Self::Any {
            any_of: any_of.into_iter().collect(),
        }
    }

    /// Returns the unsatisfied part of the expression.
    fn missing(&self, allows: &dyn Fn(&str) -> bool) -> Option<Self> {
        match self {
            Self::Scope(scope) => (!allows(scope)).then(|| self.clone()),
            Self::All { all_of } => {
                // A single missing scope is not wrapped: the real message names it alone.
                let mut missing: Vec<_> = all_of.iter().filter_map(|e| e.missing(allows)).collect();
                match missing.len() {
                    0 => None,
                    1 => missing.pop(),
                    _ => Some(Self::all(missing)),
                }
            }
            Self::Any { any_of } => {
                // `None` if one alternative is satisfied.
                let missing: Option<Vec<_>> = any_of.iter().map(|e| e.missing(allows)).collect();
                missing.map(Self::any)
            }
        }
    }

    fn pretty(&self) -> String {
        match self {
            Self::Scope(scope) => scope.clone(),
            _ => serde_json::to_string_pretty(self).unwrap_or_default(),
        }
    }

    /// Fails unless the allowed scopes satisfy the expression.
    ///
    /// `client_id` is `None` for a request without credentials.
    pub(crate) fn require(
        &self,
        client_id: Option<&str>,
        allows: &dyn Fn(&str) -> bool,
    ) -> Result<(), RequestError> {
        let Some(missing) = self.missing(allows) else {
            return Ok(());
        };
        let all = self.pretty();
        let message = match client_id {
            None => format!(
                "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n```\n{all}\n```"
            ),
            Some(client_id) => format!(
                "Client ID {client_id} does not have sufficient scopes and is missing the following scopes:\n\n```\n{}\n```\n\nThis request requires the client to satisfy the following scope expression:\n\n```\n{all}\n```",
                missing.pretty()
            ),
        };
        Err(RequestError::new(ErrorCode::InsufficientScopes, message))
    }
}

/// Returns whether one of the scopes covers `wanted`.
pub(crate) fn satisfies(scopes: &[String], wanted: &str) -> bool {
    scopes.iter().any(|scope| covers(scope, wanted))
}

/// Returns whether a scope equals `wanted`, or ends in `*` and has the rest as a prefix.
pub(crate) fn covers(scope: &str, wanted: &str) -> bool {
    // A `*` is a wildcard at the end only. Elsewhere it is a character like any other.
    match scope.strip_suffix('*') {
        Some(prefix) => wanted.starts_with(prefix),
        None => scope == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lists_only_missing_scopes() {
        let expression = Expression::all([Expression::scope("a"), Expression::scope("b")]);
        let error = expression
            .require(Some("me"), &|scope| scope == "a")
            .unwrap_err();
        assert!(
            error
                .message
                .contains("missing the following scopes:\n\n```\nb\n```"),
            "{error}"
        );
    }
}
