//! No text makes the parser of amounts panic, and what it makes of one is printed so that it is read again.

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
