//! A shell over a WebSocket, opened by a script as in the user interface.

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::e2e::browser::page::Page;
use crate::e2e::webhook;

pub(super) fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = webhook::start(sh)?;
    let url = server.export("SHELL_URL")?.replacen("http", "ws", 1);
    // A page of another origin, even a blank one, needs the permission of a user to connect to this machine.
    page.open(&format!("{}log.txt", server.export("LOG_URL")?))?;
    let script = format!(
        "new Promise((done, failed) => {{
            const socket = new WebSocket('{url}');
            socket.binaryType = 'arraybuffer';
            let seen = '';
            const typed = (text) => socket.send(new Uint8Array([1, ...new TextEncoder().encode(text)]));
            socket.onopen = () => {{
                socket.send(new Uint8Array([2, 30, 0, 100, 0]));
                typed('stty size; echo sum-$((40 + 2)); exit\\r');
            }};
            socket.onmessage = (event) => seen += new TextDecoder().decode(event.data);
            socket.onclose = (event) => done(event.code + ' ' + seen);
            socket.onerror = () => failed(new Error('the socket failed'));
        }})"
    );
    let seen = page.eval(&script)?;
    let seen = seen.as_str().unwrap_or_default();
    // The close code, the rows and columns of the terminal, the output of the command.
    for expected in ["1000 ", "30 100", "sum-42"] {
        ensure!(seen.contains(expected), "no {expected:?} in {seen:?}");
    }
    server.stop(sh)
}
