//! URLs of hooks without the host name.

/// Scheme and port of a server's URLs.
#[derive(Clone, Copy, Debug)]
pub(super) struct UrlScheme {
    pub(super) is_encrypted: bool,
    pub(super) port: u16,
}

impl UrlScheme {
    /// Returns the URL of a host, with a trailing slash.
    pub(super) fn base_url(self, host: &str) -> String {
        let (scheme, default_port) = if self.is_encrypted {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let is_ipv6 = host.contains(':') && !host.starts_with('[');
        let host = if is_ipv6 {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        if self.port == default_port {
            format!("{scheme}://{host}/")
        } else {
            format!("{scheme}://{host}:{}/", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_port_is_omitted() {
        let base_url = |is_encrypted, port, host| UrlScheme { is_encrypted, port }.base_url(host);
        assert_eq!(base_url(true, 443, "example.com"), "https://example.com/");
        assert_eq!(base_url(true, 80, "example.com"), "https://example.com:80/");
        assert_eq!(base_url(false, 80, "::1"), "http://[::1]/");
    }
}
