//! The arguments of a benchmark.

/// The parsed arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether `cargo bench` runs the program, not `cargo test`.
    pub(crate) bench: bool,
    pub(crate) quick: bool,
    pub(crate) json: bool,
    filter: Option<String>,
}

impl Options {
    /// Parses the arguments.
    ///
    /// # Errors
    ///
    /// The first unknown flag, but only with `--bench`: `cargo test --benches` passes the flags of a test harness.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut unknown = None;
        for arg in args {
            match arg.as_str() {
                "--bench" => options.bench = true,
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                // An unknown flag is reported after the loop, since `--bench` may follow it.
                flag if flag.starts_with('-') => unknown = unknown.or(Some(arg)),
                _ => options.filter = Some(arg),
            }
        }
        match unknown {
            Some(flag) if options.bench => Err(flag),
            _ => Ok(options),
        }
    }

    /// Returns whether the arguments select a case.
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
    fn flags_of_cargo_test_are_ignored() {
        assert!(
            !parse(&["--test-threads", "2"])
                .expect("no error without --bench")
                .bench
        );
    }

    #[test]
    fn unknown_flag_is_an_error() {
        assert_eq!(parse(&["--fast", "--bench"]), Err("--fast".to_owned()));
    }

    #[test]
    fn word_selects_cases() {
        let options = parse(&["reader", "--bench"]).expect("known arguments");
        assert!(options.selects("no reader"));
        assert!(!options.selects("8 writers"));
    }
}
