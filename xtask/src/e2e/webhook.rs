//! curl, openssl and the Python package `websockets` use hooks.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::e2e::server::Server;
use crate::e2e::{missing, python, skip};
use crate::tools;

/// The number of `export` lines that the example prints.
const EXPORTS: usize = 7;

/// Starts the example that serves hooks.
pub(super) fn start(sh: &Shell) -> Result<Server> {
    Server::start(sh, "hooks", EXPORTS)
}

/// Runs every client against one server.
pub(super) fn run(sh: &Shell) -> Result<()> {
    if !cfg!(unix) {
        return Err(missing("shells need Unix"));
    }
    for (program, version) in [("curl", "--version"), ("openssl", "version")] {
        if !tools::succeeds(cmd!(sh, "{program} {version}")) {
            return Err(missing(format!("{program} is not installed")));
        }
    }
    let server = start(sh)?;
    logs(sh, &server)?;
    upgrade(sh, &server)?;
    http_over_tls(sh, &server)?;
    println!("curl: follows, resumes, upgrades, HTTP/2 and HTTP/1.1 over TLS: ok");
    tls_versions(sh, &server)?;
    println!("openssl s_client: TLS 1.2 and 1.3 with ALPN, not 1.1: ok");
    match python::with_packages(sh, "target/e2e/python-websockets", &["websockets"]) {
        Ok(python) => python::run(sh, &python, "webhook/shell.py", &server)?,
        Err(error) => skip("websockets", error)?,
    }
    server.stop(sh)
}

fn logs(sh: &Shell, server: &Server) -> Result<()> {
    let (log, live) = (server.export("LOG_URL")?, server.export("LIVE_URL")?);
    let whole = cmd!(sh, "curl --silent --fail --compressed {log}");
    let whole = whole.quiet().read()?;
    ensure!(whole == "0123456789\nthe end", "the log is {whole:?}");
    let part = cmd!(sh, "curl --silent --fail --range 11- {log}");
    let part = part.quiet().read()?;
    ensure!(part == "the end", "the log from offset 11 is {part:?}");
    // The log does not end: curl times out after a second and prints the lines received until then.
    let followed = cmd!(sh, "curl --silent --no-buffer --max-time 1 {live}");
    let followed = followed.quiet().ignore_status().read()?;
    ensure!(followed.lines().count() > 3, "the live log is {followed:?}");
    Ok(())
}

fn upgrade(sh: &Shell, server: &Server) -> Result<()> {
    let shell = server.export("SHELL_URL")?;
    let headers = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let headers = headers.iter().flat_map(|header| ["--header", header]);
    let upgrade = cmd!(
        sh,
        "curl --silent --include --http1.1 --no-buffer --max-time 1 {headers...} {shell}"
    );
    let response = upgrade.quiet().ignore_status().output()?;
    let response = String::from_utf8_lossy(&response.stdout).to_ascii_lowercase();
    // The value that RFC 6455 gives for its sample key.
    let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
    ensure!(
        response.starts_with("http/1.1 101") && response.contains(accept),
        "the response to the upgrade is {response:?}"
    );
    Ok(())
}

fn http_over_tls(sh: &Shell, server: &Server) -> Result<()> {
    let url = server.export("TLS_URL")?;
    let certificate = server.export("TLS_CERTIFICATE")?;
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let format = "%{http_version}";
        let response = cmd!(
            sh,
            "curl --silent --fail --cacert {certificate} {flag} --write-out {format} {url}"
        );
        let response = response.quiet().read()?;
        let expected = format!("over TLS\n{version}");
        ensure!(response == expected, "with {flag}: {response:?}");
    }
    Ok(())
}

fn tls_versions(sh: &Shell, server: &Server) -> Result<()> {
    let address = server.export("TLS_ADDRESS")?;
    let certificate = server.export("TLS_CERTIFICATE")?;
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let client = cmd!(
            sh,
            "openssl s_client -connect {address} -servername localhost -alpn h2 -CAfile {certificate} {flag}"
        );
        let output = client.quiet().stdin("").ignore_stderr().read()?;
        for expected in [version, "ALPN protocol: h2", "Verify return code: 0 (ok)"] {
            ensure!(
                output.contains(expected),
                "openssl with {flag} does not print {expected:?}: {output}"
            );
        }
    }
    let old = cmd!(sh, "openssl s_client -connect {address} -tls1_1").stdin("");
    ensure!(!tools::succeeds(old), "TLS 1.1 was accepted");
    Ok(())
}
