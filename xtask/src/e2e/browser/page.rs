//! A page of the browser, and what a check can do with it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::devtools::Devtools;

/// How long something on a page may take to become true.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before a page is asked again.
const PAUSE: Duration = Duration::from_millis(30);

/// An open page. An exception that nobody caught in its scripts, or a blocked resource, fails the check.
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
            .context("the browser named no session")?
            .to_owned();
        let mut page = Self { devtools, session };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.call(domain, json!({}))?;
        }
        Ok(page)
    }

    /// Calls any method of the DevTools protocol on this page.
    pub(super) fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.devtools.call_page(&self.session, method, params)
    }

    /// Goes to a URL and waits until it has loaded.
    pub(super) fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("cannot open the page: {error}");
        }
        self.wait_for("the page has loaded", "document.readyState === 'complete'")
    }

    /// Evaluates an expression and returns its value; a promise is awaited.
    pub(super) fn eval(&mut self, expression: &str) -> Result<Value> {
        let mut answer = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true}),
        )?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!(
                "the page threw {}",
                exception["exception"]["description"]
                    .as_str()
                    .unwrap_or("something")
            );
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true. A page that goes to another meanwhile is asked again there.
    ///
    /// Without scripts, a page has no timers: so the waiting is done here.
    pub(super) fn wait_for(&mut self, what: &str, expression: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let value = self.eval(&format!("Boolean({expression})"));
            if matches!(&value, Ok(Value::Bool(true))) {
                return Ok(());
            }
            if Instant::now() > until {
                value.with_context(|| format!("waiting until {what}"))?;
                bail!(
                    "after {} s, it was not true that {what}: {expression}",
                    PATIENCE.as_secs()
                );
            }
            self.devtools.pause(PAUSE);
        }
    }

    /// The text that a person sees in the first element that a CSS selector finds.
    pub(super) fn text(&mut self, selector: &str) -> Result<String> {
        let selector = Value::from(selector);
        let text = self.eval(&format!(
            "document.querySelector({selector})?.innerText ?? null"
        ))?;
        let text = text.as_str().map(ToOwned::to_owned);
        text.with_context(|| format!("nothing on the page is {selector}"))
    }

    /// How many elements a CSS selector finds.
    pub(super) fn count(&mut self, selector: &str) -> Result<u64> {
        let selector = Value::from(selector);
        let count = self.eval(&format!("document.querySelectorAll({selector}).length"))?;
        count.as_u64().context("a length is a number")
    }

    /// Clicks on the first element that a CSS selector finds.
    pub(super) fn click(&mut self, selector: &str) -> Result<()> {
        let selector = Value::from(selector);
        let clicked = self.eval(&format!(
            "(e => {{ e?.click(); return e !== null; }})(document.querySelector({selector}))"
        ))?;
        ensure!(clicked == true, "nothing on the page is {selector}");
        Ok(())
    }

    /// Types text where the focus is, as a keyboard would.
    pub(super) fn insert_text(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({"text": text}))?;
        Ok(())
    }

    /// Presses and releases a key by its name, such as `Enter`.
    pub(super) fn press(&mut self, key: &str) -> Result<()> {
        let text = if key == "Enter" { "\r" } else { "" };
        let code = if key == "Enter" { 13 } else { 0 };
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code}),
            )?;
        }
        Ok(())
    }

    /// Turns the page's scripts off or on, from the next page on.
    pub(super) fn set_javascript(&mut self, is_on: bool) -> Result<()> {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !is_on}),
        )?;
        Ok(())
    }

    /// Turns the wheel over the first element that a CSS selector finds, so many pixels down.
    pub(super) fn scroll(&mut self, selector: &str, down: i32) -> Result<()> {
        let selector = Value::from(selector);
        let place = self.eval(&format!(
            "(box => ({{x: box.x + box.width / 2, y: box.y + box.height / 2}}))(document.querySelector({selector}).getBoundingClientRect())"
        ))?;
        let event = json!({"type": "mouseWheel", "x": place["x"], "y": place["y"], "deltaX": 0, "deltaY": down});
        self.call("Input.dispatchMouseEvent", event)?;
        Ok(())
    }

    /// Takes the network away from the page, or gives it back.
    pub(super) fn set_offline(&mut self, is_offline: bool) -> Result<()> {
        self.call("Network.enable", json!({}))?;
        let conditions = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.call("Network.emulateNetworkConditions", conditions)?;
        Ok(())
    }

    /// Lets the page take people to prefer a dark or a light scheme.
    pub(super) fn set_dark(&mut self, is_dark: bool) -> Result<()> {
        let value = if is_dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": value});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}))?;
        Ok(())
    }

    /// Sets the size of the window, in CSS pixels.
    pub(super) fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        Ok(())
    }

    /// Writes a picture of the page, from its top to its end, as PNG.
    pub(super) fn screenshot(&mut self, path: &Path) -> Result<()> {
        let answer = self.call(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true}),
        )?;
        let data = answer["data"].as_str().context("there is no picture")?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, STANDARD.decode(data)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Ends the page; fails if anything went wrong in it that a person would find in the console.
    pub(super) fn close(mut self) -> Result<()> {
        // A round trip, so that what happened before is known.
        self.eval("0")?;
        let mut wrong: Vec<String> = Vec::new();
        for event in self
            .devtools
            .take_events(&self.session, "Runtime.exceptionThrown")
        {
            let details = &event["params"]["exceptionDetails"];
            wrong.push(
                details["exception"]["description"]
                    .as_str()
                    .unwrap_or("an exception")
                    .to_owned(),
            );
        }
        for event in self.devtools.take_events(&self.session, "Log.entryAdded") {
            let entry = &event["params"]["entry"];
            let url = entry["url"].as_str().unwrap_or_default();
            // Browsers ask for it on their own, whether a page names one or not.
            if entry["level"] == "error" && !url.ends_with("/favicon.ico") {
                let text = entry["text"].as_str().unwrap_or_default();
                wrong.push(format!("{text} ({url})"));
            }
        }
        ensure!(
            wrong.is_empty(),
            "the console has errors: {}",
            wrong.join("; ")
        );
        self.call("Page.close", json!({}))?;
        Ok(())
    }
}
