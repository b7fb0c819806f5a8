//! Following, resuming and completing a live log.

use std::sync::Arc;

use crate::support::{body, get, open, read_until, status};
use runtime_core::webhook::{WebHook, WebHookServer as _};
use runtime_ioext::{FollowedLog, LogWriter};
use runtime_webhook::{LiveLog, LocalhostServer};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

struct Served {
    log: FollowedLog,
    writer: LogWriter,
    hook: WebHook,
    _server: LocalhostServer,
    _folder: TempDir,
}

/// Serves a log that contains a text.
async fn serve(text: &str) -> Served {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = FollowedLog::create(folder.path().join("task.log")).expect("a log");
    let writer = log.writer();
    writer.write_all(text.as_bytes()).expect("a write");
    let server = LocalhostServer::start().await.expect("a free port");
    let path = log.clone();
    let handler = LiveLog::new(move |offset| path.reader_at(offset));
    let hook = server.attach(Arc::new(handler)).await.expect("attached");
    Served {
        log,
        writer,
        hook,
        _server: server,
        _folder: folder,
    }
}

/// Decodes a chunked body. Returns `None` without a clean end.
fn dechunk(mut body: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        text.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
        if size == 0 {
            return Some(text);
        }
    }
}

#[tokio::test]
async fn viewer_follows_until_close() {
    let served = serve("one\n").await;
    let mut viewer = open(&served.hook, "GET", "", "Connection: close\r\n").await;
    let head = read_until(&mut viewer, "one\n").await;
    for field in [
        "content-type: text/plain; charset=utf-8",
        "access-control-allow-origin: *",
        "transfer-encoding: chunked",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(field), "{head}");
    }
    served.writer.write_all(b"two\n").expect("a write");
    read_until(&mut viewer, "two\n").await;
    served.log.close().expect("closed");
    let mut end = String::new();
    viewer.read_to_string(&mut end).await.expect("a clean end");
    assert!(end.ends_with("0\r\n\r\n"), "{end:?}");
}

#[tokio::test]
async fn closed_log_is_complete() {
    let served = serve("all of it\n").await;
    served.log.close().expect("closed");
    let answer = get(&served.hook.url(), "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(dechunk(body(&answer)).as_deref(), Some("all of it\n"));
}

#[tokio::test]
async fn broken_log_aborts_the_connection() {
    let Served {
        log,
        writer,
        hook,
        _server,
        _folder,
    } = serve("one\n").await;
    let mut viewer = open(&hook, "GET", "", "").await;
    read_until(&mut viewer, "one\n").await;
    // Without a writer, the log can never be closed.
    drop((writer, log));
    drop(hook);
    let mut rest = String::new();
    let _ = viewer.read_to_string(&mut rest).await;
    assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
}

#[tokio::test]
async fn open_range_resumes_and_follows() {
    let served = serve("0123456789").await;
    let mut viewer = open(
        &served.hook,
        "GET",
        "",
        "Range: bytes=4-\r\nConnection: close\r\n",
    )
    .await;
    let head = read_until(&mut viewer, "456789").await;
    assert_eq!(status(&head), 206);
    assert!(
        head.contains("content-range: bytes 4-9007199254740991/*\r\n"),
        "{head}"
    );
    served.writer.write_all(b"more").expect("a write");
    served.log.close().expect("closed");
    let end = read_until(&mut viewer, "0\r\n\r\n").await;
    assert!(end.contains("more"), "{end}");
}

#[tokio::test]
async fn written_range_has_a_length() {
    let served = serve("0123456789").await;
    let answer = get(&served.hook.url(), "Range: bytes=2-4\r\n").await;
    assert_eq!(status(&answer), 206);
    assert!(
        answer.contains("content-range: bytes 2-4/*\r\ncontent-length: 3"),
        "{answer}"
    );
    assert_eq!(body(&answer), "234");
}

#[tokio::test]
async fn closed_range_waits_for_its_end() {
    let served = serve("0123").await;
    let mut viewer = open(&served.hook, "GET", "", "Range: bytes=2-5\r\n").await;
    read_until(&mut viewer, "23").await;
    served.writer.write_all(b"4567").expect("a write");
    let end = read_until(&mut viewer, "0\r\n\r\n").await;
    assert!(end.contains("45") && !end.contains('6'), "{end}");
}

#[tokio::test]
async fn suffix_starts_before_the_end() {
    let served = serve("0123456789").await;
    served.log.close().expect("closed");
    let answer = get(&served.hook.url(), "Range: bytes=-3\r\n").await;
    assert_eq!(dechunk(body(&answer)).as_deref(), Some("789"));
}

#[tokio::test]
async fn range_at_the_end_waits_for_data() {
    let served = serve("0123").await;
    let mut viewer = open(&served.hook, "GET", "", "Range: bytes=4-\r\n").await;
    let head = read_until(&mut viewer, "\r\n\r\n").await;
    assert_eq!(status(&head), 206);
    served.writer.write_all(b"next").expect("a write");
    read_until(&mut viewer, "next").await;
}

#[tokio::test]
async fn range_past_the_end_is_rejected() {
    let served = serve("0123").await;
    let answer = get(&served.hook.url(), "Range: bytes=5-\r\n").await;
    assert_eq!(status(&answer), 416);
    assert!(answer.contains("content-range: bytes */4\r\n"), "{answer}");
}

#[tokio::test]
async fn log_is_read_only() {
    let served = serve("text").await;
    let mut stream = open(&served.hook, "DELETE", "", "Connection: close\r\n").await;
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&answer), 405);
    let mut stream = open(&served.hook, "OPTIONS", "", "Connection: close\r\n").await;
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&answer), 204);
    assert!(
        answer.contains("access-control-allow-headers: range"),
        "{answer}"
    );
    assert_eq!(
        status(&get(&format!("{}other", served.hook.url()), "").await),
        404
    );
}

#[tokio::test]
async fn head_has_no_body() {
    let served = serve("text").await;
    let mut stream = open(&served.hook, "HEAD", "", "Connection: close\r\n").await;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("a clean end");
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), "");
}

#[tokio::test]
async fn browser_gets_the_page() {
    let served = serve("text\n").await;
    served.log.close().expect("closed");
    let url = served.hook.url();
    let browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let page = get(&url, browser).await;
    assert!(page.contains("content-type: text/html"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    assert!(
        get(&format!("{url}log.txt"), browser)
            .await
            .contains("text\n")
    );
    assert!(get(&url, "Accept: */*\r\n").await.contains("text\n"));
}

#[tokio::test]
async fn all_links_of_the_page_exist() {
    let served = serve("").await;
    served.log.close().expect("closed");
    let url = served.hook.url();
    let page = get(&format!("{url}view.html"), "").await;
    let links = page.split(['"', '\'']).filter(|part| {
        [".js", ".css", ".txt"]
            .iter()
            .any(|end| part.ends_with(end))
    });
    let links: Vec<_> = links.collect();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        assert_eq!(
            status(&get(&format!("{url}{link}"), "").await),
            200,
            "{link}"
        );
    }
    assert_eq!(status(&get(&format!("{url}ansi.js"), "").await), 200);
}

/// Reads until the unpacked data equals the expected text.
async fn gunzip_so_far(viewer: &mut tokio::net::TcpStream, expected: &str) {
    let mut bytes = Vec::new();
    loop {
        let count = viewer.read_buf(&mut bytes).await.expect("no error");
        assert!(count > 0, "the connection ended");
        if unpack(&bytes) == expected {
            return;
        }
    }
}

/// Unpacks an incomplete response in chunks.
fn unpack(answer: &[u8]) -> String {
    use std::io::Read as _;
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return String::new();
    };
    let mut rest = &answer[head + 4..];
    let mut packed = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else {
            break;
        };
        packed.extend_from_slice(chunk);
        rest = rest.get(line + 4 + size..).unwrap_or_default();
    }
    let mut text = Vec::new();
    // An incomplete stream yields all its data before the error.
    let _ = flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text);
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn gzip_does_not_delay_lines() {
    let served = serve("one\n").await;
    let mut viewer = open(&served.hook, "GET", "", "Accept-Encoding: gzip\r\n").await;
    gunzip_so_far(&mut viewer, "one\n").await;
    let mut viewer = open(
        &served.hook,
        "GET",
        "",
        "Accept-Encoding: gzip\r\nConnection: close\r\n",
    )
    .await;
    served.writer.write_all(b"two\n").expect("a write");
    let mut answer = Vec::new();
    served.log.close().expect("closed");
    viewer.read_to_end(&mut answer).await.expect("a clean end");
    assert!(answer.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(unpack(&answer), "one\ntwo\n");
    let head = String::from_utf8_lossy(&answer);
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
}

#[tokio::test]
async fn range_is_never_compressed() {
    let served = serve("0123").await;
    let answer = get(
        &served.hook.url(),
        "Accept-Encoding: gzip\r\nRange: bytes=1-2\r\n",
    )
    .await;
    assert_eq!(body(&answer), "12");
    assert!(!answer.contains("content-encoding"), "{answer}");
}

#[tokio::test]
async fn many_viewers_get_every_byte() {
    let served = serve("").await;
    let viewers: Vec<_> = (0..50)
        .map(|_| {
            let url = served.hook.url();
            tokio::spawn(async move { get(&url, "").await })
        })
        .collect();
    let mut expected = String::new();
    for number in 0..5_000 {
        let line = format!("line {number}\n");
        served.writer.write_all(line.as_bytes()).expect("a write");
        expected.push_str(&line);
        if number % 500 == 0 {
            tokio::task::yield_now().await;
        }
    }
    served.log.close().expect("closed");
    for viewer in viewers {
        let answer = viewer.await.expect("no panic");
        assert!(
            dechunk(body(&answer)).as_deref() == Some(&*expected),
            "bytes are missing"
        );
    }
}
