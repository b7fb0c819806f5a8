//! Redaction, for every split of the input.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
fn json_for_html_is_found() {
    let secrets = ["<p&q>'r\"s+t"];
    for text in [
        r#"\u003cp\u0026q\u003e'r\"s+t"#,
        r"\u003Cp\u0026q\u003E\u0027r\u0022s\u002Bt",
    ] {
        assert_eq!(redact(&secrets, text), "[REDACTED]", "{text}");
    }
}

#[test]
fn json_within_json_is_found() {
    let secrets = ["a&b \"c\"/\\\n1"];
    let once = serde_json::to_string(secrets[0]).unwrap();
    let twice = serde_json::to_string(&once).unwrap();
    assert_eq!(redact(&secrets, &twice), r#""\"[REDACTED]\"""#);
    let html = twice.replace('&', r"\\u0026");
    assert_eq!(redact(&secrets, &html), r#""\"[REDACTED]\"""#);
    let slashes = twice.replace('/', r"\\\/");
    assert_eq!(redact(&secrets, &slashes), r#""\"[REDACTED]\"""#);
}

/// The texts are the output of bash, dash and Python for the same secret.
#[test]
fn shell_quoting_is_found() {
    let secrets = ["it's $a \"b\" ü\n1"];
    for (text, left) in [
        // `set -x; : "$SECRET"`.
        ("+ : $'it\\'s $a \"b\" ü\\n1'", "+ : $'[REDACTED]'"),
        ("'it'\\''s $a \"b\" ü\n1'", "'[REDACTED]'"),
        // `printf %q`, also without a UTF-8 locale.
        (r#"$'it\'s $a "b" \303\274\n1'"#, "$'[REDACTED]'"),
        // `shlex.quote`.
        ("'it'\"'\"'s $a \"b\" ü\n1'", "'[REDACTED]'"),
        // `repr` of bytes.
        (r#"it\'s $a "b" \xc3\xbc\n1"#, "[REDACTED]"),
    ] {
        assert_eq!(redact(&secrets, text), left, "{text}");
    }
    let secrets = ["it's $a&b"];
    assert_eq!(redact(&secrets, r"it\'s\ \$a\&b"), "[REDACTED]");
}

#[test]
fn xml_entities_are_found() {
    let secrets = ["<a&b>\"c'dü"];
    for text in [
        "&lt;a&amp;b&gt;&quot;c&apos;dü",
        "&lt;a&amp;b&gt;&#34;c&#39;dü",
        "&lt;a&amp;b>\"c'd&#252;",
        "&#x3c;a&#x26;b&#x3E;&#x22;c&#x27;d&#xFC;",
        "&lt;a&amp;b&gt;&quot;c&#039;dü",
    ] {
        assert_eq!(redact(&secrets, text), "[REDACTED]", "{text}");
    }
}

#[test]
fn encodings_may_be_mixed() {
    let secrets = ["a/b&c d"];
    assert_eq!(redact(&secrets, "a%2Fb&amp;c d"), "[REDACTED]");
    // Base64 within a URL.
    assert_eq!(redact(&["??>>??>>"], "Pz8%2BPj8/Pj4%3D"), "[REDACTED]4%3D");
}

#[test]
fn json_values_are_secrets() {
    let secret = r#"{
        "enabled": true,
        "user": "somebody",
        "nested": [{"pin": 987654321, "zeros": 100000, "blank": "        "}],
        "key": "-- BEGIN --\nabcdefgh\n",
        "json": "{\"token\":\"inner\\u0026secret\"}"
    }"#;
    let secrets = [secret];
    assert_eq!(redact(&secrets, secret), "[REDACTED]");
    assert_eq!(
        redact(&secrets, "somebody 987654321 abcdefgh inner&secret"),
        "[REDACTED] [REDACTED] [REDACTED] [REDACTED]"
    );
    let ordinary = "\"enabled\": true,\n         100000 nested";
    assert_eq!(redact(&secrets, ordinary), ordinary);
}

#[test]
fn trivial_lines_are_no_secrets() {
    let secrets = ["first line\n--------\n======= =\nlast line"];
    let ordinary = "-------- ======= =";
    assert_eq!(redact(&secrets, ordinary), ordinary);
}

#[test]
fn long_secret_is_replaced_as_one() {
    for secret in [
        long_secret(1000, 62),
        long_secret(1000, 93),
        "ü&".repeat(300),
    ] {
        assert_eq!(redact(&[&secret], &format!("<{secret}>")), "<[REDACTED]>");
        let left = redact(&[&secret], &STANDARD.encode(&secret));
        assert!(left.starts_with("[REDACTED]") && left.len() < 15, "{left}");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(redact(&[&secret], &json), "\"[REDACTED]\"");
    }
}

#[test]
fn piece_of_a_long_secret_is_found() {
    let secret = long_secret(1000, 62);
    let left = redact(&[&secret], &secret[..400]);
    assert!(left.starts_with("[REDACTED]"), "{left}");
    assert!(left.len() < 150, "{left}");
}

#[test]
fn split_long_secret_is_replaced_as_one() {
    let secret = long_secret(64 * 1024, 93);
    let cuts: Vec<_> = (0..secret.len()).step_by(8).collect();
    let log = redact_in_pieces(&redactor(&[&secret]), secret.as_bytes(), &cuts);
    assert_eq!(log, b"[REDACTED]");
}

#[test]
fn many_secrets_are_added_one_by_one() {
    let redactor = Redactor::new();
    let secrets: Vec<_> = (0..2000).map(|i| format!("{i:06}-secret")).collect();
    secrets
        .iter()
        .for_each(|secret| redactor.add(secret).unwrap());
    for secret in &secrets {
        assert_eq!(redactor.redact(secret.as_bytes()), b"[REDACTED]");
    }
}

#[test]
fn secrets_may_be_read_with_the_redactor() {
    let redactor = redactor(&["hunter22"]);
    let secrets = ["first-secret", "second-secret"].into_iter();
    let added = redactor.add_all(secrets.inspect(|_| assert_eq!(redactor.redact(b"x"), b"x")));
    added.unwrap();
    assert_eq!(redactor.redact(b"second-secret"), b"[REDACTED]");
}

#[test]
fn short_secret_does_not_prevent_others() {
    let redactor = Redactor::new();
    assert!(redactor.add_all(["12345", "hunter22"]).is_err());
    assert_eq!(redactor.redact(b"12345 hunter22"), b"12345 [REDACTED]");
}

/// Returns a text without repetitions, with this number of distinct printable characters.
fn long_secret(len: usize, distinct: u64) -> String {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let others = ('!'..='~').filter(|c| !c.is_ascii_alphanumeric());
    let chars: Vec<char> = letters.into_iter().chain(others).collect();
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        chars[((state >> 33) % distinct) as usize]
    };
    (0..len).map(|_| next()).collect()
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
