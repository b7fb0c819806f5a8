//! The public methods that servers and their builders have in common, as macros.
//!
//! Macros instead of a trait: the methods are inherent, so users need no import to call them.

/// Implements the API of a server with the fields `server` and `address`.
macro_rules! listening_server {
    ($name:ident, $into_web_hook:expr) => {
        impl $name {
            /// Returns the address that the server listens on.
            #[must_use]
            pub fn local_addr(&self) -> std::net::SocketAddr {
                self.address
            }

            /// Attaches a handler and sets what happens to requests in progress when the hook is dropped.
            ///
            /// # Errors
            ///
            /// [`AttachError::Stopped`](runtime_core::webhook::AttachError::Stopped) after [`stop`](Self::stop).
            pub fn attach_with(
                &self,
                handler: std::sync::Arc<dyn runtime_core::webhook::Handler>,
                on_detach: crate::registry::OnDetach,
            ) -> Result<runtime_core::webhook::WebHook, runtime_core::webhook::AttachError> {
                let hook = self.server.attach(handler, on_detach)?;
                Ok($into_web_hook(hook))
            }
        }

        crate::shared_api::stoppable_server!($name, |server, handler| {
            server.attach_with(handler, crate::registry::OnDetach::default())
        });
    };
}
pub(crate) use listening_server;

/// Implements the API of a tunnel with the fields `server` and `state`.
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
macro_rules! tunnel {
    ($name:ident) => {
        impl $name {
            /// Attaches a handler and sets what happens to requests in progress when the hook is dropped.
            ///
            /// The call waits until the tunnel has been open once. If the tunnel breaks later, hooks are
            /// attached at its previous URL.
            ///
            /// # Errors
            ///
            /// [`AttachError::Unreachable`](runtime_core::webhook::AttachError::Unreachable) with the error of the latest
            /// attempt if the tunnel could not be opened within the attach timeout,
            /// [`AttachError::Stopped`](runtime_core::webhook::AttachError::Stopped) after [`stop`](Self::stop).
            ///
            /// # Cancel safety
            ///
            /// Safe: nothing stays attached.
            pub async fn attach_with(
                &self,
                handler: std::sync::Arc<dyn runtime_core::webhook::Handler>,
                on_detach: crate::registry::OnDetach,
            ) -> Result<runtime_core::webhook::WebHook, runtime_core::webhook::AttachError> {
                self.state.attach(handler, on_detach).await
            }
        }

        crate::shared_api::stoppable_server!($name, |server, handler| {
            let on_detach = crate::registry::OnDetach::default();
            server.attach_with(handler, on_detach).await
        });
    };
}
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
pub(crate) use tunnel;

/// Implements `stop` and the port for a server with the field `server`.
macro_rules! stoppable_server {
    ($name:ident, |$server:ident, $handler:ident| $attach:block) => {
        impl $name {
            /// Stops accepting requests, waits up to `grace` for requests in progress, and aborts the
            /// remaining connections. Returns the number of aborted connections.
            ///
            /// # Cancel safety
            ///
            /// The server stays closed if the future is dropped; another call continues the wait.
            pub async fn stop(&self, grace: std::time::Duration) -> usize {
                self.server.stop(grace).await
            }
        }

        #[async_trait::async_trait]
        impl runtime_core::webhook::WebHookServer for $name {
            async fn attach(
                &self,
                $handler: std::sync::Arc<dyn runtime_core::webhook::Handler>,
            ) -> Result<runtime_core::webhook::WebHook, runtime_core::webhook::AttachError> {
                let $server = self;
                $attach
            }
        }
    };
}
pub(crate) use stoppable_server;

/// Defines the methods of a builder with [`ServerOptions`](crate::options::ServerOptions) in this field.
macro_rules! server_option_methods {
    ($($field:ident).+) => {
        /// Sets the limits of connections and requests.
        pub fn limits(mut self, limits: crate::http_limits::HttpLimits) -> Self {
            self.$($field).+.limits = limits;
            self
        }

        /// Sets the monitor that receives metrics and log lines, with the prefix `webhook`.
        pub fn monitor(mut self, monitor: runtime_core::Monitor) -> Self {
            self.$($field).+.monitor = monitor;
            self
        }
    };
}
pub(crate) use server_option_methods;

/// Defines the methods of a builder with [`TunnelOptions`](crate::options::TunnelOptions) in its field `options`.
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
macro_rules! tunnel_option_methods {
    () => {
        crate::shared_api::server_option_methods!(options.server);

        /// Sets the TLS configuration for connections to the tunnel server. By default the certificate
        /// authorities of the operating system are trusted.
        pub fn tls(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
            self.options.tls = Some(config);
            self
        }

        /// Sets how long attaching a hook waits for the first connection. 30 seconds by default.
        pub fn attach_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.attach_timeout = timeout;
            self
        }

        /// Sets the maximum delay before a reconnect to an unreachable server. 2 seconds by default: an
        /// attempt only costs the server a refused connection or a handshake.
        pub fn max_reconnect_delay(mut self, delay: std::time::Duration) -> Self {
            self.options.max_reconnect_delay = delay;
            self
        }
    };
}
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
pub(crate) use tunnel_option_methods;
