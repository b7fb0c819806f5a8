//! A headless Chromium that is driven through pipes, so that it opens no port.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;
use xshell::{Shell, cmd};

use super::devtools::Devtools;
use super::page::Page;
use crate::workspace;

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

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

/// A running browser with a profile of its own; both go when this is dropped.
pub(super) struct Chromium {
    child: Child,
    profile: PathBuf,
    devtools: Devtools,
}

impl Chromium {
    /// Starts it, or says why there is none.
    pub(super) fn start(sh: &Shell) -> Result<Result<Self, String>> {
        if cfg!(windows) {
            return Ok(Err(
                "the browser is driven through pipes that need a Unix shell".to_owned(),
            ));
        }
        let Some((program, version)) = find(sh) else {
            return Ok(Err(
                "there is no Chromium; on Debian, `apt-get install chromium`".to_owned(),
            ));
        };
        println!("browser: {version}");
        let profile = workspace::root().join(format!("target/e2e/browser-{}", std::process::id()));
        fs::create_dir_all(&profile)
            .with_context(|| format!("cannot make {}", profile.display()))?;
        let mut child = spawn(program, &profile)?;
        let input = child.stdin.take().context("its input is piped")?;
        let output = child.stdout.take().context("its output is piped")?;
        Ok(Ok(Self {
            child,
            profile,
            devtools: Devtools::new(input, output),
        }))
    }

    /// Opens a blank page that shares neither cookies nor storage with others.
    pub(super) fn open_page(&mut self) -> Result<Page<'_>> {
        let context = self
            .devtools
            .call("Target.createBrowserContext", json!({}))?;
        let context = &context["browserContextId"];
        let target = self.devtools.call(
            "Target.createTarget",
            json!({"url": "about:blank", "browserContextId": context}),
        )?;
        Page::attach(&mut self.devtools, &target["targetId"])
    }
}

/// The first of the names that is installed, and what it says of itself.
fn find(sh: &Shell) -> Option<(&'static str, String)> {
    NAMES.iter().find_map(|name| {
        let version = cmd!(sh, "{name} --version").quiet().ignore_stderr().read();
        Some((*name, version.ok()?.trim().to_owned()))
    })
}

/// The browser reads commands from descriptor 3 and answers on 4, so a shell moves its input and output there.
fn spawn(program: &str, profile: &std::path::Path) -> Result<Child> {
    let mut user_data = std::ffi::OsString::from("--user-data-dir=");
    user_data.push(profile);
    let command = Command::new("sh")
        .args([
            "-c",
            r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
        ])
        .arg(program)
        .args(FLAGS)
        .arg(user_data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    command.with_context(|| format!("cannot start {program}"))
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A browser that is asked to close takes its helpers along; one that is stuck is killed.
        if self.devtools.call("Browser.close", json!({})).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}
