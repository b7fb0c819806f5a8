//! Every form of every secret, and the automaton that finds them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input, MatchKind};

type State = aho_corasick::automaton::StateID;

/// A set of patterns, as it is looked for.
#[derive(Default)]
pub(super) struct Patterns {
    forms: BTreeSet<Vec<u8>>,
    longest: usize,
    finder: Option<Finder>,
}

struct Finder {
    automaton: NFA,
    start: State,
    /// How many of the last bytes could become a secret, by the state that they lead to. A state that is
    /// not here means none.
    begun: HashMap<State, usize>,
}

impl Patterns {
    /// The same patterns and more, or `None` if they would be no more.
    pub(super) fn with(&self, added: impl Iterator<Item = Vec<u8>>) -> Option<Self> {
        let forms: BTreeSet<_> = self.forms.iter().cloned().chain(added).collect();
        if forms.len() == self.forms.len() {
            return None;
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        Some(Self {
            finder: Finder::new(&forms),
            longest,
            forms,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// How many bytes at the end could become a secret if more came.
    pub(super) fn begun(&self, bytes: &[u8]) -> usize {
        let tail = &bytes[bytes.len() - bytes.len().min(self.longest)..];
        self.finder.as_ref().map_or(0, |finder| finder.begun(tail))
    }

    /// Where secrets are, in order. Secrets that overlap are one place.
    pub(super) fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = self
            .finder
            .as_ref()
            .map_or_else(Vec::new, |finder| finder.find(bytes));
        found.sort_unstable_by_key(|range| (range.start, range.end));
        found.dedup_by(|next, last| {
            let overlaps = next.start < last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        found
    }
}

impl Finder {
    fn new(forms: &BTreeSet<Vec<u8>>) -> Option<Self> {
        if forms.is_empty() {
            return None;
        }
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .build(forms)
            .expect("an automaton of secrets fits in memory");
        let start = automaton
            .start_state(Anchored::No)
            .expect("the automaton searches everywhere");
        let mut finder = Self {
            automaton,
            start,
            begun: HashMap::new(),
        };
        forms.iter().for_each(|form| finder.learn_beginnings(form));
        let mut shortest_first: Vec<_> = forms.iter().collect();
        shortest_first.sort_by_key(|form| form.len());
        shortest_first
            .into_iter()
            .for_each(|form| finder.learn_end(form));
        Some(finder)
    }

    fn learn_beginnings(&mut self, form: &[u8]) {
        let mut state = self.start;
        for (len, &byte) in (1..form.len()).zip(form) {
            state = self.step(state, byte);
            self.begun.insert(state, len);
        }
    }

    /// After a whole secret, which is the beginning of no longer one, its own end may be the beginning of
    /// another.
    ///
    /// The state after all but its first byte stands for the longest such end. That may be a whole secret
    /// in turn, a shorter one, which has to be known by then.
    fn learn_end(&mut self, form: &[u8]) {
        let begun = self.begun(&form[1..]);
        self.begun.entry(self.walk(form)).or_insert(begun);
    }

    fn begun(&self, tail: &[u8]) -> usize {
        self.begun.get(&self.walk(tail)).copied().unwrap_or(0)
    }

    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let found = self.automaton.try_find_overlapping_iter(Input::new(bytes));
        found
            .expect("the automaton finds overlaps")
            .map(|found| found.range())
            .collect()
    }

    fn walk(&self, bytes: &[u8]) -> State {
        bytes
            .iter()
            .fold(self.start, |state, &byte| self.step(state, byte))
    }

    fn step(&self, state: State, byte: u8) -> State {
        self.automaton.next_state(Anchored::No, state, byte)
    }
}
