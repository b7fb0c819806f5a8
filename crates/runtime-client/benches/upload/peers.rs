//! Other programs that upload files.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ring::digest::{Context, SHA512};
use secrecy::{ExposeSecret as _, SecretString};

use super::CONTENT_TYPE;

/// Returns which of the programs are not installed.
pub(crate) fn missing(programs: &[&str]) -> Option<String> {
    let is_there = |program: &&&str| {
        let mut command = Command::new(program);
        command.arg(match **program {
            "openssl" => "version",
            _ => "--version",
        });
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok()
    };
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| !is_there(program))
        .copied()
        .collect();
    (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")))
}

/// Uploads with `curl -T`.
pub(crate) fn put(file: &Path, url: &SecretString) {
    finish(start_put(file, url));
}

/// Uploads with `curl -T` while openssl computes both hashes.
pub(crate) fn put_and_hash(file: &Path, url: &SecretString) {
    let hash = |name| {
        let mut command = Command::new("openssl");
        command.args(["dgst", name]).arg(file).stdout(Stdio::null());
        command.spawn().expect("openssl starts")
    };
    let children = [start_put(file, url), hash("-sha256"), hash("-sha512")];
    children.into_iter().for_each(finish);
}

/// Computes SHA-512 with the implementation that uploads use.
pub(crate) fn hash(file: &Path) {
    let mut file = File::open(file).expect("it exists");
    let (mut context, mut buffer) = (Context::new(&SHA512), vec![0; 128 << 10]);
    while let read @ 1.. = file.read(&mut buffer).expect("it can be read") {
        context.update(&buffer[..read]);
    }
    std::hint::black_box(context.finish());
}

fn start_put(file: &Path, url: &SecretString) -> Child {
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "-K", "-", "-T"]).arg(file);
    command.args(["-H", &format!("Content-Type: {CONTENT_TYPE}")]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("curl starts");
    // As input, not as argument: the URL is signed, and every user can read the arguments of a process.
    let mut config = child.stdin.take().expect("its input is piped");
    writeln!(config, "url = \"{}\"", url.expose_secret()).expect("curl reads");
    child
}

fn finish(mut child: Child) {
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status}");
}
