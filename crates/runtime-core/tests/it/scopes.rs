//! Scope sets, compared with a literal implementation of Taskcluster's rules.

use proptest::prelude::*;
use runtime_core::ScopeSet;

/// The rule as documented.
fn one_satisfies(have: &str, want: &str) -> bool {
    have == want
        || have
            .strip_suffix('*')
            .is_some_and(|prefix| want.starts_with(prefix))
}

fn some_satisfies(have: &[String], want: &str) -> bool {
    have.iter().any(|scope| one_satisfies(scope, want))
}

/// A small alphabet, for frequent prefixes and stars.
fn scopes() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab:]{0,4}\\*?", 0..8)
}

proptest! {
    #[test]
    fn satisfies_matches_the_reference_rule(have in scopes(), want in "[ab:]{0,5}\\*?") {
        prop_assert_eq!(ScopeSet::new(&have).satisfies(&want), some_satisfies(&have, &want));
    }

    // Small sets are scanned, large ones are searched.
    #[test]
    fn long_scopes_match_the_reference_rule(
        ends in prop::collection::vec("[ab:]{0,9}\\*?", 1..100),
        chosen in any::<prop::sample::Index>(),
        more in "[ab*]?",
    ) {
        let have: Vec<_> = ends.iter().map(|end| format!("queue:scheduler-id:{end}")).collect();
        let want = format!("{}{more}", chosen.get(&have));
        prop_assert_eq!(ScopeSet::new(&have).satisfies(&want), some_satisfies(&have, &want));
    }

    #[test]
    fn scopes_with_one_other_byte_differ(scope in "[a-z:]{1,60}", at in any::<prop::sample::Index>()) {
        let mut other = scope.clone();
        let at = at.index(scope.len());
        other.replace_range(at..=at, "X");
        prop_assert!(ScopeSet::new([&scope]).satisfies(&scope));
        prop_assert!(!ScopeSet::new([&scope]).satisfies(&other));
    }

    #[test]
    fn intersection_is_exact(
        left in scopes(),
        right in scopes(),
        want in "[ab:]{0,5}\\*?",
    ) {
        let both = ScopeSet::new(&left).intersection(&ScopeSet::new(&right));
        prop_assert_eq!(both.satisfies(&want), some_satisfies(&left, &want) && some_satisfies(&right, &want));
    }

    #[test]
    fn json_round_trip_is_equivalent(have in scopes(), want in "[ab:]{0,5}\\*?") {
        let json = serde_json::to_string(&ScopeSet::new(&have)).expect("scope sets serialize");
        let back: ScopeSet = serde_json::from_str(&json).expect("and come back");
        prop_assert_eq!(back.satisfies(&want), some_satisfies(&have, &want));
    }
}

#[test]
fn redundant_scopes_are_dropped() {
    let set = ScopeSet::new(["a:b", "a:*", "a:b:*", "c"]);
    assert_eq!(set.iter().collect::<Vec<_>>(), ["a:*", "c"]);
}

#[test]
fn disjoint_intersection_is_empty() {
    let none = ScopeSet::new(["A"]).intersection(&ScopeSet::new(["B"]));
    assert!(none.is_empty());
}

#[test]
fn two_stars_do_not_satisfy_one() {
    let set = ScopeSet::new(["a**"]);
    assert!(set.satisfies("a*b"));
    assert!(set.satisfies("a**"));
    assert!(!set.satisfies("a*"));
    assert!(set.intersection(&ScopeSet::new(["a*"])).satisfies("a*b"));
}
