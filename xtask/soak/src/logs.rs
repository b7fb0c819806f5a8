//! The check of a log: all its lines, each once and in order.

/// Returns the defect of a log that should contain `line 1` to `line N`, if any.
pub(crate) fn defect(log: &str, lines: u32) -> Option<String> {
    let numbers = log.lines().filter_map(|line| line.strip_prefix("line "));
    let mut expected = 1;
    for number in numbers {
        if number != expected.to_string() {
            return Some(format!(
                "line {number} of the log instead of line {expected}"
            ));
        }
        expected += 1;
    }
    let found = expected - 1;
    (found != lines).then(|| format!("the log has {found} of {lines} lines"))
}

/// Returns the first error lines of a log.
pub(crate) fn error_lines(log: &str) -> String {
    let lines = log.lines();
    let errors = lines.filter(|line| line.starts_with("[taskcluster:error]"));
    errors.take(3).collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_repeated_lines_are_found() {
        let log = "[taskcluster] started\nline 1\nline 2\n[taskcluster] ended\n";
        assert_eq!(defect(log, 2), None);
        assert_eq!(defect(log, 3), Some("the log has 2 of 3 lines".into()));
        let repeated = defect("line 1\nline 1\n", 2);
        assert_eq!(repeated, Some("line 1 of the log instead of line 2".into()));
    }
}
