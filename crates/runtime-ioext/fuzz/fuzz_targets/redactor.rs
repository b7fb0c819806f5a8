//! No secret is in the output, and the output does not depend on the split of the text.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use runtime_ioext::FollowedLog;
use runtime_ioext::log::Redactor;

#[derive(Arbitrary, Debug)]
struct Input {
    secrets: Vec<Vec<u8>>,
    pieces: Vec<Vec<u8>>,
}

fuzz_target!(|input: Input| {
    let redactor = Redactor::with_min_len(2);
    let added = |secret: &&Vec<u8>| redactor.add(secret).is_ok();
    let secrets: Vec<_> = input.secrets.iter().filter(added).collect();

    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut writer = redactor.writer(log.writer());
    input.pieces.iter().for_each(|piece| writer.write_all(piece).unwrap());
    drop(writer);
    log.close().unwrap();

    let text = std::fs::read(log.path()).unwrap();
    assert_eq!(text, redactor.redact(&input.pieces.concat()));
    // The text around a replacement may form a secret together with a part of it.
    let parts = text.split(|byte| b"[REDACTED]".contains(byte));
    let leaked = |part: &[u8]| secrets.iter().any(|secret| part.windows(secret.len()).any(|window| window == &secret[..]));
    assert!(!parts.into_iter().any(leaked));
});
