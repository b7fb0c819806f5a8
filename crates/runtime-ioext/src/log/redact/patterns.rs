//! The automaton that finds all encodings of all secrets in one pass.
//!
//! A secret has up to 35 encodings, so that one search per encoding would scan output dozens of times. An
//! Aho-Corasick automaton costs the same per byte whatever the number of patterns. It also answers after
//! each byte which prefix of a pattern the output may currently be within, which decides how many bytes
//! must be buffered. A regular expression reports only matches, not this suffix.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use aho_corasick::automaton::{Automaton, StateID as StateId};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

/// A compiled set of patterns.
#[derive(Default)]
pub(super) struct Patterns {
    encodings: BTreeSet<Vec<u8>>,
    finder: Option<Finder>,
}

struct Finder {
    automaton: NFA,
    start: StateId,
    /// The first bytes of all patterns.
    first_bytes: [bool; 256],
    /// The length of the suffix that may be the start of a secret, by automaton state; 0 for absent states.
    partial_match: HashMap<StateId, usize>,
}

impl Patterns {
    /// Returns these patterns and the added ones; `None` if all of them are present.
    pub(super) fn with(&self, added: Vec<Vec<u8>>) -> Option<Self> {
        let encodings: BTreeSet<_> = self.encodings.iter().cloned().chain(added).collect();
        if encodings.len() == self.encodings.len() {
            return None;
        }
        Some(Self {
            finder: Finder::new(&encodings),
            encodings,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.encodings.is_empty()
    }

    /// Returns the positions of secrets in order, and the length of the suffix that may be the start of one.
    /// Overlapping secrets are merged.
    pub(super) fn scan(&self, bytes: &[u8]) -> Scan {
        self.finder
            .as_ref()
            .map_or_else(Scan::default, |finder| finder.scan(bytes))
    }
}

/// The result of a scan.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) found: Vec<Range<usize>>,
    pub(super) partial_match: usize,
}

impl Scan {
    /// Adds a match that ends after all others, and merges it with those that it overlaps.
    fn add(&mut self, mut range: Range<usize>) {
        while let Some(last) = self.found.pop_if(|last| last.end > range.start) {
            range.start = range.start.min(last.start);
        }
        self.found.push(range);
    }
}

impl Finder {
    fn new(encodings: &BTreeSet<Vec<u8>>) -> Option<Self> {
        if encodings.is_empty() {
            return None;
        }
        // `Standard` reports every match, even overlapping ones. The leftmost kinds stop at the first, and
        // would leave the end of an overlapping secret in the output. An NFA, because the transition tables
        // of a DFA for the lines of a key would take long to build and much memory.
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .build(encodings)
            .expect("an automaton of secrets fits in memory");
        let start = automaton
            .start_state(Anchored::No)
            .expect("the automaton searches everywhere");
        let mut finder = Self {
            automaton,
            start,
            first_bytes: [false; 256],
            partial_match: HashMap::new(),
        };
        encodings
            .iter()
            .for_each(|encoding| finder.first_bytes[usize::from(encoding[0])] = true);
        encodings
            .iter()
            .for_each(|encoding| finder.add_prefixes(encoding));
        let mut shortest_first: Vec<_> = encodings.iter().collect();
        shortest_first.sort_by_key(|encoding| encoding.len());
        shortest_first
            .into_iter()
            .for_each(|encoding| finder.add_suffix(encoding));
        Some(finder)
    }

    fn add_prefixes(&mut self, encoding: &[u8]) {
        let mut state = self.start;
        // Not the whole encoding: that is a match, which needs no buffering.
        for (len, &byte) in (1..encoding.len()).zip(encoding) {
            state = self.step(state, byte);
            self.partial_match.insert(state, len);
        }
    }

    /// Sets the partial match of the state after a whole secret, which matters unless it is a prefix of a
    /// longer one: a suffix of it may be the start of another secret.
    ///
    /// The state after all but its first byte represents the longest such suffix. That suffix may itself be
    /// a whole secret, whose partial match must be known by then: shorter secrets are visited first.
    fn add_suffix(&mut self, encoding: &[u8]) {
        let partial_match = self.partial_match(&encoding[1..]);
        self.partial_match
            .entry(self.walk(encoding))
            .or_insert(partial_match);
    }

    fn partial_match(&self, tail: &[u8]) -> usize {
        self.partial_match
            .get(&self.walk(tail))
            .copied()
            .unwrap_or(0)
    }

    fn scan(&self, bytes: &[u8]) -> Scan {
        let (mut scan, mut state) = (Scan::default(), self.start);
        for (at, &byte) in bytes.iter().enumerate() {
            // Fast path: most bytes of ordinary output cannot start a secret.
            if state == self.start && !self.first_bytes[usize::from(byte)] {
                continue;
            }
            state = self.step(state, byte);
            if self.automaton.is_match(state) {
                scan.add(at + 1 - self.longest_match(state)..at + 1);
            }
        }
        scan.partial_match = self.partial_match.get(&state).copied().unwrap_or(0);
        scan
    }

    /// Returns the length of the longest secret that ends in `state`.
    fn longest_match(&self, state: StateId) -> usize {
        (0..self.automaton.match_len(state))
            .map(|i| {
                let pattern = self.automaton.match_pattern(state, i);
                self.automaton.pattern_len(pattern)
            })
            .max()
            .unwrap_or(0)
    }

    fn walk(&self, bytes: &[u8]) -> StateId {
        bytes
            .iter()
            .fold(self.start, |state, &byte| self.step(state, byte))
    }

    fn step(&self, state: StateId, byte: u8) -> StateId {
        self.automaton.next_state(Anchored::No, state, byte)
    }
}
