//! Logs and other text artifacts: the last part of their content.

use std::collections::VecDeque;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use http::StatusCode;
use http::header::CONTENT_ENCODING;
use maud::{Markup, html};
use percent_encoding::percent_decode_str;
use runtime_core::util::ByteSize;

use super::components::HtmlPage;
use crate::context::ServerContext;
use crate::request::header_text;
use crate::services::queue::found_artifact::FoundArtifact;
use crate::state::artifact::DeclaredArtifact;

/// The number of bytes of a text to show.
const MAX_SHOWN_BYTES: usize = 128 << 10;

/// Returns whether the content of an artifact can be shown as text.
pub(super) fn is_text(artifact: &DeclaredArtifact) -> bool {
    let content_type = &artifact.content_type;
    let is_text = content_type.starts_with("text/") || content_type.starts_with("application/json");
    is_text && matches!(artifact.kind.storage_type(), "s3" | "object")
}

/// Returns whether an artifact looks like a log.
pub(super) fn is_log(artifact: &DeclaredArtifact) -> bool {
    is_text(artifact) && artifact.name.ends_with(".log")
}

/// Returns the page of a text artifact. `path` is a run id and a name.
pub(super) async fn page(context: &ServerContext, task_id: &str, path: &str) -> HtmlPage {
    let Some((run_id, name)) = path.split_once('/') else {
        return HtmlPage::not_found("artifact");
    };
    let name = percent_decode_str(name).decode_utf8_lossy();
    let tail = match run_id.parse() {
        Ok(run_id) => read_tail(context, task_id, run_id, &name).await,
        Err(_) => None,
    };
    let Some(tail) = tail else {
        return HtmlPage::not_found("artifact");
    };
    HtmlPage {
        status: StatusCode::OK,
        content: html! {
            h1 { (name) }
            p.links { a href={ "/tasks/" (task_id) } { "the task" } }
            (tail.render())
        },
        title: name.into_owned(),
        may_change: false,
    }
}

/// The last part of a text.
pub(super) struct TextTail {
    text: String,
    /// The number of bytes before it.
    omitted: u64,
}

impl TextTail {
    /// Renders the lines. Those of the worker have another style than those of the task.
    pub(super) fn render(&self) -> Markup {
        html! {
            @if self.omitted > 0 {
                p.empty { (ByteSize(self.omitted).to_string()) " before this are not shown." }
            }
            div.log { pre { @for line in self.text.lines() { (render_line(line)) } } }
        }
    }
}

fn render_line(line: &str) -> Markup {
    let class = if line.starts_with("[taskcluster:error]") {
        Some("error")
    } else if line.starts_with("[taskcluster") {
        Some("worker")
    } else {
        None
    };
    html! { span class=[class] { (strip_escape_sequences(line)) } "\n" }
}

/// Removes the escape sequences that set colours in a terminal.
fn strip_escape_sequences(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        stripped.push_str(before);
        let end = after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    stripped + rest
}

/// Reads the last part of an artifact, or returns `None` if it has no stored content.
pub(super) async fn read_tail(
    context: &ServerContext,
    task_id: &str,
    run_id: u32,
    name: &str,
) -> Option<TextTail> {
    let found = FoundArtifact::find(context, task_id, Some(run_id), name, |_| Ok(())).ok()?;
    let key = found.key()?;
    let blob = context.read(|state| state.blobs.get(&key))?;
    let read = tokio::task::spawn_blocking(move || {
        let is_gzip = header_text(&blob.headers(), CONTENT_ENCODING) == Some("gzip");
        let content = blob.open()?;
        if is_gzip {
            last_lines(MultiGzDecoder::new(content))
        } else {
            last_lines(content)
        }
    });
    read.await.ok()?.ok()
}

/// Reads to the end and keeps the last bytes, starting at a line.
///
/// A seek would be faster, but gzip has no random access, and a log is read from the page cache.
fn last_lines(mut reader: impl Read) -> io::Result<TextTail> {
    let (mut kept, mut omitted) = (VecDeque::new(), 0);
    let mut buffer = vec![0; MAX_SHOWN_BYTES];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        kept.extend(&buffer[..read]);
        let excess = kept.len().saturating_sub(MAX_SHOWN_BYTES);
        kept.drain(..excess);
        omitted += excess as u64;
    }
    if omitted > 0 {
        let line_end = kept.iter().position(|byte| *byte == b'\n');
        let partial_line = line_end.map_or(0, |end| end + 1);
        kept.drain(..partial_line);
        omitted += partial_line as u64;
    }
    let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
    Ok(TextTail { text, omitted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_at_a_line() {
        let long = "a line of text\n".repeat(20_000);
        let tail = last_lines(long.as_bytes()).unwrap();
        assert!(tail.text.starts_with("a line") && tail.text.len() <= MAX_SHOWN_BYTES);
        assert_eq!(tail.omitted as usize + tail.text.len(), long.len());
        assert!(tail.render().into_string().contains("KiB before this"));
    }

    #[test]
    fn lines_are_styled_by_origin() {
        let tail = last_lines(
            &b"[taskcluster:error] no\n[taskcluster 1] hi\n\x1b[1;31mred\x1b[0m <b>\n"[..],
        );
        let html = tail.unwrap().render().into_string();
        assert!(html.contains("<span class=\"error\">[taskcluster:error] no</span>"));
        assert!(html.contains("<span class=\"worker\">[taskcluster 1] hi</span>"));
        assert!(html.contains("<span>red &lt;b&gt;</span>"), "{html}");
    }
}
