//! Reading and writing of secrets.

use runtime_core::Secret;

#[test]
fn secret_serializes_as_redacted() {
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
