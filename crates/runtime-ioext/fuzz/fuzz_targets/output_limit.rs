//! Every byte of the output is kept or counted, within the limit.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use runtime_ioext::FollowedLog;
use runtime_ioext::log::OutputLimit;

#[derive(Arbitrary, Debug)]
struct Input {
    limit: u16,
    tail: u16,
    pieces: Vec<Vec<u8>>,
}

/// A delimiter that occurs only around the notice.
const MARK: u8 = 0;

fuzz_target!(|input: Input| {
    let limit = OutputLimit::new(input.limit.into(), input.tail.into());
    let limit = limit.with_notice(|dropped| format!("\0{} {}\0", dropped.bytes, dropped.lines));
    let mut pieces = input.pieces;
    pieces.iter_mut().flatten().for_each(|byte| *byte = (*byte).max(1));

    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut writer = limit.writer(log.writer());
    pieces.iter().for_each(|piece| writer.write_all(piece).unwrap());
    drop(writer);
    log.close().unwrap();

    let (all, text) = (pieces.concat(), std::fs::read(log.path()).unwrap());
    let parts: Vec<_> = text.split(|&byte| byte == MARK).collect();
    let [head, notice, tail] = parts[..] else {
        return assert_eq!(text, all);
    };
    let tail = tail.strip_prefix(b"\n").unwrap();
    let (bytes, lines) = std::str::from_utf8(notice).unwrap().split_once(' ').unwrap();
    let kept = all.len() - tail.len() - bytes.parse::<usize>().unwrap();
    assert!(kept + tail.len() <= input.limit.into());
    assert!(all.ends_with(tail) && head.starts_with(&all[..kept]));
    assert!([&b""[..], b"\n"].contains(&&head[kept..]));
    let dropped = &all[kept..all.len() - tail.len()];
    assert_eq!(lines, dropped.iter().filter(|&&byte| byte == b'\n').count().to_string());
});
