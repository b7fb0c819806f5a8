//! Logs, and other artifacts that are text: the end of them, on the page.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::Page;
use super::html::{Escaped, size};
use crate::services::queue::downloads::find;
use crate::shared::Shared;
use crate::state::artifact::Artifact;

/// How much of a text is shown: its last bytes.
const SHOWN: usize = 128 << 10;

/// Whether an artifact can be shown as text.
pub(super) fn is_text(artifact: &Artifact) -> bool {
    let kind = &artifact.content_type;
    let is_text = kind.starts_with("text/") || kind.starts_with("application/json");
    is_text && matches!(artifact.kind.storage_type(), "s3" | "object")
}

/// Whether an artifact looks like the log of a task.
pub(super) fn is_log(artifact: &Artifact) -> bool {
    is_text(artifact) && artifact.name.ends_with(".log")
}

/// The page of one text; `rest` is a run and the name of an artifact.
pub(super) async fn page(shared: &Shared, task_id: &str, rest: &str) -> Page {
    let Some((run_id, name)) = rest.split_once('/') else {
        return Page::missing("artifact");
    };
    let name = percent_decode_str(name).decode_utf8_lossy();
    let tail = match run_id.parse() {
        Ok(run_id) => tail(shared, task_id, run_id, &name).await,
        Err(_) => None,
    };
    let Some(tail) = tail else {
        return Page::missing("artifact");
    };
    let content = format!(
        "<h1>{}</h1><p class=links><a href=\"/tasks/{}\">the task</a></p>{}",
        Escaped(&name),
        Escaped(task_id),
        tail.to_html()
    );
    Page {
        status: StatusCode::OK,
        title: name.into_owned(),
        content,
        changes: false,
    }
}

/// The end of a text.
pub(super) struct Tail {
    text: String,
    /// Bytes that stand before it.
    omitted: u64,
}

impl Tail {
    /// The lines, those of the worker set apart from those of the task.
    pub(super) fn to_html(&self) -> String {
        let note = match self.omitted {
            0 => String::new(),
            bytes => format!(
                "<p class=empty>{} before this are not shown.</p>",
                size(bytes)
            ),
        };
        let lines: String = self.text.lines().map(line).collect();
        format!("{note}<div class=log><pre>{lines}</pre></div>")
    }
}

fn line(text: &str) -> String {
    let text_only = without_colours(text);
    let class = match () {
        () if text.starts_with("[taskcluster:error]") => " class=error",
        () if text.starts_with("[taskcluster") => " class=worker",
        () => "",
    };
    format!("<span{class}>{}</span>\n", Escaped(text_only))
}

/// Takes out the sequences with which programs colour terminals.
fn without_colours(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        kept.push_str(before);
        let end = after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    kept + rest
}

/// The end of an artifact's bytes, decoded; `None` if there are none here.
pub(super) async fn tail(shared: &Shared, task_id: &str, run_id: u32, name: &str) -> Option<Tail> {
    let found = find(shared, task_id, Some(run_id), name, |_| Ok(())).ok()?;
    let key = found.key()?;
    let blob = shared.read(|state| state.store.get(&key))?;
    let read = tokio::task::spawn_blocking(move || {
        read_tail(&blob.path, blob.content_encoding.as_deref() == Some("gzip"))
    });
    read.await.ok()?.ok()
}

fn read_tail(path: &Path, is_gzip: bool) -> io::Result<Tail> {
    let file = File::open(path)?;
    match is_gzip {
        true => last_bytes(MultiGzDecoder::new(file)),
        false => last_bytes(file),
    }
}

/// Reads all and keeps the last bytes, from the start of a line on.
fn last_bytes(mut reader: impl Read) -> io::Result<Tail> {
    let (mut kept, mut omitted) = (VecDeque::new(), 0);
    let mut buffer = vec![0; SHOWN];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        kept.extend(&buffer[..read]);
        let surplus = kept.len().saturating_sub(SHOWN);
        kept.drain(..surplus);
        omitted += surplus as u64;
    }
    if omitted > 0 {
        let cut = kept
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        kept.drain(..cut);
        omitted += cut as u64;
    }
    let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
    Ok(Tail { text, omitted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_line() {
        let long = "a line of text\n".repeat(20_000);
        let tail = last_bytes(long.as_bytes()).unwrap();
        assert!(tail.text.starts_with("a line") && tail.text.len() <= SHOWN);
        assert_eq!(tail.omitted as usize + tail.text.len(), long.len());
        assert!(tail.to_html().contains("KiB before this"));
    }

    #[test]
    fn lines_of_the_worker_stand_out_and_colours_are_left_out() {
        let tail = last_bytes(
            &b"[taskcluster:error] no\n[taskcluster 1] hi\n\x1b[1;31mred\x1b[0m <b>\n"[..],
        );
        let html = tail.unwrap().to_html();
        assert!(html.contains("<span class=error>[taskcluster:error] no</span>"));
        assert!(html.contains("<span class=worker>[taskcluster 1] hi</span>"));
        assert!(html.contains("<span>red &lt;b&gt;</span>"), "{html}");
    }
}
