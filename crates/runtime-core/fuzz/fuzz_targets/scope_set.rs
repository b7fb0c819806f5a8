//! Compares scope sets and intersections with the literal rule.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use runtime_core::ScopeSet;

#[derive(Arbitrary, Debug)]
struct Input {
    left: Vec<String>,
    right: Vec<String>,
    wanted: Vec<String>,
}

/// The rule as documented.
fn grants(have: &[String], want: &str) -> bool {
    let text = want.strip_suffix('*').unwrap_or(want);
    have.iter().any(|have| {
        let prefix = have.strip_suffix('*');
        have == want || prefix.is_some_and(|prefix| text.starts_with(prefix))
    })
}

fuzz_target!(|input: Input| {
    let (left, right) = (ScopeSet::new(&input.left), ScopeSet::new(&input.right));
    let both = left.intersection(&right);
    for want in input.wanted.iter().chain(&input.left).chain(&input.right) {
        let expected = (grants(&input.left, want), grants(&input.right, want));
        assert_eq!((left.satisfies(want), right.satisfies(want)), expected, "{want}");
        assert_eq!(both.satisfies(want), expected.0 && expected.1, "{want}");
    }
});
