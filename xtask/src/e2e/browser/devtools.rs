//! The DevTools protocol: JSON messages, each terminated by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The time limit of a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The connection to a browser.
pub(super) struct Devtools {
    input: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    /// Received events, oldest first.
    events: Vec<Value>,
}

impl Devtools {
    pub(super) fn new(input: ChildStdin, output: ChildStdout) -> Self {
        let (sender, messages) = channel();
        // Reads in a thread, since pipes have no read timeout. The thread ends with the browser.
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

    /// Calls a method of the browser and returns its result.
    pub(super) fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.send(json!({"method": method, "params": params}))
            .with_context(|| format!("browser method {method} failed"))
    }

    /// Calls a method of a page and returns its result.
    pub(super) fn call_page(
        &mut self,
        session: &str,
        method: &str,
        params: Value,
    ) -> Result<Value> {
        self.send(json!({"method": method, "params": params, "sessionId": session}))
            .with_context(|| format!("page method {method} failed"))
    }

    /// Returns the events of a page with this name since the last call.
    pub(super) fn take_events(&mut self, session: &str, method: &str) -> Vec<Value> {
        let matches =
            |event: &mut Value| event["sessionId"] == session && event["method"] == method;
        self.events.extract_if(.., matches).collect()
    }

    /// Waits and stores the events received meanwhile.
    pub(super) fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let remaining = || until.saturating_duration_since(Instant::now());
        while let Ok(event) = self.messages.recv_timeout(remaining()) {
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
            let mut response = self.messages.recv_timeout(CALL_TIMEOUT)?;
            // Messages without an id are events. Other ids belong to calls that timed out.
            if response["id"].is_null() {
                self.events.push(response);
            } else if response["id"] == self.calls {
                if let Some(error) = response["error"]["message"].as_str() {
                    bail!("{error}");
                }
                return Ok(response["result"].take());
            }
        }
    }
}
