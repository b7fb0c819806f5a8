//! Spot instances of AWS, by version 2 of the instance metadata service.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use runtime_core::clock::until;
use runtime_core::{ShutdownNotice, ShutdownSource, Timestamp};

use super::metadata::Metadata;
use super::polled::{Oracle, Polled};
use crate::ClientError;

const TOKEN: &str = "x-aws-ec2-metadata-token";
const TIMEOUT: Duration = Duration::from_secs(5);

/// What AWS promises, for an answer whose time cannot be read.
const PROMISED: Duration = Duration::from_secs(120);

/// Hears that AWS takes a spot instance away, about two minutes before.
#[derive(Debug)]
pub struct AwsSpot {
    polled: Polled<Instance>,
}

#[derive(Debug)]
struct Instance {
    metadata: Metadata,
    /// A session of the service: it lives for six hours, or until the service says otherwise.
    token: Option<HeaderValue>,
}

impl AwsSpot {
    /// Asks the metadata service of this instance every five seconds, as AWS recommends.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if there can be no HTTP client.
    pub fn new() -> Result<Self, ClientError> {
        let instance = Instance {
            metadata: Metadata::new("http://169.254.169.254")?,
            token: None,
        };
        Ok(Self {
            polled: Polled::new(instance, Duration::from_secs(5)),
        })
    }

    /// Asks elsewhere, such as over IPv6.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.polled.oracle.metadata.set_endpoint(endpoint);
        self
    }

    /// Asks more or less often.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.polled.interval = interval;
        self
    }
}

#[async_trait]
impl Oracle for Instance {
    async fn ask(&mut self) -> Option<ShutdownNotice> {
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN, self.token().await?);
        let path = "/latest/meta-data/spot/termination-time";
        let (status, text) = self
            .metadata
            .ask(Method::GET, path, headers, TIMEOUT)
            .await?;
        match status {
            StatusCode::OK => Some(notice(&text)),
            StatusCode::UNAUTHORIZED => {
                self.token = None;
                None
            }
            // 404 until there is a time.
            _ => None,
        }
    }
}

impl Instance {
    async fn token(&mut self) -> Option<HeaderValue> {
        if self.token.is_none() {
            let mut headers = HeaderMap::new();
            headers.insert(
                "x-aws-ec2-metadata-token-ttl-seconds",
                HeaderValue::from_static("21600"),
            );
            let asked = self
                .metadata
                .ask(Method::PUT, "/latest/api/token", headers, TIMEOUT);
            let (_, text) = asked.await.filter(|(status, _)| status.is_success())?;
            let mut token = HeaderValue::from_str(text.trim()).ok()?;
            token.set_sensitive(true);
            self.token = Some(token);
        }
        self.token.clone()
    }
}

fn notice(text: &str) -> ShutdownNotice {
    let at = text.trim().parse::<Timestamp>().ok();
    let left = at.map(|at| until(Timestamp::now(), at).unwrap_or_default());
    ShutdownNotice::now("AWS takes the spot instance away").within(left.unwrap_or(PROMISED))
}

#[async_trait]
impl ShutdownSource for AwsSpot {
    fn name(&self) -> &'static str {
        "aws-spot"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.polled.next().await
    }
}
