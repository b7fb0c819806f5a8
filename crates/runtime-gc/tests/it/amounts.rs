//! The text form of amounts.

use proptest::prelude::*;
use runtime_gc::Amount;

const UNITS: [(&str, u64); 11] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

proptest! {
    #[test]
    fn size_is_number_times_unit(
        number in prop_oneof![0_u64..5000, any::<u64>()],
        (unit, factor) in prop::sample::select(&UNITS[..]),
        space in " {0,2}",
    ) {
        let parsed = format!("{space}{number}{space}{unit}{space}").parse();
        match number.checked_mul(factor) {
            Some(bytes) => prop_assert_eq!(parsed, Ok(Amount::Absolute(bytes))),
            None => prop_assert!(parsed.is_err(), "the size overflows"),
        }
    }

    #[test]
    fn percentage_is_at_most_the_total(percent in prop_oneof![0.0..=100.0, any::<f64>()], total: u64) {
        let parsed = format!("{percent}%").parse::<Amount>();
        prop_assert_eq!(parsed.is_ok(), (0.0..=100.0).contains(&percent));
        if let Ok(amount) = parsed {
            prop_assert_eq!(amount, Amount::Percent(percent));
            prop_assert!(amount.of(total) <= total);
            prop_assert_eq!(amount.of(0), 0);
        }
    }

    #[test]
    fn printed_amounts_are_parsed_back(amount in prop_oneof![
        any::<u64>().prop_map(Amount::Absolute),
        (0.0..=100.0).prop_map(Amount::Percent),
    ]) {
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
    }

    #[test]
    fn parsing_arbitrary_text_does_not_panic(
        text in prop_oneof![".{0,12}", "[0-9.eE+-]{0,6} ?[%kKMGTiB]{0,4}"],
    ) {
        match text.parse::<Amount>() {
            Ok(amount) => prop_assert_eq!(amount.to_string().parse(), Ok(amount)),
            Err(error) => prop_assert_eq!(error.text, text),
        }
    }
}
