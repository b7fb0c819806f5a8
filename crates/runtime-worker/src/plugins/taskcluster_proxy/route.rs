//! The targets of requests to the proxy.

/// The target of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A call of a service, with its URL.
    Call(String),
    /// A URL to sign, which is in the body.
    Bewit,
    /// No target, with the reason.
    Invalid(&'static str),
}

impl Route {
    /// Returns the target of a percent-encoded path with its query.
    ///
    /// Only the deployment is a target, because a request to another host would disclose a signature of the task.
    pub(super) fn of(root_url: &str, path: &str) -> Self {
        if path == "/bewit" {
            return Self::Bewit;
        }
        let call = path.strip_prefix("/api/").or(path.strip_prefix('/'));
        let call = call.unwrap_or_default();
        let (path, _) = call.split_once('?').unwrap_or((call, ""));
        let mut segments = path.splitn(3, '/');
        let (service, version) = (segments.next(), segments.next());
        let is_name = |name: Option<&str>| {
            name.is_some_and(|name| {
                let mut bytes = name.bytes();
                !name.is_empty() && bytes.all(|it| it.is_ascii_alphanumeric() || it == b'-')
            })
        };
        if !is_name(service) || !is_name(version) || segments.next().is_none() {
            return Self::Invalid("expected a path such as `/api/queue/v1/ping`");
        }
        // A client or server may resolve such segments, and the path would then be outside of the API.
        let is_relative = |segment: &str| {
            let decoded = segment.replace("%2e", ".").replace("%2E", ".");
            matches!(&*decoded, "." | "..")
        };
        // Parsers of URLs read a backslash as a slash.
        if path.split(['/', '\\']).any(is_relative) {
            return Self::Invalid("the segments `.` and `..` are not allowed in a path");
        }
        Self::Call(format!("{}/api/{call}", root_url.trim_end_matches('/')))
    }
}

/// Returns the URL to sign, given the body of a request to `/bewit`: a URL of the deployment, or a path of such a URL.
/// The path may contain a URL of another host.
pub(super) fn url_to_sign(root_url: &str, body: &str) -> Option<String> {
    let (root_url, url) = (root_url.trim_end_matches('/'), body.trim());
    let path = match url.strip_prefix(root_url) {
        Some(path) => path,
        None => url,
    };
    let path = path.strip_prefix('/')?;
    Some(format!("{root_url}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "https://tc.example.com";

    fn target(path: &str) -> Option<String> {
        match Route::of(ROOT, path) {
            Route::Call(url) => Some(url),
            Route::Bewit | Route::Invalid(_) => None,
        }
    }

    #[test]
    fn calls_are_forwarded_as_they_are() {
        for (path, expected) in [
            ("/api/queue/v1/ping", "/api/queue/v1/ping"),
            (
                "/queue/v1/task/a%2Fb//c?x=1&y=%20",
                "/api/queue/v1/task/a%2Fb//c?x=1&y=%20",
            ),
            ("/api/worker-manager/v1/", "/api/worker-manager/v1/"),
        ] {
            assert_eq!(target(path), Some(format!("{ROOT}{expected}")), "{path}");
        }
    }

    #[test]
    fn other_targets_are_refused() {
        for path in [
            "/",
            "/api/",
            "/api/queue",
            "/api/queue/v1",
            "/example.com/v1/x",
            "/api/@example.com/v1/x",
            "/api/queue/v1/../../login",
            "/api/queue/v1/%2e%2E/x",
            "/api/queue/v1/x\\..\\..\\..\\login",
            "/api//v1/x",
        ] {
            assert_eq!(target(path), None, "{path}");
        }
        assert_eq!(Route::of(ROOT, "/bewit"), Route::Bewit);
    }

    #[test]
    fn only_urls_of_the_deployment_are_signed() {
        let expected = Some(format!("{ROOT}/api/x?y"));
        for body in ["https://tc.example.com/api/x?y\n", " /api/x?y"] {
            assert_eq!(url_to_sign(ROOT, body), expected);
        }
        let expected = Some(format!("{ROOT}/api/x?u=https://y"));
        assert_eq!(url_to_sign(ROOT, "/api/x?u=https://y"), expected);
        for body in [
            "https://example.com/api/x",
            "https://tc.example.com.evil.org/x",
            "https://tc.example.com@evil.org/x",
            "//evil.org/x",
            "api/x",
            "",
        ] {
            let signed = url_to_sign(ROOT, body);
            let is_inside = signed
                .as_ref()
                .is_none_or(|url| url.starts_with("https://tc.example.com/"));
            assert!(is_inside, "{signed:?}");
        }
        assert_eq!(url_to_sign(ROOT, "https://tc.example.com.evil.org/x"), None);
    }
}
