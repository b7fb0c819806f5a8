//! Limited concurrency, and rendered documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use runtime_core::util::{dedent, join_with_limit};
use runtime_core::{Section, render_document};

#[tokio::test(start_paused = true)]
async fn limit_and_order_hold() {
    let running = Arc::new(AtomicUsize::new(0));
    let work = (0..7).map(|number| {
        let running = Arc::clone(&running);
        async move {
            let beside = running.fetch_add(1, Ordering::SeqCst);
            // The first takes longest.
            tokio::time::sleep(Duration::from_secs(10 - number)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            (number, beside)
        }
    });
    let done = join_with_limit(3, work).await;
    assert!(done.iter().map(|(number, _)| *number).eq(0..7), "{done:?}");
    let most = done.iter().map(|(_, beside)| beside + 1).max();
    assert_eq!(most, Some(3));
}

#[test]
#[should_panic(expected = "a limit of 0")]
fn limit_of_zero_panics() {
    // Polled once: without the panic, it waits forever.
    let _ = join_with_limit(0, [async {}]).now_or_never();
}

#[test]
fn headings_are_demoted_outside_code() {
    let section = Section::new(
        "Setup",
        "
        # Shell

        ```sh
        # a comment
        ```
        ## Then
        ",
    );
    let expected = "# Worker\n\n## Setup\n\n### Shell\n\n```sh\n# a comment\n```\n#### Then\n";
    assert_eq!(render_document("Worker", &[section]), expected);
}

#[track_caller]
fn expect_content(content: &str, expected: &str) {
    let section = Section {
        title: "Title".to_owned(),
        content: content.to_owned(),
    };
    let expected = format!("# Worker\n\n## Title\n\n{expected}\n");
    assert_eq!(render_document("Worker", &[section]), expected);
}

#[test]
fn sections_are_sorted_by_title() {
    let sections = ["Mounts", "Artifacts", "Env"].map(|title| Section::new(title, "text"));
    let text = render_document("Worker", &sections);
    let titles: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    assert_eq!(titles, ["## Artifacts", "## Env", "## Mounts"]);
}

#[test]
fn deep_headings_keep_their_level() {
    expect_content("### A\n#### B", "### A\n#### B");
}

#[test]
fn headings_are_demoted_together() {
    expect_content("## A\n### B", "### A\n#### B");
    expect_content("# A\n##### B\n   ## C\n#", "### A\n###### B\n#### C\n###");
}

#[test]
fn hashtags_and_indented_code_are_no_headings() {
    let text = "#hashtag\n####### seven\n    # code";
    expect_content(text, text);
}

#[test]
fn fenced_code_is_unchanged() {
    for code in [
        "~~~\n# comment\n```\n# comment\n~~~",
        "````\n# comment\n```\n# comment\n`````",
        "``` sh\n# comment\n``` sh\n# comment",
    ] {
        expect_content(code, code);
    }
    expect_content("```a``` b\n# A", "```a``` b\n### A");
    expect_content("```\n```\n# A", "```\n```\n### A");
}

#[test]
fn dedent_keeps_hard_line_breaks() {
    assert_eq!(dedent("\n  a  \n   \n    b\n"), "a  \n\n  b");
}

#[test]
fn dedent_accepts_wide_blanks() {
    assert_eq!(dedent(" a\n\u{3000}b"), "a\nb");
}
