//! A page of the browser, with the actions that checks need.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::e2e::browser::devtools::Devtools;

/// The time limit for a condition to become true.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// The time between two evaluations of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// An open page. Uncaught exceptions in its scripts and blocked resources fail the check.
pub(super) struct Page<'a> {
    devtools: &'a mut Devtools,
    session: String,
}

impl<'a> Page<'a> {
    pub(super) fn attach(devtools: &'a mut Devtools, target: &Value) -> Result<Self> {
        let attached = devtools.call(
            "Target.attachToTarget",
            json!({"targetId": target, "flatten": true}),
        )?;
        let session = attached["sessionId"]
            .as_str()
            .context("the response has no session")?
            .to_owned();
        let mut page = Self { devtools, session };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.command(domain, json!({}))?;
        }
        Ok(page)
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.devtools.call_page(&self.session, method, params)
    }

    /// Calls a method whose result is empty.
    fn command(&mut self, method: &str, params: Value) -> Result<()> {
        self.call(method, params).map(drop)
    }

    /// Navigates to a URL and waits until the page has loaded.
    pub(super) fn open(&mut self, url: &str) -> Result<()> {
        let response = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = response["errorText"].as_str() {
            bail!("cannot open the page: {error}");
        }
        self.wait_for("the page has loaded", "document.readyState === 'complete'")
    }

    /// Evaluates an expression and returns its value; a promise is awaited.
    pub(super) fn eval(&mut self, expression: &str) -> Result<Value> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut response = self.call("Runtime.evaluate", params)?;
        if let Some(details) = response.get("exceptionDetails") {
            bail!("the page threw {}", exception_text(details));
        }
        Ok(response["result"]["value"].take())
    }

    /// Waits until an expression is true, even across a navigation.
    pub(super) fn wait_for(&mut self, what: &str, expression: &str) -> Result<()> {
        // Polls from outside, since a page without scripts has no timers.
        let until = Instant::now() + WAIT_TIMEOUT;
        loop {
            let value = self.eval(&format!("Boolean({expression})"));
            if matches!(&value, Ok(Value::Bool(true))) {
                return Ok(());
            }
            if Instant::now() > until {
                value.with_context(|| format!("waiting until {what}"))?;
                let seconds = WAIT_TIMEOUT.as_secs();
                bail!("timed out after {seconds} s waiting until {what}: {expression}");
            }
            self.devtools.pause(POLL_INTERVAL);
        }
    }

    /// Returns the visible text of the first element that matches a CSS selector.
    pub(super) fn text(&mut self, selector: &str) -> Result<String> {
        let selector = Value::from(selector);
        let text = self.eval(&format!(
            "document.querySelector({selector})?.innerText ?? null"
        ))?;
        let text = text.as_str().map(ToOwned::to_owned);
        text.with_context(|| format!("no element matches {selector}"))
    }

    /// Returns the number of elements that match a CSS selector.
    pub(super) fn count(&mut self, selector: &str) -> Result<u64> {
        let selector = Value::from(selector);
        let count = self.eval(&format!("document.querySelectorAll({selector}).length"))?;
        count.as_u64().context("the length is not a number")
    }

    /// Clicks on the first element that matches a CSS selector.
    pub(super) fn click(&mut self, selector: &str) -> Result<()> {
        let selector = Value::from(selector);
        let clicked = self.eval(&format!(
            "(e => {{ e?.click(); return e !== null; }})(document.querySelector({selector}))"
        ))?;
        ensure!(clicked == true, "no element matches {selector}");
        Ok(())
    }

    /// Types text into the focused element.
    pub(super) fn insert_text(&mut self, text: &str) -> Result<()> {
        self.command("Input.insertText", json!({"text": text}))
    }

    /// Presses and releases a key, such as `Enter`.
    pub(super) fn press(&mut self, key: &str) -> Result<()> {
        let (text, code) = if key == "Enter" { ("\r", 13) } else { ("", 0) };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code});
            self.command("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Enables or disables scripts, starting with the next page.
    pub(super) fn set_javascript(&mut self, is_on: bool) -> Result<()> {
        let is_off = json!({"value": !is_on});
        self.command("Emulation.setScriptExecutionDisabled", is_off)
    }

    /// Scrolls the first element that matches a CSS selector down by this number of pixels, with the mouse wheel.
    pub(super) fn scroll(&mut self, selector: &str, down: i32) -> Result<()> {
        let selector = Value::from(selector);
        let position = self.eval(&format!(
            "(box => ({{x: box.x + box.width / 2, y: box.y + box.height / 2}}))(document.querySelector({selector}).getBoundingClientRect())"
        ))?;
        let event = json!({"type": "mouseWheel", "x": position["x"], "y": position["y"], "deltaX": 0, "deltaY": down});
        self.command("Input.dispatchMouseEvent", event)
    }

    /// Disconnects the page from the network, or reconnects it.
    pub(super) fn set_offline(&mut self, is_offline: bool) -> Result<()> {
        self.command("Network.enable", json!({}))?;
        let conditions = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.command("Network.emulateNetworkConditions", conditions)
    }

    /// Sets the colour scheme that the user prefers.
    pub(super) fn set_dark(&mut self, is_dark: bool) -> Result<()> {
        let value = if is_dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": value});
        self.command("Emulation.setEmulatedMedia", json!({"features": [feature]}))
    }

    /// Sets the size of the window, in CSS pixels.
    pub(super) fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size)
    }

    /// Writes a PNG of the whole page.
    pub(super) fn screenshot(&mut self, path: &Path) -> Result<()> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let response = self.call("Page.captureScreenshot", params)?;
        let data = response["data"].as_str().context("no screenshot")?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, STANDARD.decode(data)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Closes the page; fails if the console has errors.
    pub(super) fn close(mut self) -> Result<()> {
        // A round trip, after which all earlier events have been received.
        self.eval("0")?;
        let (devtools, session) = (&mut *self.devtools, &self.session);
        let exceptions = devtools.take_events(session, "Runtime.exceptionThrown");
        let exceptions = exceptions
            .iter()
            .map(|event| exception_text(&event["params"]["exceptionDetails"]).to_owned());
        let mut errors: Vec<String> = exceptions.collect();
        for event in devtools.take_events(session, "Log.entryAdded") {
            let entry = &event["params"]["entry"];
            let url = entry["url"].as_str().unwrap_or_default();
            // Browsers request the icon even if the page does not name one.
            if entry["level"] == "error" && !url.ends_with("/favicon.ico") {
                let text = entry["text"].as_str().unwrap_or_default();
                errors.push(format!("{text} ({url})"));
            }
        }
        ensure!(errors.is_empty(), "console: {}", errors.join("; "));
        self.command("Page.close", json!({}))
    }
}

fn exception_text(details: &Value) -> &str {
    let description = details["exception"]["description"].as_str();
    description.unwrap_or("an exception")
}
