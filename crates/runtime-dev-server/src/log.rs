//! Prints the log of a task: live while the task runs, and then the artifact.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::write::MultiGzDecoder;
use runtime_client::Client;
use runtime_core::TaskId;
use runtime_core::object::Objects as _;
use runtime_core::queue::{ArtifactContent, Queue as _};
use runtime_http::reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use runtime_http::{client_builder, reqwest, tls_config};
use secrecy::ExposeSecret as _;

/// The artifact with the log: a link to the live log while the task runs, and then to the complete log.
const LIVE_LOG: &str = "public/logs/live.log";
/// The time limit for connecting to a server with a log. A live log may have no output for longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The artifact with the complete log.
const COMPLETE_LOG: &str = "public/logs/live_backing.log";

/// Prints the log of a run. The log may be read several times, but each byte is printed once.
pub(crate) struct LogReader {
    client: Client,
    http: reqwest::Client,
    task_id: TaskId,
    output: UnprintedWriter,
}

impl LogReader {
    pub(crate) fn new(client: Client, task_id: &TaskId) -> Result<Self> {
        let http = client_builder(tls_config(&[])?, "taskcluster-dev");
        let http = http.connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(Self {
            client,
            http,
            task_id: task_id.clone(),
            output: UnprintedWriter::default(),
        })
    }

    /// Starts with the log of another run.
    pub(crate) fn restart(&mut self) {
        self.output = UnprintedWriter::default();
    }

    /// Prints the rest of the live log, until it ends.
    pub(crate) async fn print_live(&mut self, run_id: u32) -> Result<()> {
        self.print(run_id, LIVE_LOG).await
    }

    /// Prints the rest of the complete log.
    pub(crate) async fn print_final(&mut self, run_id: u32) -> Result<()> {
        match self.print(run_id, COMPLETE_LOG).await {
            Err(error) if !self.is_output_closed() => {
                // Another worker may have its log under the other name only.
                self.print_live(run_id).await.map_err(|_| error)
            }
            printed => printed,
        }
    }

    /// Returns whether the output is closed, such as a pipe whose reader has ended.
    pub(crate) fn is_output_closed(&self) -> bool {
        self.output.is_closed
    }

    async fn print(&mut self, run_id: u32, name: &str) -> Result<()> {
        let url = self.url(run_id, name).await?;
        let request = self.http.get(&url).header(ACCEPT_ENCODING, "gzip");
        let mut response = request.send().await?;
        // Redirects are not followed, and their text is not a log.
        ensure!(
            response.status().is_success(),
            "the store responded with status {}",
            response.status()
        );
        let is_gzip = response.headers().get(CONTENT_ENCODING);
        let is_gzip = is_gzip.is_some_and(|encoding| encoding == "gzip");
        self.output.position = 0;
        if is_gzip {
            let mut decoder = MultiGzDecoder::new(&mut self.output);
            copy(&mut response, &mut decoder).await?;
            decoder.try_finish()?;
        } else {
            copy(&mut response, &mut self.output).await?;
        }
        Ok(())
    }

    async fn url(&self, run_id: u32, name: &str) -> Result<String> {
        let content = self.client.artifact(&self.task_id, Some(run_id), name);
        let url = match content.await? {
            ArtifactContent::S3 { url } | ArtifactContent::Reference { url } => url,
            ArtifactContent::Object { name, credentials } => {
                let download = self.client.start_download(&name, Some(&credentials));
                download.await?.url
            }
            ArtifactContent::Error { message, .. } => bail!("`{name}` has no content: {message}"),
            _ => bail!("`{name}` has an unknown storage type"),
        };
        Ok(url.expose_secret().to_owned())
    }
}

async fn copy(response: &mut reqwest::Response, output: &mut impl Write) -> Result<()> {
    while let Some(chunk) = response.chunk().await.context("the log broke off")? {
        output.write_all(&chunk)?;
        output.flush()?;
    }
    Ok(())
}

/// Writes bytes to standard output, unless an earlier read has written them.
#[derive(Default)]
struct UnprintedWriter {
    /// The number of bytes that were printed.
    printed: u64,
    /// The number of bytes of the current read.
    position: u64,
    /// Whether a write has failed, for example because the reader of a pipe has ended.
    is_closed: bool,
}

impl Write for UnprintedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let known = self.printed.saturating_sub(self.position);
        let known = usize::try_from(known)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let written = io::stdout().write_all(&bytes[known..]);
        self.is_closed |= written.is_err();
        written?;
        self.position += bytes.len() as u64;
        self.printed = self.printed.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
