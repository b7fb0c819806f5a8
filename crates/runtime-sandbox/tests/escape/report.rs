//! The results of the attempts.

use std::process::ExitStatus;

use crate::attempts::Attempt;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the reason.
    Held(String),
    /// With the right that it gained.
    Escaped(String),
    /// The attempt could not report its result.
    Unclear(String),
}

impl Outcome {
    pub(crate) fn new(status: ExitStatus, escaped: i32, output: &str) -> Self {
        match status.code() {
            Some(0) => Self::Held(output.trim().to_owned()),
            Some(code) if code == escaped => Self::Escaped("it succeeded".to_owned()),
            _ => Self::Unclear(format!("{status}: {}", output.trim())),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Escaped(_) => "ESCAPED",
            Self::Unclear(_) => "unclear",
        }
    }
}

pub(crate) struct Report {
    user: &'static str,
    lines: Vec<String>,
    failures: Vec<String>,
    count: usize,
}

impl Report {
    pub(crate) fn new(user: &'static str) -> Self {
        Self {
            user,
            lines: Vec::new(),
            failures: Vec::new(),
            count: 0,
        }
    }

    /// Adds the results of an attempt in strict walls, without walls, and in those of a peer.
    pub(crate) fn add(
        &mut self,
        attempt: Attempt,
        strict: Outcome,
        open: Option<Outcome>,
        peer: Option<Outcome>,
    ) {
        self.count += 1;
        let Attempt { name, .. } = attempt;
        let peer = peer.as_ref().map_or("", Outcome::word);
        self.lines
            .push(format!("| {name} | {} | {peer} |", strict.word()));
        if !matches!(strict, Outcome::Held(_)) {
            self.failures.push(format!("{name}: {strict:?}"));
        }
        if let Some(open) = open
            && !matches!(open, Outcome::Escaped(_))
        {
            self.failures
                .push(format!("{name} does not even work without walls: {open:?}"));
        }
    }

    /// Adds the result of an attempt in strict walls but for the filter for system calls.
    pub(crate) fn add_without_filter(&mut self, attempt: Attempt, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Held(_)) {
            let name = attempt.name;
            self.failures
                .push(format!("{name} without the filter: {outcome:?}"));
        }
    }

    /// Prints the results. Returns whether all attempts failed.
    pub(crate) fn finish(self, print_table: bool) -> bool {
        if print_table {
            println!(
                "\n| attempt as {} | ours | bubblewrap |\n| --- | --- | --- |",
                self.user
            );
            for line in &self.lines {
                println!("{line}");
            }
        }
        for failure in &self.failures {
            println!("FAILED as {}: {failure}", self.user);
        }
        println!(
            "as {}: {} attempts, {} failed tests",
            self.user,
            self.count,
            self.failures.len()
        );
        self.failures.is_empty()
    }
}
