//! Any JSON is either a reference that matches the schema or is rejected with a reason.

#![no_main]

use std::sync::LazyLock;

use jsonschema::Validator;
use libfuzzer_sys::fuzz_target;
use runtime_fetcher::{Combine, Fetcher};
use serde_json::Value;

static FETCHER: LazyLock<Combine> = LazyLock::new(Combine::standard);
static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&FETCHER.schema()).expect("schema is valid"));

fuzz_target!(|text: &[u8]| {
    let Ok(reference) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    match FETCHER.check(&reference) {
        Ok(()) => assert!(SCHEMA.is_valid(&reference), "{reference}"),
        Err(error) => {
            assert!(!error.mismatches().is_empty());
            assert!(
                error
                    .mismatches()
                    .iter()
                    .all(|mismatch| !mismatch.reason.is_empty())
            );
        }
    }
});
