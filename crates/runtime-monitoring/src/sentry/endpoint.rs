//! The address and the key in a DSN.

use runtime_core::Secret;
use runtime_http::reqwest::Url;
use runtime_http::reqwest::header::HeaderValue;

use crate::push::USER_AGENT;

/// The parts of a request that a DSN determines.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// The value of `X-Sentry-Auth`. The key is sent in a header rather than in the URL, which proxies log.
    pub(super) auth: HeaderValue,
}

impl Endpoint {
    /// Parses a DSN, `https://KEY@HOST/PATH/PROJECT`. Older ones contain a second key after the first, as a password.
    pub(super) fn parse(dsn: &Secret) -> Option<Self> {
        let mut url: Url = dsn.expose().parse().ok()?;
        let path = url.path().trim_matches('/');
        let (path, project) = path.rsplit_once('/').unwrap_or(("", path));
        let key = url.username();
        if !matches!(url.scheme(), "http" | "https") || key.is_empty() || project.is_empty() {
            return None;
        }
        let mut auth =
            format!("Sentry sentry_key={key}, sentry_version=7, sentry_client={USER_AGENT}");
        if let Some(secret) = url.password() {
            auth.push_str(", sentry_secret=");
            auth.push_str(secret);
        }
        let mut auth = HeaderValue::try_from(auth).ok()?;
        auth.set_sensitive(true);
        let path = match path {
            "" => format!("/api/{project}/envelope/"),
            path => format!("/{path}/api/{project}/envelope/"),
        };
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { url, auth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dsn: &str) -> Option<(String, String)> {
        let Endpoint { url, auth } = Endpoint::parse(&Secret::new(dsn))?;
        let auth = auth.to_str().expect("a text");
        let auth = auth.replace(&format!(", sentry_client={USER_AGENT}"), "");
        Some((url.into(), auth))
    }

    #[test]
    fn key_and_project_are_parsed() {
        let cases = [
            (
                "https://key@o1.ingest.sentry.io/42",
                "https://o1.ingest.sentry.io/api/42/envelope/",
                "Sentry sentry_key=key, sentry_version=7",
            ),
            (
                "http://key:secret@[::1]:9000/a/b/42/?x=y#z",
                "http://[::1]:9000/a/b/api/42/envelope/",
                "Sentry sentry_key=key, sentry_version=7, sentry_secret=secret",
            ),
        ];
        for (dsn, url, auth) in cases {
            assert_eq!(parse(dsn), Some((url.to_owned(), auth.to_owned())), "{dsn}");
        }
    }

    #[test]
    fn incomplete_dsn_is_rejected() {
        for dsn in [
            "",
            "key@host/42",
            "https://host/42",
            "https://key@host",
            "https://key@host/",
            "ftp://key@host/42",
        ] {
            assert_eq!(parse(dsn), None, "{dsn}");
        }
    }
}
