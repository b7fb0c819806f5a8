//! A headless Chromium, controlled through pipes instead of a port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;
use xshell::{Shell, cmd};

use crate::e2e::browser::devtools::Devtools;
use crate::e2e::browser::page::Page;
use crate::e2e::missing;
use crate::workspace;

const PROGRAMS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// A running browser with a new profile. Drop closes the browser and removes the profile.
pub(super) struct Chromium {
    child: Child,
    profile: PathBuf,
    devtools: Devtools,
}

impl Chromium {
    /// Starts the browser.
    pub(super) fn start(sh: &Shell) -> Result<Self> {
        if cfg!(windows) {
            return Err(missing(
                "a Unix shell, which connects the pipes of the browser",
            ));
        }
        let (program, version) =
            find(sh).ok_or_else(|| missing("Chromium; on Debian, `apt-get install chromium`"))?;
        println!("browser: {version}");
        let profile = workspace::root().join(format!("target/e2e/browser-{}", std::process::id()));
        fs::create_dir_all(&profile)
            .with_context(|| format!("cannot create {}", profile.display()))?;
        let mut child = spawn(program, &profile)?;
        let input = child.stdin.take().context("stdin is piped")?;
        let output = child.stdout.take().context("stdout is piped")?;
        Ok(Self {
            child,
            profile,
            devtools: Devtools::new(input, output),
        })
    }

    /// Opens a blank page that shares neither cookies nor storage with other pages.
    pub(super) fn open_page(&mut self) -> Result<Page<'_>> {
        let devtools = &mut self.devtools;
        let context = devtools.call("Target.createBrowserContext", json!({}))?;
        let blank = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        let target = devtools.call("Target.createTarget", blank)?;
        Page::attach(devtools, &target["targetId"])
    }
}

/// Returns the first installed program, with its version.
fn find(sh: &Shell) -> Option<(&'static str, String)> {
    PROGRAMS.iter().find_map(|name| {
        let version = cmd!(sh, "{name} --version").quiet().ignore_stderr().read();
        Some((*name, version.ok()?.trim().to_owned()))
    })
}

fn spawn(program: &str, profile: &Path) -> Result<Child> {
    let mut user_data = std::ffi::OsString::from("--user-data-dir=");
    user_data.push(profile);
    // The browser reads commands from descriptor 3 and responds on 4. A shell connects both to stdin and stdout.
    let redirect = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
    let mut command = Command::new("sh");
    command.args(["-c", redirect, program]).args(FLAGS);
    command.arg(user_data);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.with_context(|| format!("cannot start {program}"))
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A regular close also ends the child processes of the browser. A browser that does not respond is killed.
        if self.devtools.call("Browser.close", json!({})).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}
