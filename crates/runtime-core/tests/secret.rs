//! A secret is read and never written.

use runtime_core::Secret;

#[test]
fn a_secret_is_read_as_a_text_and_written_as_a_marker() {
    let secret: Secret = serde_json::from_str(r#""hunter22""#).expect("a text");
    assert_eq!(secret.expose(), "hunter22");
    assert_eq!(secret, Secret::new("hunter22"));
    let written = serde_json::to_string(&secret).expect("JSON");
    assert_eq!(written, r#""[REDACTED]""#);
    assert_eq!(
        format!("{secret:?} {:#?}", Some(&secret)),
        "[REDACTED] Some(\n    [REDACTED],\n)"
    );
}
