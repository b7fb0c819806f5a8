//! A command behind walls on systems that do not have them: there is none.

use std::io;
use std::process::ExitStatus;

use runtime_worker::Exit;
use runtime_worker::report::UsageSample;

use crate::companions::Companion;
use crate::kill_sequence::KillSignal;
use crate::output::OutputPump;
use crate::start_error::StartError;
use crate::task::PreparedCommand;
use crate::walls::TaskWalls;

/// Never exists.
pub(crate) enum WalledCommand {}

/// Never exists.
pub(crate) enum ExecRequest {}

#[cfg(unix)]
impl ExecRequest {
    pub(crate) async fn start_in<T>(self, _: &T, _: Companion) {
        match self {}
    }
}

impl WalledCommand {
    pub(crate) async fn start(
        _: PreparedCommand,
        walls: &TaskWalls,
    ) -> Result<(Self, OutputPump), StartError> {
        match *walls {}
    }

    pub(crate) async fn exec(&self, request: ExecRequest, _: Companion) {
        match request {}
    }

    pub(crate) fn signal(&self, _: KillSignal) {
        match *self {}
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match *self {}
    }

    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        match *self {}
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn meter(&self) -> crate::memory_watch::CommandMeter {
        match *self {}
    }

    pub(crate) fn report_usage(&self, _: Vec<UsageSample>) {
        match *self {}
    }

    pub(crate) fn missing_limits(&self) -> &[&'static str] {
        match *self {}
    }

    pub(crate) fn explain_failure(&self, _: Exit) -> Vec<String> {
        match *self {}
    }
}
