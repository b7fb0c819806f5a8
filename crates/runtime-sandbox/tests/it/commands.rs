//! Start, output and end of commands, with and without walls.

use runtime_sandbox::Isolation;

use crate::support::{run, shell};

fn isolations() -> [Isolation; 3] {
    [Isolation::none(), Isolation::user(), Isolation::strict()]
}

#[tokio::test]
async fn output_and_exit_code_are_returned() {
    for isolation in isolations() {
        let name = format!("{isolation:?}");
        let (exit, output) = run(shell("echo out; echo err >&2; exit 7", isolation)).await;
        assert_eq!(output, "out\nerr\n", "{name}");
        assert_eq!(exit.status.code(), Some(7), "{name}");
    }
}
