//! Redaction, for every split of the input.

use std::borrow::Cow;

use proptest::prelude::*;
use runtime_ioext::FollowedLog;
use runtime_ioext::log::{LineWriter, LogSink, Redactor, SecretTooShort};

fn redactor(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::new();
    secrets
        .iter()
        .for_each(|secret| redactor.add(secret).unwrap());
    redactor
}

fn redact(secrets: &[&str], text: &str) -> String {
    String::from_utf8(redactor(secrets).redact(text.as_bytes())).unwrap()
}

/// Returns the log of a text written in pieces.
fn redact_in_pieces(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut writer = redactor.writer(log.writer());
    let mut ends: Vec<_> = cuts
        .iter()
        .map(|cut| cut % (text.len() + 1))
        .chain([text.len()])
        .collect();
    ends.sort_unstable();
    ends.iter().fold(0, |start, &end| {
        writer.write_all(&text[start..end]).unwrap();
        end
    });
    drop(writer);
    log.close().unwrap();
    std::fs::read(log.path()).unwrap()
}

#[test]
fn secret_is_replaced_anywhere() {
    assert_eq!(
        redact(&["hunter22"], "hunter22 a hunter22"),
        "[REDACTED] a [REDACTED]"
    );
    assert_eq!(
        redact(&["hunter22"], "hunter2 hunter 22"),
        "hunter2 hunter 22"
    );
}

#[test]
fn overlapping_secrets_are_replaced_as_one() {
    assert_eq!(
        redact(&["abcdefgh", "efghijkl"], "-abcdefghijkl-"),
        "-[REDACTED]-"
    );
    assert_eq!(redact(&["aaaaaa"], "aaaaaaaaaaaaaaaa"), "[REDACTED]");
    assert_eq!(
        redact(&["abcdef", "abcdefghi"], "abcdefghi abcdefgh"),
        "[REDACTED] [REDACTED]gh"
    );
}

#[test]
fn base64_is_found_in_all_variants() {
    // `printf 'xhunter22??>>y' | base64`, with 0, 1 and 2 bytes before the secret.
    let secrets = ["hunter22??>>"];
    for (text, left) in [
        ("aHVudGVyMjI/Pz4+", "[REDACTED]"),
        ("eGh1bnRlcjIyPz8+Pg==", "eG[REDACTED]g=="),
        ("eHhodW50ZXIyMj8/Pj4=", "eHh[REDACTED]4="),
        ("aHVudGVyMjI_Pz4-", "[REDACTED]"),
    ] {
        assert_eq!(redact(&secrets, text), left);
    }
}

#[test]
fn percent_encoding_and_json_are_found() {
    let secrets = ["p&ss \"wörd\"/\n1"];
    for text in [
        "p%26ss%20%22w%C3%B6rd%22%2F%0A1",
        "p%26ss%20%22w%c3%b6rd%22%2f%0a1",
        "p%26ss+%22w%C3%B6rd%22%2F%0A1",
        r#"p&ss \"wörd\"/\n1"#,
        r#"p&ss \"wörd\"\/\n1"#,
        r#"p&ss \"w\u00f6rd\"/\n1"#,
        r#"p&ss \"w\u00F6rd\"\/\n1"#,
    ] {
        assert_eq!(redact(&secrets, text), "[REDACTED]", "{text}");
    }
}

#[test]
fn multi_line_secret_is_found_by_line() {
    let secrets = ["-- BEGIN KEY --\nabcdefgh\n  ijkl mnop\nx\n-- END KEY --\n"];
    assert_eq!(redact(&secrets, secrets[0]), "[REDACTED]\n");
    assert_eq!(
        redact(&secrets, "> abcdefgh\r\n> ijkl mnop\r\n> x\r\n"),
        "> [REDACTED]\r\n> [REDACTED]\r\n> x\r\n"
    );
    assert_eq!(redact(&secrets, "YWJjZGVmZ2g="), "[REDACTED]g=");
}

#[test]
fn trailing_line_feed_is_ignored() {
    assert_eq!(redact(&["hunter22\r\n"], "hunter22!"), "[REDACTED]!");
    assert!(Redactor::new().add("12345\n\n\n").is_err());
}

#[test]
fn long_key_compiles_quickly() {
    // An algorithm that is quadratic in the length would take minutes.
    let key: String = (0..20_000_u32)
        .map(|i| char::from(b'!' + (i * i % 89) as u8))
        .collect();
    let redactor = redactor(&[&key]);
    assert_eq!(redactor.redact(key.as_bytes()), b"[REDACTED]");
}

#[test]
fn short_secret_is_refused() {
    let redactor = Redactor::new();
    assert!(matches!(
        redactor.add("12345"),
        Err(SecretTooShort { min_len: 6, .. })
    ));
    assert_eq!(redactor.redact(b"12345"), b"12345");
    Redactor::with_min_len(3).add("123").unwrap();
}

#[test]
fn clean_text_is_not_copied() {
    let redactor = redactor(&[]);
    assert!(redactor.is_empty());
    redactor.add("hunter22").expect("long enough");
    assert!(!redactor.is_empty());
    let clean = redactor.redact_str("user: é");
    assert!(matches!(clean, Cow::Borrowed("user: é")), "{clean}");
    assert_eq!(redactor.redact_str("é:hunter22!"), "é:[REDACTED]!");
    assert_eq!(redactor.hits(), 1);
}

#[test]
fn hits_count_replacements() {
    let redactor = redactor(&["hunter22"]);
    let _ = redactor.redact(b"hunter22 hunter22");
    let _ = redact_in_pieces(&redactor, b"hunter22", &[3]);
    assert_eq!(redactor.hits(), 3);
}

#[test]
fn added_secret_applies_to_later_writes() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let redactor = Redactor::new();
    let mut writer = redactor.writer(log.writer());
    writer.write_all(b"hunter22 ").unwrap();
    redactor.clone().add("hunter22").unwrap();
    writer.write_all(b"hunter22").unwrap();
    writer.finish().unwrap();
    assert_eq!(log.len(), "hunter22 [REDACTED]".len() as u64);
}

#[test]
fn only_possible_prefixes_are_buffered() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut writer = redactor(&["hunter22"]).writer(log.writer());
    writer.write_all(b"Password: ").unwrap();
    assert_eq!(log.len(), 10);
    writer.write_all(b"hunt").unwrap();
    assert_eq!(log.len(), 10);
    writer.write_all(b"ing").unwrap();
    assert_eq!(log.len(), 17);
}

#[test]
fn multi_line_secret_is_found_before_line_writer() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut writer = redactor(&["first\nsecond"]).writer(LineWriter::new(log.writer()));
    writer.write_all(b"x first\nsec").unwrap();
    writer.write_all(b"ond y\n").unwrap();
    log.close().unwrap();
    assert_eq!(std::fs::read(log.path()).unwrap(), b"x [REDACTED] y\n");
}

#[test]
fn debug_shows_no_secret() {
    let redactor = redactor(&["hunter22"]);
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut writer = redactor.writer(log.writer());
    writer.write_all(b"hunter2").unwrap();
    assert!(!format!("{redactor:?} {writer:?}").contains("hunter"));
}

/// Secrets and texts over a small alphabet, for frequent prefixes, overlaps and near misses.
fn secret() -> impl Strategy<Value = String> {
    "[ab]{3,9}"
}

fn text() -> impl Strategy<Value = String> {
    "[abc]{0,120}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_split_reveals_a_secret(
        secrets in prop::collection::vec(secret(), 1..5),
        text in text(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let redactor = Redactor::with_min_len(3);
        secrets.iter().for_each(|secret| redactor.add(secret).unwrap());
        let whole = redactor.redact(text.as_bytes());
        prop_assert_eq!(&redact_in_pieces(&redactor, text.as_bytes(), &cuts), &whole);
        let whole = String::from_utf8(whole).unwrap();
        for secret in &secrets {
            prop_assert!(!whole.contains(secret.as_str()), "{} in {}", secret, whole);
        }
    }

    #[test]
    fn clean_text_is_unchanged(text in "[c-z \n]{0,200}", cut in any::<usize>()) {
        let redactor = redactor(&["aaaaaa", "bbbbbb"]);
        prop_assert_eq!(redact_in_pieces(&redactor, text.as_bytes(), &[cut]), text.into_bytes());
        prop_assert_eq!(redactor.hits(), 0);
    }
}
