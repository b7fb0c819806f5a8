//! Development tasks: `cargo xtask <task>`.
//!
//! One module a task. CI calls the same tasks, so what is green here is green there.

mod bench;
mod budget;
mod ci;
mod coverage;
mod docs;
mod e2e;
mod features;
mod flags;
mod fuzz;
mod loom;
mod minimal;
mod release;
mod soak;
mod tidy;
mod workspace;

use std::process::ExitCode;

use xshell::Shell;

use crate::flags::XtaskCmd;

fn main() -> ExitCode {
    let task = match flags::parse() {
        Ok(flags) => flags.subcommand,
        Err(answered) => return answered,
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Each cause on a line of its own; a backtrace of xtask would help nobody.
            for (depth, cause) in error.chain().enumerate() {
                eprintln!(
                    "{}{cause}",
                    if depth == 0 {
                        "\nerror: "
                    } else {
                        "  because: "
                    }
                );
            }
            ExitCode::FAILURE
        }
    }
}

fn run(task: XtaskCmd) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace::root());
    match task {
        XtaskCmd::Ci(task) => ci::run(&sh, &task.step),
        XtaskCmd::Tidy(_) => tidy::run(&sh),
        XtaskCmd::Features(task) => features::run(&sh, &task.package),
        XtaskCmd::Budget(_) => budget::run(&sh),
        XtaskCmd::Docs(task) => docs::run(&sh, task.write),
        XtaskCmd::Coverage(task) => coverage::run(&sh, task.write),
        XtaskCmd::MinimalVersions(_) => minimal::run(&sh),
        XtaskCmd::Loom(task) => loom::run(&sh, &task.filter),
        XtaskCmd::Fuzz(task) => fuzz::run(&sh, &task.filter, task.seconds.unwrap_or(30)),
        XtaskCmd::Release(task) => release::run(&sh, &task.version, task.execute),
        XtaskCmd::Bench(task) => bench::run(&sh, &task),
        XtaskCmd::Soak(task) => soak::run(&sh, &task),
        XtaskCmd::E2e(task) => e2e::run(&sh, &task.name),
    }
}
