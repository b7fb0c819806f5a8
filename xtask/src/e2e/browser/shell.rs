//! A shell, opened by a script as the user interface does.

use anyhow::{Result, ensure};
use xshell::Shell;

use super::Check;
use super::page::Page;
use crate::e2e::webhook::{export, start};

pub(super) const CHECK: Check = Check {
    name: "shell",
    what: "a browser's WebSocket opens a shell, types and resizes",
    run,
};

fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = start(sh)?;
    let url = export(&server, "SHELL_URL")?.replacen("http", "ws", 1);
    // Browsers ask a person before a page from elsewhere, a blank one included, may connect to this machine.
    page.open(&format!("{}log.txt", export(&server, "LOG_URL")?))?;
    let script = format!(
        "new Promise((done, failed) => {{
            const socket = new WebSocket('{url}');
            socket.binaryType = 'arraybuffer';
            let seen = '';
            const typed = (text) => socket.send(new Uint8Array([1, ...new TextEncoder().encode(text)]));
            socket.onopen = () => {{
                socket.send(new Uint8Array([2, 100, 0, 30, 0]));
                typed('stty size; echo sum-$((40 + 2)); exit\\r');
            }};
            socket.onmessage = (event) => seen += new TextDecoder().decode(event.data);
            socket.onclose = (event) => done(event.code + ' ' + seen);
            socket.onerror = () => failed(new Error('the socket failed'));
        }})"
    );
    let seen = page.eval(&script)?;
    let seen = seen.as_str().unwrap_or_default();
    for wanted in ["1000 ", "30 100", "sum-42"] {
        ensure!(seen.contains(wanted), "no {wanted:?} in {seen:?}");
    }
    server.stop(sh)
}
