//! The arguments of a bench program.

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `cargo bench` runs the program, not `cargo test`.
    pub(crate) bench: bool,
    pub(crate) quick: bool,
    pub(crate) json: bool,
    filter: Option<String>,
}

impl Options {
    /// Reads the arguments; the error is the first one that is unknown.
    ///
    /// Without `--bench` nothing is an error: `cargo test --benches` passes flags of its own.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut unknown = None;
        for arg in args {
            match arg.as_str() {
                "--bench" => options.bench = true,
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                flag if flag.starts_with('-') => unknown = unknown.or(Some(arg)),
                _ => options.filter = Some(arg),
            }
        }
        match unknown {
            Some(flag) if options.bench => Err(flag),
            _ => Ok(options),
        }
    }

    /// Says whether the case of this name should run.
    pub(crate) fn selects(&self, case: &str) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|part| case.contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn without_bench_nothing_runs_and_nothing_is_unknown() {
        assert!(
            !parse(&["--test-threads", "2"])
                .expect("flags of cargo test pass")
                .bench
        );
    }

    #[test]
    fn an_unknown_flag_is_named() {
        assert_eq!(parse(&["--fast", "--bench"]), Err("--fast".to_owned()));
    }

    #[test]
    fn a_free_word_selects_cases_by_a_part_of_their_name() {
        let options = parse(&["reader", "--bench"]).expect("the arguments are known");
        assert!(options.selects("no reader"));
        assert!(!options.selects("8 writers"));
    }
}
