//! A case: a measurement of this project, with an optional peer and an optional bar.

use crate::Bench;
use crate::measure::median;
use crate::report::{Bar, CaseResult};

/// A builder of a case, see [`Bench::case`].
#[must_use = "a case runs when `ours` is called"]
pub struct Case<'a> {
    bench: &'a mut Bench,
    name: &'a str,
    unit: &'a str,
    bar: Option<Bar>,
    rounds: usize,
    peer: Option<Peer<'a>>,
}

struct Peer<'a> {
    name: &'a str,
    run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(bench: &'a mut Bench, name: &'a str, unit: &'a str) -> Self {
        let rounds = bench.pick(7, 3);
        Self {
            bench,
            name,
            unit,
            bar: None,
            rounds,
            peer: None,
        }
    }

    /// Sets the bar on the ratio ours / peer, or without a peer on the value itself.
    ///
    /// A case without a bar cannot fail.
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// Sets the number of rounds; default: 7, or 3 with `--quick`.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// Sets the peer to compare with. `run` measures one round and returns the figure in the unit of the case.
    pub fn peer(mut self, name: &'a str, run: impl FnMut() -> f64 + 'a) -> Self {
        self.peer = Some(Peer {
            name,
            run: Box::new(run),
        });
        self
    }

    /// Runs the case and returns the median of its rounds, or `None` if the command line did not select it.
    ///
    /// `run` measures one round and returns its figure. It alternates with the peer, and the order of the two changes
    /// every round, so that a machine that slows down or speeds up favours neither.
    pub fn ours(mut self, mut run: impl FnMut() -> f64) -> Option<f64> {
        if !self.bench.options.selects(self.name) {
            return None;
        }
        // An unrecorded round fills caches and pools.
        if !self.bench.quick() {
            self.round(&mut run, false);
        }
        let rounds: Vec<Round> = (0..self.rounds)
            .map(|i| self.round(&mut run, i % 2 == 1))
            .collect();
        let result = self.result(&rounds);
        let ours = result.ours;
        self.bench.report.add(result);
        ours
    }

    fn round(&mut self, run: &mut dyn FnMut() -> f64, ours_first: bool) -> Round {
        let Some(peer) = &mut self.peer else {
            return Round {
                ours: run(),
                peer: None,
            };
        };
        let (ours, peer) = if ours_first {
            let ours = run();
            (ours, (peer.run)())
        } else {
            let peer = (peer.run)();
            (run(), peer)
        };
        let peer = Some(peer);
        Round { ours, peer }
    }

    fn result(&self, rounds: &[Round]) -> CaseResult {
        // The median of the ratios, not the ratio of the medians: only the two figures of a round are comparable.
        let ratios = rounds.iter().map(|round| Some(round.ours / round.peer?));
        let ratio = median(ratios.flatten());
        let ours = median(rounds.iter().map(|round| round.ours));
        let met = self
            .bar
            .and_then(|bar| Some(bar.is_met_by(ratio.or(ours)?)));
        CaseResult {
            case: self.name.to_owned(),
            unit: self.unit.to_owned(),
            ours,
            peer: median(rounds.iter().filter_map(|round| round.peer)),
            peer_name: self.peer.as_ref().map(|peer| peer.name.to_owned()),
            ratio,
            bar: self.bar,
            met,
            ..CaseResult::default()
        }
    }
}

impl std::fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("bar", &self.bar)
            .finish_non_exhaustive()
    }
}

struct Round {
    ours: f64,
    peer: Option<f64>,
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::options::Options;

    fn bench(args: &[&str]) -> Bench {
        let args = args.iter().map(ToString::to_string);
        Bench::new("test", Options::parse(args).expect("known arguments"))
    }

    #[test]
    fn order_alternates() {
        let order = RefCell::new(String::new());
        let mut bench = bench(&["--quick"]);
        let run = |letter, figure| {
            order.borrow_mut().push(letter);
            figure
        };
        bench
            .case("a", "s")
            .peer("p", || run('p', 2.0))
            .ours(|| run('o', 1.0));
        assert_eq!(order.into_inner(), "pooppo");
    }

    #[test]
    fn ratio_is_the_median_of_the_ratios() {
        let mut bench = bench(&["--quick"]);
        let case = bench
            .case("a", "s")
            .bar(Bar::AtLeast(2.0))
            .peer("p", || 0.0);
        let rounds = [(10.0, 1.0), (2.0, 2.0), (8.0, 4.0)];
        let rounds = rounds.map(|(ours, peer)| Round {
            ours,
            peer: Some(peer),
        });
        let result = case.result(&rounds);
        assert_eq!((result.ours, result.peer), (Some(8.0), Some(2.0)));
        assert_eq!((result.ratio, result.met), (Some(2.0), Some(true)));
    }

    #[test]
    fn bar_without_a_peer_is_on_the_value() {
        let mut bench = bench(&[]);
        let case = bench.case("a", "ms").bar(Bar::AtMost(3.0));
        let result = case.result(&[Round {
            ours: 4.0,
            peer: None,
        }]);
        assert_eq!((result.ratio, result.met), (None, Some(false)));
    }

    #[test]
    fn unselected_case_does_not_run() {
        let mut bench = bench(&["readers"]);
        assert_eq!(
            bench
                .case("writers", "s")
                .ours(|| unreachable!("not selected")),
            None
        );
        assert_eq!(
            bench.case("100 readers", "s").rounds(1).ours(|| 1.0),
            Some(1.0)
        );
    }
}
