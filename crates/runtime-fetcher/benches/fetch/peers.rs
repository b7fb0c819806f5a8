//! The programs to compare with, if installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::site::Site;

/// An installed program.
pub(crate) struct Peer {
    name: &'static str,
}

impl Peer {
    pub(crate) fn find(name: &str) -> Option<Self> {
        let (name, flag) = match name {
            "curl" => ("curl", "--version"),
            "openssl" => ("openssl", "version"),
            _ => ("aria2c", "--version"),
        };
        let mut command = Command::new(name);
        let found = command
            .arg(flag)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_ok().then_some(Self { name })
    }

    /// Downloads one file.
    pub(crate) fn download(&self, url: &str, to: &Path) {
        self.run(&["-s", "-f", "-o", &to.to_string_lossy(), url]);
    }

    pub(crate) fn digest(&self, algorithm: &str, file: &Path) {
        self.run(&["dgst", algorithm, &file.to_string_lossy()]);
    }

    /// Writes the list of downloads in the format of the program.
    pub(crate) fn list(&self, urls: &[String], site: &Site) -> PathBuf {
        let line = |(number, url): (usize, &String)| match self.name {
            "curl" => format!("url = \"{url}\"\noutput = \"{number}\"\n"),
            _ => format!("{url}\n  out={number}\n"),
        };
        let path = site.path(&format!("{}.list", self.name));
        let text: String = urls.iter().enumerate().map(line).collect();
        fs::write(&path, text).expect("disk has space");
        path
    }

    /// Downloads many files, 32 at a time.
    pub(crate) fn download_all(&self, list: &Path, folder: &Path) {
        let (list, folder) = (list.to_string_lossy(), folder.to_string_lossy());
        match self.name {
            "curl" => self.run(&[
                "-s",
                "-f",
                "--parallel",
                "--parallel-max",
                "32",
                "--output-dir",
                &folder,
                "-K",
                &list,
            ]),
            _ => self.run(&[
                "-q",
                "-j",
                "32",
                "-x",
                "1",
                "--file-allocation=none",
                "-d",
                &folder,
                "-i",
                &list,
            ]),
        }
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(self.name);
        // curl writes progress to stderr even with `-s`.
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status().expect("peer is installed");
        assert!(status.success(), "{} {arguments:?}: {status}", self.name);
    }
}
