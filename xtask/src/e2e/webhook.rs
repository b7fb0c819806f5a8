//! Clients of others against our servers of hooks: curl, openssl and the Python package `websockets`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::server::Server;
use super::{Outcome, python};

/// How many `export` lines the example prints.
pub(super) const EXPORTS: usize = 7;

/// The URLs that the example told.
pub(super) fn export<'a>(server: &'a Server, name: &str) -> Result<&'a str> {
    let mut exports = server.exports.iter();
    let found = exports.find(|(export, _)| export == name);
    let (_, value) = found.with_context(|| format!("the server exports no {name}"))?;
    Ok(value)
}

pub(super) fn start(sh: &Shell) -> Result<Server> {
    Server::start(sh, "runtime-webhook", "hooks", EXPORTS)
}

/// Runs every client against one server.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    if !cfg!(unix) {
        return Ok(Outcome::Skipped("shells need Unix".to_owned()));
    }
    for program in ["curl", "openssl"] {
        if cmd!(sh, "{program} --version")
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_err()
            && cmd!(sh, "{program} version")
                .quiet()
                .ignore_stdout()
                .ignore_stderr()
                .run()
                .is_err()
        {
            return Ok(Outcome::Skipped(format!("there is no {program}")));
        }
    }
    let server = start(sh)?;
    curl(sh, &server)?;
    openssl(sh, &server)?;
    let folder = Path::new("target/e2e/python-websockets");
    match python::with_packages(sh, folder, &["websockets"])? {
        Ok(python) => cmd!(sh, "{python} -B xtask/e2e/webhook/shell.py")
            .envs(server.exports.clone())
            .run()?,
        Err(reason) => println!("websockets: SKIPPED: {reason}"),
    }
    server.stop(sh)?;
    Ok(Outcome::Passed)
}

fn curl(sh: &Shell, server: &Server) -> Result<()> {
    let (log, live) = (export(server, "LOG_URL")?, export(server, "LIVE_URL")?);
    let whole = cmd!(sh, "curl --silent --fail --compressed {log}")
        .quiet()
        .read()?;
    ensure!(whole == "0123456789\nthe end", "the log is {whole:?}");
    let part = cmd!(sh, "curl --silent --fail --range 11- {log}")
        .quiet()
        .read()?;
    ensure!(part == "the end", "from offset 11 it is {part:?}");
    // The log goes on: curl gives up after a second, with what came.
    let followed = cmd!(sh, "curl --silent --no-buffer --max-time 1 {live}")
        .quiet()
        .ignore_status()
        .read()?;
    ensure!(
        followed.lines().count() > 3,
        "of the live log came {followed:?}"
    );

    let shell = export(server, "SHELL_URL")?;
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let headers = upgrade.iter().flat_map(|header| ["--header", header]);
    let answer = cmd!(
        sh,
        "curl --silent --include --http1.1 --no-buffer --max-time 1 {headers...} {shell}"
    )
    .quiet()
    .ignore_status()
    .output()?;
    let answer = String::from_utf8_lossy(&answer.stdout).to_ascii_lowercase();
    ensure!(
        answer.starts_with("http/1.1 101"),
        "the upgrade gave {answer:?}"
    );
    // The answer to the sample key of RFC 6455.
    ensure!(
        answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{answer:?}"
    );

    let (tls, certificate) = (
        export(server, "TLS_URL")?,
        export(server, "TLS_CERTIFICATE")?,
    );
    for (version, number) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let format = "%{http_version}";
        let answer = cmd!(
            sh,
            "curl --silent --fail --cacert {certificate} {version} --write-out {format} {tls}"
        );
        let answer = answer.quiet().read()?;
        ensure!(
            answer == format!("over TLS\n{number}"),
            "with {version}: {answer:?}"
        );
    }
    println!("curl: follows, resumes, upgrades, HTTP/2 and HTTP/1.1 over TLS: ok");
    Ok(())
}

fn openssl(sh: &Shell, server: &Server) -> Result<()> {
    let address = export(server, "TLS_ADDRESS")?;
    let certificate = export(server, "TLS_CERTIFICATE")?;
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let client = cmd!(
            sh,
            "openssl s_client -connect {address} -servername localhost -alpn h2 -CAfile {certificate} {flag}"
        );
        let seen = client.quiet().stdin("").ignore_stderr().read()?;
        for wanted in [version, "ALPN protocol: h2", "Verify return code: 0 (ok)"] {
            ensure!(seen.contains(wanted), "{flag} shows no {wanted:?}: {seen}");
        }
    }
    let old = cmd!(sh, "openssl s_client -connect {address} -tls1_1");
    let old = old.quiet().stdin("").ignore_stdout().ignore_stderr().run();
    ensure!(old.is_err(), "TLS 1.1 was accepted");
    println!("openssl s_client: TLS 1.2 and 1.3 with ALPN, not 1.1: ok");
    Ok(())
}
