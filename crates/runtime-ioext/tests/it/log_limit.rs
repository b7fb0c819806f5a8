//! The output limit.

use proptest::prelude::*;
use runtime_ioext::FollowedLog;
use runtime_ioext::log::{LogSink, OutputLimit};

fn new_log() -> (tempfile::TempDir, FollowedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    (folder, log)
}

fn text(log: &FollowedLog) -> String {
    log.close().unwrap();
    std::fs::read_to_string(log.path()).unwrap()
}

#[test]
fn output_within_the_limit_passes() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(100, 0).writer(log.writer());
    writer.write_all(b"one\n").unwrap();
    assert_eq!(log.len(), 4);
    drop(writer);
    assert_eq!(text(&log), "one\n");
}

#[test]
fn middle_is_dropped_with_one_notice() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(20, 10).writer(log.writer());
    for i in 0..10 {
        writer.write_all(format!("line{i}\n").as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let notice = "[42 bytes in 7 lines of output were dropped here: the limit is 20 bytes]";
    assert_eq!(text(&log), format!("line0\n{notice}\nline8\nline9\n"));
}

#[test]
fn exact_fit_has_no_notice() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(20, 10).writer(log.writer());
    (0..3).for_each(|i| writer.write_all(format!("line{i}\n").as_bytes()).unwrap());
    drop(writer);
    assert_eq!(text(&log), "line0\nline1\nline2\n");
}

#[test]
fn worker_lines_always_pass() {
    let (_folder, log) = new_log();
    let mut output = OutputLimit::new(0, 0)
        .with_notice(|dropped| format!("({})", dropped.bytes))
        .writer(log.writer());
    output.write_all(b"lost").unwrap();
    log.writer().write_all(b"kept\n").unwrap();
    output.finish().unwrap();
    assert_eq!(text(&log), "kept\n(4)\n");
}

#[test]
fn last_writer_writes_the_tail() {
    let (_folder, log) = new_log();
    let limit = OutputLimit::new(8, 4).with_notice(|_| "...".into());
    let (mut stdout, mut stderr) = (limit.writer(log.writer()), limit.writer(log.writer()));
    stdout.write_all(b"one\n").unwrap();
    stderr.write_all(b"two\n").unwrap();
    stdout.clone().write_all(b"six\n").unwrap();
    stdout.finish().unwrap();
    drop(stdout);
    assert_eq!(log.len(), 4);
    drop(stderr);
    assert_eq!(text(&log), "one\n...\nsix\n");
}

#[test]
fn fresh_limit_starts_at_zero() {
    let (_folder, log) = new_log();
    let limit = OutputLimit::new(4, 0).with_notice(|_| "...".into());
    limit.writer(log.writer()).write_all(b"one\n").unwrap();
    limit
        .fresh()
        .writer(log.writer())
        .write_all(b"two\n")
        .unwrap();
    limit.writer(log.writer()).write_all(b"six\n").unwrap();
    assert_eq!(text(&log), "one\ntwo\n...\n");
}

#[test]
fn limit_applies_after_the_end() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(8, 4)
        .with_notice(|_| "...".into())
        .writer(log.writer());
    for _ in 0..3 {
        writer.write_all(b"one\ntwo\nsix\n").unwrap();
        writer.finish().unwrap();
    }
    drop(writer);
    assert_eq!(text(&log), "one\n...\nsix\n...\n...\n");
}

#[test]
fn end_of_overlong_line_is_kept() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(10, 8)
        .with_notice(|_| "...".into())
        .writer(log.writer());
    // One dot at a time, as progress indicators print them: each push costs the same.
    (0..100_000).for_each(|_| writer.write_all(b".").unwrap());
    writer.write_all(b"failed\n").unwrap();
    drop(writer);
    assert_eq!(text(&log), "..\n...\n.failed\n");
}

#[test]
fn tail_starts_at_a_character() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(5, 5)
        .with_notice(|_| "|".into())
        .writer(log.writer());
    writer.write_all("äöüß".as_bytes()).unwrap();
    drop(writer);
    assert_eq!(text(&log), "|\nüß");
}

#[test]
fn head_ends_at_a_character() {
    let (_folder, log) = new_log();
    let mut writer = OutputLimit::new(4, 0)
        .with_notice(|_| "|".into())
        .writer(log.writer());
    writer.write_all("äöü".as_bytes()).unwrap();
    writer.write_all("äöü".as_bytes()).unwrap();
    drop(writer);
    assert_eq!(text(&log), "äö\n|\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_byte_is_kept_or_counted(
        pieces in prop::collection::vec("[ab\n]{0,30}", 0..20),
        most in 0_u64..200,
        tail in 0_usize..200,
    ) {
        let (_folder, log) = new_log();
        let limit = OutputLimit::new(most, tail).with_notice(|dropped| format!("<{} {}>", dropped.bytes, dropped.lines));
        let mut writer = limit.writer(log.writer());
        pieces.iter().for_each(|piece| writer.write_all(piece.as_bytes()).unwrap());
        drop(writer);
        let (text, all) = (text(&log), pieces.concat());
        match text.split_once('<') {
            None => prop_assert_eq!(text, all),
            Some((head, rest)) => {
                let (counts, tail) = rest.split_once(">\n").unwrap();
                prop_assert!(all.ends_with(tail));
                let bytes: usize = counts.split_once(' ').unwrap().0.parse().unwrap();
                let kept = all.len() - tail.len() - bytes;
                let dropped = &all[kept..all.len() - tail.len()];
                prop_assert_eq!(counts, format!("{} {}", bytes, dropped.matches('\n').count()));
                let line_end = if kept == 0 || all[..kept].ends_with('\n') { "" } else { "\n" };
                prop_assert_eq!(head, format!("{}{line_end}", &all[..kept]));
                prop_assert!((kept + tail.len()) as u64 <= most);
            }
        }
    }
}
