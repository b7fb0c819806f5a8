//! Parses arbitrary lines of worker-runner. `Debug` of a message never shows a secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_worker::worker_runner::{FromRunner, Line, parse_line};

fuzz_target!(|bytes: &[u8]| {
    let line = String::from_utf8_lossy(bytes);
    let parsed = parse_line(&line);
    let is_message = line.starts_with('~') && line.trim_end_matches(['\r', '\n']).ends_with('}');
    match &parsed {
        Line::Text(text) => assert_eq!(*text, line.trim_end_matches(['\r', '\n'])),
        Line::Unknown => assert!(is_message),
        Line::Message(message) => {
            assert!(is_message);
            assert_no_secret(message);
        }
    }
});

fn assert_no_secret(message: &FromRunner) {
    if let FromRunner::NewCredentials { client_id, .. } = message {
        assert_eq!(format!("{message:?}"), format!("NewCredentials({client_id})"));
    }
}
