//! The kinds of faults, and the rules that select calls.

use serde::{Deserialize, Serialize};

/// A failure to inject into calls.
///
/// The JSON form, for the control endpoint, has a `kind` and the fields of that kind, such as
/// `{"kind": "status", "status": 503}`. Fields without a default are required.
///
/// | `kind` | fields | method runs | client receives |
/// | --- | --- | --- | --- |
/// | `status` | `status`; `retryAfter`, in seconds, default: no header | no | an error of the service |
/// | `html` | `status` | no | a page like that of a load balancer |
/// | `reset` | `after`, in bytes of the request, default 0 | no | a connection reset |
/// | `stall` | `after`, in bytes of the request, default 0 | no | no response, and the connection stays open |
/// | `lost-response` | | yes | a connection reset |
/// | `latency` | `millis` | yes | the response, later |
/// | `truncate` | `after`, in bytes of the response | yes | the start of the response, then the connection closes |
/// | `stall-body` | `after`, in bytes of the response | yes | the start of the response, then no more data |
/// | `slow` | `bytesPerSecond` | yes | the response, slowly |
/// | `expired-url` | | yes | URLs that have expired |
/// | `expired-credentials` | | yes | credentials that have expired |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Fault {
    /// Responds with an error of the service and does not run the method.
    Status {
        /// The HTTP status.
        status: u16,
        /// The value of `Retry-After`, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// Responds with an HTML page, like a load balancer, and does not run the method.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// Resets the connection and does not run the method.
    Reset {
        /// The number of request body bytes to read first.
        #[serde(default)]
        after: u64,
    },
    /// Never responds and does not run the method.
    Stall {
        /// The number of request body bytes to read first.
        #[serde(default)]
        after: u64,
    },
    /// Runs the method and resets the connection instead of responding.
    LostResponse,
    /// Delays the method. Other faults may apply to the same call.
    Latency {
        /// The delay in milliseconds.
        millis: u64,
    },
    /// Runs the method and closes the connection within the response body.
    Truncate {
        /// The number of response body bytes to send first.
        after: u64,
    },
    /// Runs the method and stops sending within the response body.
    StallBody {
        /// The number of response body bytes to send first.
        after: u64,
    },
    /// Runs the method and sends the response body slowly.
    Slow {
        /// The rate of the response body.
        bytes_per_second: u64,
    },
    /// Returns URLs that have already expired, from `queue.createArtifact`, `object.createUpload`
    /// and `object.startDownload`.
    ExpiredUrl,
    /// Returns credentials that have already expired, from `queue.claimWork`, `queue.claimTask`,
    /// `queue.reclaimTask` and `queue.createArtifact` of objects.
    ExpiredCredentials,
}

/// A fault and the calls that it applies to.
///
/// The JSON form, for the control endpoint:
///
/// | field | value | default |
/// | --- | --- | --- |
/// | `method` | a method, see below | required |
/// | `fault` | a [`Fault`] | required |
/// | `times` | the number of calls that fail | all |
/// | `skip` | the number of calls that succeed before the first failure | 0 |
/// | `path` | a text that the decoded path of the request must contain, such as an artifact name | any path |
///
/// Methods have the names of the official references, for example `queue.claimWork` or `purge-cache.purgeRequests`;
/// those of the artifact storage are `s3.put` and `s3.get`. A trailing `*` matches any suffix. A rule whose method does
/// not exist is an error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    method: String,
    pub(super) fault: Fault,
    /// The number of calls that fail, by default all.
    #[serde(default)]
    pub(super) times: Option<u32>,
    /// The number of calls that succeed before the first failure.
    #[serde(default)]
    pub(super) skip: u32,
    /// A text that the path of the request must contain.
    #[serde(default)]
    path: Option<String>,
}

impl FaultRule {
    /// Creates a rule for every call of a method.
    pub fn new(method: impl Into<String>, fault: Fault) -> Self {
        Self {
            method: method.into(),
            fault,
            times: None,
            skip: 0,
            path: None,
        }
    }

    /// Sets the number of calls that fail.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Sets the number of calls that succeed before the first failure.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Restricts the rule to requests whose decoded path contains a text, such as an artifact name.
    #[must_use]
    pub fn on_path(mut self, part: impl Into<String>) -> Self {
        self.path = Some(part.into());
        self
    }

    /// Fails if the rule applies to none of the methods `names`.
    pub(crate) fn check_method(
        &self,
        names: impl Iterator<Item = String>,
    ) -> Result<(), UnknownMethodError> {
        let names: Vec<_> = names.collect();
        if names.iter().any(|name| self.matches_method(name)) {
            return Ok(());
        }
        let wanted = self.method.to_lowercase();
        let distance = |name: &String| strsim::damerau_levenshtein(&name.to_lowercase(), &wanted);
        Err(UnknownMethodError {
            method: self.method.clone(),
            nearest: names.into_iter().min_by_key(distance).unwrap_or_default(),
        })
    }

    fn matches_method(&self, method: &str) -> bool {
        match self.method.strip_suffix('*') {
            Some(prefix) => method.starts_with(prefix),
            None => method == self.method,
        }
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        self.matches_method(method) && self.path.as_ref().is_none_or(|part| path.contains(part))
    }
}

/// The error of a fault rule whose method does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown method `{method}`, did you mean `{nearest}`?")]
#[non_exhaustive]
pub struct UnknownMethodError {
    /// The method of the rule.
    pub method: String,
    /// The existing method with the most similar name.
    pub nearest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_json_form() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"method":"s3.put","times":1,"fault":{"kind":"reset","after":10}}"#,
        )
        .unwrap();
        assert_eq!(rule.fault, Fault::Reset { after: 10 });
        assert!(
            serde_json::from_str::<FaultRule>(r#"{"method":"*","fault":{"kind":"odd"}}"#).is_err()
        );
    }
}
