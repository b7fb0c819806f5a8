//! Parsing an amount does not panic, and a printed amount parses back to itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_gc::Amount;

fuzz_target!(|input: (&str, u64)| {
    let (text, total) = input;
    let Ok(amount) = text.parse::<Amount>() else {
        return;
    };
    assert_eq!(amount.to_string().parse(), Ok(amount), "{text}");
    if let Amount::Percent(percent) = amount {
        assert!((0.0..=100.0).contains(&percent), "{text}");
        assert!(amount.of(total) <= total, "{text} of {total}");
    }
});
