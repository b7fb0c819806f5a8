//! The DevTools protocol: JSON messages, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long the browser may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The connection to a browser.
pub(super) struct Devtools {
    input: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    /// What the browser told without being asked, oldest first.
    events: Vec<Value>,
}

impl Devtools {
    pub(super) fn new(input: ChildStdin, output: ChildStdout) -> Self {
        let (sender, messages) = channel();
        // Ends when the browser does.
        thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else {
                    continue;
                };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self {
            input,
            messages,
            calls: 0,
            events: Vec::new(),
        }
    }

    /// Calls a method of the browser and waits for what it returns.
    pub(super) fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.send(json!({"method": method, "params": params}))
            .with_context(|| format!("the browser did not do {method}"))
    }

    /// Calls a method of a page.
    pub(super) fn call_page(
        &mut self,
        session: &str,
        method: &str,
        params: Value,
    ) -> Result<Value> {
        self.send(json!({"method": method, "params": params, "sessionId": session}))
            .with_context(|| format!("the page did not do {method}"))
    }

    /// The events of a page with this name since the last time.
    pub(super) fn take_events(&mut self, session: &str, method: &str) -> Vec<Value> {
        let is_asked =
            |event: &mut Value| event["sessionId"] == session && event["method"] == method;
        self.events.extract_if(.., is_asked).collect()
    }

    /// Waits, and keeps what the browser tells meanwhile.
    pub(super) fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(event) = self
            .messages
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.events.push(event);
        }
    }

    fn send(&mut self, mut message: Value) -> Result<Value> {
        self.calls += 1;
        message["id"] = self.calls.into();
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes)?;
        self.input.flush()?;
        loop {
            let mut answer = self.messages.recv_timeout(PATIENCE)?;
            if answer["id"].is_null() {
                self.events.push(answer);
            } else if answer["id"] == self.calls {
                if let Some(error) = answer["error"]["message"].as_str() {
                    bail!("{error}");
                }
                return Ok(answer["result"].take());
            }
        }
    }
}
