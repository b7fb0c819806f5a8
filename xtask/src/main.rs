//! Development tasks: `cargo xtask <task>`.
//!
//! Each task is a module. CI runs the same tasks, so a check that passes locally passes in CI.

mod bench;
mod bench_table;
mod budget;
mod by_name;
mod ci;
mod coverage;
mod docs;
mod e2e;
mod features;
mod files;
mod flags;
mod fuzz;
mod generated_part;
mod heavy_dependencies;
mod loom;
mod minimal_versions;
mod release;
mod soak;
mod standalone;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use xshell::Shell;

use crate::flags::XtaskCmd;

fn main() -> ExitCode {
    let task = match flags::parse() {
        Ok(flags) => flags.subcommand,
        Err(exit_code) => return exit_code,
    };
    if let Err(error) = run(task) {
        // Causes without the backtrace of anyhow's `Debug`: the frames of xtask explain nothing.
        eprintln!("\nerror: {error}");
        for cause in error.chain().skip(1) {
            eprintln!("  caused by: {cause}");
        }
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(task: XtaskCmd) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace::root());
    match task {
        XtaskCmd::Ci(task) => ci::run(&sh, &task.step),
        XtaskCmd::Tidy(_) => tidy::run(&sh),
        XtaskCmd::Features(task) => features::run(&sh, &task.package, task.pairs),
        XtaskCmd::Budget(_) => budget::run(&sh),
        XtaskCmd::Docs(task) => docs::run(&sh, task.write, task.open),
        XtaskCmd::Coverage(task) => coverage::run(&sh, task.write),
        XtaskCmd::MinimalVersions(_) => minimal_versions::run(&sh),
        XtaskCmd::Loom(task) => loom::run(&sh, &task.filter, task.preemptions),
        XtaskCmd::Fuzz(task) => fuzz::run(&sh, &task.filter, task.seconds.unwrap_or(30)),
        XtaskCmd::Release(task) => release::run(&sh, &task.version, task.execute),
        XtaskCmd::Archive(_) => release::archive::run(&sh),
        XtaskCmd::Bench(task) => bench::run(&sh, &task),
        XtaskCmd::Soak(task) => soak::run(&sh, &task),
        XtaskCmd::E2e(task) => e2e::run(&sh, &task.name, task.write),
    }
}
