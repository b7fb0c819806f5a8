//! Every form of every secret, and the automaton that finds them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

type State = aho_corasick::automaton::StateID;

/// A set of patterns, as it is looked for.
#[derive(Default)]
pub(super) struct Patterns {
    forms: BTreeSet<Vec<u8>>,
    finder: Option<Finder>,
}

struct Finder {
    automaton: NFA,
    start: State,
    /// The bytes that a secret begins with.
    begins: [bool; 256],
    /// How many of the last bytes could become a secret, by the state that they lead to. A state that is
    /// not here means none.
    begun: HashMap<State, usize>,
}

impl Patterns {
    /// The same patterns and more, or `None` if they would be no more.
    pub(super) fn with(&self, added: Vec<Vec<u8>>) -> Option<Self> {
        let forms: BTreeSet<_> = self.forms.iter().cloned().chain(added).collect();
        if forms.len() == self.forms.len() {
            return None;
        }
        Some(Self {
            finder: Finder::new(&forms),
            forms,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Looks through bytes once: where secrets are, in order, and how many bytes at the end could become a
    /// secret if more came. Secrets that overlap are one place.
    pub(super) fn scan(&self, bytes: &[u8]) -> Scan {
        self.finder
            .as_ref()
            .map_or_else(Scan::default, |finder| finder.scan(bytes))
    }
}

/// What was found in some bytes.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) found: Vec<Range<usize>>,
    pub(super) begun: usize,
}

impl Scan {
    /// Adds a place that ends after all others.
    fn add(&mut self, mut place: Range<usize>) {
        while let Some(last) = self.found.pop_if(|last| last.end > place.start) {
            place.start = place.start.min(last.start);
        }
        self.found.push(place);
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
            begins: [false; 256],
            begun: HashMap::new(),
        };
        forms
            .iter()
            .for_each(|form| finder.begins[usize::from(form[0])] = true);
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

    fn scan(&self, bytes: &[u8]) -> Scan {
        let (mut scan, mut state) = (Scan::default(), self.start);
        for (at, &byte) in bytes.iter().enumerate() {
            // Most of a text stays at the start.
            if state == self.start && !self.begins[usize::from(byte)] {
                continue;
            }
            state = self.step(state, byte);
            if self.automaton.is_match(state) {
                scan.add(at + 1 - self.longest_match(state)..at + 1);
            }
        }
        scan.begun = self.begun.get(&state).copied().unwrap_or(0);
        scan
    }

    /// The length of the longest secret that ends in a state.
    fn longest_match(&self, state: State) -> usize {
        (0..self.automaton.match_len(state))
            .map(|i| {
                let pattern = self.automaton.match_pattern(state, i);
                self.automaton.pattern_len(pattern)
            })
            .max()
            .unwrap_or(0)
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
