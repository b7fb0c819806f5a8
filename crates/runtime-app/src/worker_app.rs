//! The public builder of a program, and its commands.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use runtime_dev_server::output;
use runtime_webhook::WebHookConfig;
use runtime_worker::{IntoEngine, Plugin};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::args::{Arguments, Command, ConfigArgs, DocsArgs, TaskArgs, WorkerArgs};
use crate::assembly::temporary_folder;
use crate::config::ConfigSource;
use crate::config_loader::{ConfigLoader, TypedConfigLoader};
use crate::parts::{AddPlugin, AppParts};
use crate::program::ProgramSpec;
use crate::{connect, local_tasks, print};

/// The time limit for blocking calls to return at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A program that runs tasks in an engine. See [the crate](crate) for its commands.
pub struct WorkerApp<S = NoEngine> {
    name: &'static str,
    version: &'static str,
    about: &'static str,
    engine: S,
    plugins: Vec<AddPlugin>,
    end_leftovers: fn(&[&Path]),
    demo_tasks: &'static [(&'static str, &'static str)],
}

/// The state of a [`WorkerApp`] without an engine, which cannot run.
#[derive(Debug)]
pub struct NoEngine(());

/// The state of a [`WorkerApp`] with an engine.
pub struct WithEngine(Box<dyn ConfigLoader>);

impl WorkerApp {
    /// Creates a program with the name and version that `--help` and `--version` show.
    #[must_use]
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            about: "Runs Taskcluster tasks.",
            engine: NoEngine(()),
            plugins: Vec::new(),
            end_leftovers: |_| (),
            demo_tasks: &[],
        }
    }

    /// Sets the engine: a function that creates it from the section `engine` of the configuration.
    ///
    /// The function returns an engine, or a `Result` with one. An error ends the program.
    ///
    /// The first argument of the function has the type of the section. The default of this type applies if the
    /// configuration has no such section. The section is checked with the rest of the configuration; with
    /// `deny_unknown_fields`, unknown keys are errors.
    #[must_use]
    pub fn engine<C, R>(
        self,
        create: impl Fn(C, &AppParts<'_>) -> R + Send + Sync + 'static,
    ) -> WorkerApp<WithEngine>
    where
        C: DeserializeOwned + Serialize + JsonSchema + Default + Send + 'static,
        R: IntoEngine + 'static,
    {
        WorkerApp {
            name: self.name,
            version: self.version,
            about: self.about,
            engine: WithEngine(Box::new(TypedConfigLoader::new(create))),
            plugins: self.plugins,
            end_leftovers: self.end_leftovers,
            demo_tasks: self.demo_tasks,
        }
    }
}

impl<S> WorkerApp<S> {
    /// Sets the sentence that `--help` shows. Default: `Runs Taskcluster tasks.`
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Adds a plugin after the standard ones.
    #[must_use]
    pub fn plugin<P: Plugin + 'static>(
        mut self,
        create: impl Fn(&AppParts<'_>) -> P + Send + Sync + 'static,
    ) -> Self {
        let add: AddPlugin = Box::new(move |worker, parts| worker.plugin(create(parts)));
        self.plugins.push(add);
        self
    }

    /// Sets a function that ends processes of dead workers' tasks. When a worker starts, the function is called with
    /// the temporary folders of dead workers, before these folders are removed. Default: none.
    ///
    /// The function of the process engine is `ProcessEngine::kill_leftovers`.
    #[must_use]
    pub fn end_leftovers(mut self, end: fn(&[&Path])) -> Self {
        self.end_leftovers = end;
        self
    }

    /// Sets the names and definitions (YAML) of the tasks that run when the program is started without arguments.
    /// Default: none; the program then prints its help.
    #[must_use]
    pub fn demo_tasks(mut self, tasks: &'static [(&'static str, &'static str)]) -> Self {
        self.demo_tasks = tasks;
        self
    }
}

impl WorkerApp<WithEngine> {
    /// Runs the program with the arguments of the process, and returns its exit code.
    ///
    /// Errors are written to standard error. The exit code is 0 for success, 1 for errors, 2 for wrong arguments. For
    /// `run-task` with one failed task, it is the exit code of the task. If a worker stops for one of the following
    /// reasons, the exit code is that of generic-worker:
    ///
    /// | code | cause |
    /// | --- | --- |
    /// | 0 | a signal, `maxTasks` or `maxLifeTime` |
    /// | 68 | no task for the time of `plugins.idleStop` |
    /// | 69 | internal errors |
    /// | 70 | a request of worker-manager |
    /// | 72 | the end of the machine, a request of worker-runner, or a registration that cannot be renewed |
    #[must_use]
    pub fn run(self) -> ExitCode {
        self.run_with(std::env::args_os())
    }

    /// Runs the program with the given arguments. The first one, the program's name, is ignored.
    #[must_use]
    pub fn run_with(self, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
        let command = Arguments::command()
            .name(self.name)
            .version(self.version)
            .about(self.about)
            .long_about(self.about);
        let parsed = command
            .try_get_matches_from(arguments)
            .and_then(|matches| Arguments::from_arg_matches(&matches));
        let arguments = match parsed {
            Ok(arguments) => arguments,
            Err(error) => {
                // Fails if the output is closed, which changes nothing.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
            }
        };
        let program = ProgramSpec {
            name: self.name,
            engine: self.engine.0,
            plugins: self.plugins,
            end_leftovers: self.end_leftovers,
            demo_tasks: self.demo_tasks,
        };
        match run(&program, arguments) {
            Ok(code) => code,
            Err(error) => {
                output::error_line(format_args!("error: {error:#}"));
                ExitCode::FAILURE
            }
        }
    }
}

fn run(program: &ProgramSpec, arguments: Arguments) -> Result<ExitCode> {
    let runtime = Runtime::new()?;
    let result = runtime.block_on(run_command(program, arguments));
    // A read of standard input cannot be cancelled, and worker-runner keeps it open until the worker has exited.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}

async fn run_command(program: &ProgramSpec, arguments: Arguments) -> Result<ExitCode> {
    let Some(command) = arguments.command else {
        let mut files = arguments.tasks.definitions.iter();
        if let Some(missing) = files.find(|file| !file.exists()) {
            let missing = missing.display();
            anyhow::bail!("`{missing}` is neither a command nor a task definition; see --help");
        }
        return run_tasks(program, &arguments.tasks).await;
    };
    match command {
        Command::RunTask(args) => return run_tasks(program, &args).await,
        Command::Dev(dev) => {
            let args = TaskArgs {
                definitions: Vec::new(),
                keep: true,
                json: false,
                dev,
            };
            return local_tasks::run(program, &[], &args).await;
        }
        Command::Run(args) => {
            let mut source = Source::new(&args.config)?;
            if let (true, Some(file)) = (args.options.with_worker_runner, args.config.config) {
                source.config = ConfigSource::WorkerRunner(file);
            }
            return connect::run(program, &source.config, &args.options).await;
        }
        Command::Check(args) => {
            let source = Source::new(&args)?;
            connect::check(program, &source.config).await?;
        }
        Command::PrintConfig(args) => {
            let source = Source::new(&args.config)?;
            let text = connect::print_config(program, &source.config, args.local).await?;
            print_result(text)?;
        }
        Command::Completions(args) => {
            let mut command = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut command, program.name, &mut script);
            print_result(String::from_utf8(script)?)?;
        }
        Command::Schema(args) if args.web_hooks => {
            print_result(format!("{:#}", WebHookConfig::schema().to_value()))?;
        }
        Command::Schema(_) => print_result(format!("{:#}", program.engine.schema()))?,
        Command::Docs(args) => {
            let source = docs_source(args);
            let loaded = program.engine.load(&source.document()?, None)?;
            print_result(print::documentation(program, loaded).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_tasks(program: &ProgramSpec, args: &TaskArgs) -> Result<ExitCode> {
    if args.definitions.is_empty() && program.demo_tasks.is_empty() && !args.keep {
        anyhow::bail!("missing task definition or command; see --help");
    }
    local_tasks::run(program, program.demo_tasks, args).await
}

fn print_result(text: String) -> Result<()> {
    output::result(text).context("cannot print")
}

/// The source of a configuration, and the data folder of a worker without a configured one.
struct Source {
    config: ConfigSource,
    _folder: Option<TempDir>,
}

impl Source {
    fn new(args: &ConfigArgs) -> Result<Self> {
        if let Some(file) = &args.config {
            return Ok(Self {
                config: ConfigSource::File(file.clone()),
                _folder: None,
            });
        }
        let root_url = args.root_url()?;
        let folder = temporary_folder()?;
        let data = args.worker.data.as_deref().unwrap_or(folder.path());
        Ok(Self {
            config: ConfigSource::from_args(&args.worker, &root_url, data, "info"),
            _folder: Some(folder),
        })
    }
}

/// Returns the file, or the configuration of a worker without one.
fn docs_source(args: DocsArgs) -> ConfigSource {
    match args.config {
        Some(file) => ConfigSource::File(file),
        None => {
            let defaults = DefaultWorker::parse_from([""]).worker;
            let data = PathBuf::from("unused");
            ConfigSource::from_args(&defaults, "https://tc.example.com", &data, "error")
        }
    }
}

/// Parses the defaults of the arguments.
#[derive(clap::Parser)]
struct DefaultWorker {
    #[command(flatten)]
    worker: WorkerArgs,
}

impl<S> fmt::Debug for WorkerApp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerApp")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WithEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithEngine").finish_non_exhaustive()
    }
}
