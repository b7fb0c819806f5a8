//! AWS spot instances, with version 2 of the instance metadata service (IMDSv2).

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use runtime_core::clock::duration_until;
use runtime_core::{ShutdownNotice, Timestamp};

use super::metadata_source::{CloudShutdown, MetadataShutdownSource};
use crate::metadata_service::MetadataService;

const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// Six hours, the maximum.
const TOKEN_TTL_SECONDS: HeaderValue = HeaderValue::from_static("21600");
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The notice period that AWS promises: the longest one, and the one for a response whose time is invalid.
const NOTICE_PERIOD: Duration = Duration::from_secs(120);

/// Reports that AWS will reclaim the spot instance, about two minutes before.
pub type AwsSpot = MetadataShutdownSource<Aws>;

/// The metadata service of AWS.
#[derive(Debug, Default)]
pub struct Aws {
    /// The session token, valid for six hours or until the service refuses it.
    token: Option<HeaderValue>,
}

#[async_trait]
impl CloudShutdown for Aws {
    const NAME: &'static str = "aws-spot";
    const ENDPOINT: &'static str = "http://169.254.169.254";
    const INTERVAL: Duration = Duration::from_secs(5);

    async fn poll(&mut self, service: &MetadataService) -> Option<ShutdownNotice> {
        let headers = HeaderMap::from_iter([(TOKEN, self.token(service).await?)]);
        let path = "/latest/meta-data/spot/termination-time";
        let (status, text) = service
            .request(Method::GET, path, headers, REQUEST_TIMEOUT)
            .await?;
        match status {
            StatusCode::OK => Some(notice(&text)),
            StatusCode::UNAUTHORIZED => {
                self.token = None;
                None
            }
            // 404 means that no termination is planned.
            _ => None,
        }
    }
}

impl Aws {
    async fn token(&mut self, service: &MetadataService) -> Option<HeaderValue> {
        if self.token.is_none() {
            // A session needs a `PUT`, which protects the service from forged `GET` requests of other programs.
            let headers = HeaderMap::from_iter([(TOKEN_TTL, TOKEN_TTL_SECONDS)]);
            let (_, text) = service
                .request(Method::PUT, "/latest/api/token", headers, REQUEST_TIMEOUT)
                .await
                .filter(|(status, _)| status.is_success())?;
            let mut token = HeaderValue::from_str(text.trim()).ok()?;
            token.set_sensitive(true);
            self.token = Some(token);
        }
        self.token.clone()
    }
}

fn notice(text: &str) -> ShutdownNotice {
    let time = text.trim().parse::<Timestamp>().ok();
    let remaining = time.and_then(|time| duration_until(Timestamp::now(), time));
    // The local clock may be wrong, while the promised period is not. A time that has passed is wrong as well, as the
    // machine still runs.
    let budget = remaining.map_or(NOTICE_PERIOD, |remaining| remaining.min(NOTICE_PERIOD));
    ShutdownNotice::now("AWS reclaims the spot instance").within(budget)
}
