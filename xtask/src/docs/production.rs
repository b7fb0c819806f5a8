//! The service definitions in the production guide: a systemd unit, a Containerfile and a Kubernetes manifest.
//!
//! They are parsed, and must agree on program, arguments, paths and ports.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize as _;
use serde_json::Value;

use crate::files::{self, File};

/// The page with the definitions.
pub(crate) const PRODUCTION: &str = "docs/guide/production.md";

/// The definitions of the page.
#[derive(Debug)]
pub(crate) struct Services {
    /// The settings of the unit, by section and name.
    unit: BTreeMap<(String, String), String>,
    /// The instructions of the Containerfile with their arguments.
    pub(crate) container: Vec<(String, String)>,
    config_map: Value,
    deployment: Value,
}

/// Fails if the definitions cannot be parsed or contradict each other.
pub(super) fn check(files: &[File]) -> Result<()> {
    let services = Services::parse(files::text(files, PRODUCTION)?);
    let checked = services.and_then(|services| services.check());
    checked.with_context(|| format!("a service in {PRODUCTION}"))
}

impl Services {
    pub(crate) fn parse(page: &str) -> Result<Self> {
        let manifest = block(page, "yaml", "kind: Deployment")?;
        let documents = serde_yaml_ng::Deserializer::from_str(manifest);
        let documents = documents.map(Value::deserialize);
        let documents: Vec<Value> = documents.collect::<Result<_, _>>()?;
        let of_kind = |kind: &str| {
            let mut documents = documents.iter();
            let found = documents.find(|document| document["kind"] == kind);
            found
                .cloned()
                .with_context(|| format!("no {kind} in the manifest"))
        };
        Ok(Self {
            unit: parse_unit(block(page, "ini", "[Service]")?)?,
            container: parse_container(block(page, "dockerfile", "FROM")?)?,
            config_map: of_kind("ConfigMap")?,
            deployment: of_kind("Deployment")?,
        })
    }

    /// Returns the configuration of the worker in the manifest.
    pub(crate) fn config(&self) -> Result<&str> {
        let text = self.config_map["data"]["worker.yml"].as_str();
        text.context("the ConfigMap has no `worker.yml`")
    }

    /// Returns the program and its arguments in the container.
    pub(crate) fn entrypoint(&self) -> Result<Vec<String>> {
        let mut instructions = self.container.iter().rev();
        let found = instructions.find(|(name, _)| name == "ENTRYPOINT");
        let (_, arguments) = found.context("the Containerfile has no ENTRYPOINT")?;
        let words: Vec<String> = serde_json::from_str(arguments)?;
        let program = words.iter().position(|word| word == "--");
        Ok(words[program.map_or(0, |at| at + 1)..].to_vec())
    }

    fn check(&self) -> Result<()> {
        let entrypoint = self.entrypoint()?;
        let start = self.setting("Service", "ExecStart")?;
        let in_unit: Vec<&str> = start.split_whitespace().collect();
        let (in_unit, entry) = (in_unit.split_first(), entrypoint.split_first());
        let is_same = in_unit.zip(entry).is_some_and(|(unit, entry)| {
            unit.0.rsplit('/').next() == Some(entry.0) && unit.1 == entry.1
        });
        ensure!(
            is_same,
            "`{start}` of the unit is not {entrypoint:?} of the container"
        );
        let directory = format!("/var/lib/{}", self.setting("Service", "StateDirectory")?);
        let config: Value = serde_yaml_ng::from_str(self.config()?)?;
        let data = config["worker"]["dataFolder"].as_str();
        ensure!(
            data == Some(&directory),
            "the data folder {data:?} is not {directory}"
        );
        self.check_pod(&config, &entrypoint, &directory)
    }

    fn check_pod(&self, config: &Value, entrypoint: &[String], data: &str) -> Result<()> {
        let spec = &self.deployment["spec"];
        let labels = &spec["template"]["metadata"]["labels"];
        ensure!(
            &spec["selector"]["matchLabels"] == labels,
            "the selector does not select the pods"
        );
        let pod = &spec["template"]["spec"];
        let container = &pod["containers"][0];
        let mounts = container["volumeMounts"]
            .as_array()
            .context("no volumes are mounted")?;
        let volumes = pod["volumes"]
            .as_array()
            .context("the pod has no volumes")?;
        for mount in mounts {
            let has_name = |volume: &&Value| volume["name"] == mount["name"];
            let volume = volumes.iter().find(has_name);
            let volume =
                volume.with_context(|| format!("the volume {} does not exist", mount["name"]))?;
            let map = &volume["configMap"]["name"];
            ensure!(
                map.is_null() || map == &self.config_map["metadata"]["name"],
                "the ConfigMap {map} does not exist"
            );
        }
        for path in [data, entrypoint.last().map_or("", |path| path)] {
            let is_mounted = mounts.iter().any(|mount| mount["mountPath"] == path);
            ensure!(is_mounted, "nothing is mounted at {path}");
        }
        let probe = container["livenessProbe"]["exec"]["command"].to_string();
        let url = format!("http://127.0.0.1:{}/healthz", config["statusPort"]);
        ensure!(probe.contains(&url), "the probe {probe} does not use {url}");
        let user = pod["securityContext"]["runAsUser"].to_string();
        let creates = |(name, text): &&(String, String)| {
            name == "RUN" && text.contains(&format!("useradd --create-home --uid {user} "))
        };
        ensure!(
            self.container.iter().any(|it| creates(&it)),
            "the container has no user {user}"
        );
        Ok(())
    }

    fn setting(&self, section: &str, name: &str) -> Result<&str> {
        let value = self.unit.get(&(section.to_owned(), name.to_owned()));
        let value = value.with_context(|| format!("the unit has no `{name}` in [{section}]"))?;
        Ok(value)
    }
}

/// Returns the first block of code in a language that contains a text.
fn block<'a>(page: &'a str, language: &str, containing: &str) -> Result<&'a str> {
    let start = format!("```{language}\n");
    let blocks = page.split(&start).skip(1);
    let mut blocks = blocks.filter_map(|rest| Some(rest.split_once("\n```")?.0));
    let found = blocks.find(|block| block.contains(containing));
    found.with_context(|| format!("no {language} with `{containing}`"))
}

fn parse_unit(text: &str) -> Result<BTreeMap<(String, String), String>> {
    let (mut settings, mut section) = (BTreeMap::new(), None);
    for line in text
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'))
    {
        let name = line.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if let Some(name) = name {
            section = Some(name.to_owned());
            continue;
        }
        let is_name = |name: &str| name.chars().all(|it| it.is_ascii_alphanumeric());
        let setting = line.split_once('=').filter(|(name, _)| is_name(name));
        let (Some((name, value)), Some(section)) = (setting, &section) else {
            bail!("`{line}` is not a setting in a section");
        };
        let earlier = settings.insert((section.clone(), name.to_owned()), value.to_owned());
        ensure!(earlier.is_none(), "`{name}` is set twice");
    }
    Ok(settings)
}

fn parse_container(text: &str) -> Result<Vec<(String, String)>> {
    const INSTRUCTIONS: &[&str] = &[
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "VOLUME",
        "STOPSIGNAL",
        "ENTRYPOINT",
    ];
    let text = text.replace("\\\n", "");
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let parse = |line: &str| match line.split_once(' ') {
        Some((name, rest)) if INSTRUCTIONS.contains(&name) => {
            Ok((name.to_owned(), rest.to_owned()))
        }
        _ => bail!("`{line}` is not a known instruction"),
    };
    lines.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let path = crate::workspace::root().join(PRODUCTION);
        std::fs::read_to_string(path).expect("the page exists")
    }

    fn error(old: &str, new: &str) -> String {
        let page = page();
        assert!(page.contains(old), "`{old}` is not on the page");
        let services = Services::parse(&page.replace(old, new));
        let checked = services.and_then(|services| services.check());
        format!("{:#}", checked.expect_err("a contradiction"))
    }

    #[test]
    fn services_of_the_page_agree() {
        Services::parse(&page())
            .and_then(|it| it.check())
            .expect("no contradiction");
    }

    #[test]
    fn contradictions_are_found() {
        for (old, new, expected) in [
            (
                "statusPort: 8080",
                "statusPort: 8081",
                "127.0.0.1:8081/healthz",
            ),
            (
                "worker run --config /etc/worker.yml\n",
                "worker /etc/a.yml\n",
                "of the unit is not",
            ),
            (
                "mountPath: /var/lib/worker",
                "mountPath: /data",
                "nothing is mounted at /var/lib/worker",
            ),
            (
                "name: data, mountPath",
                "name: date, mountPath",
                "does not exist",
            ),
            ("Restart=always", "Restart always", "is not a setting"),
            (
                "STOPSIGNAL SIGTERM",
                "STOP SIGTERM",
                "is not a known instruction",
            ),
            ("runAsUser: 1000", "runAsUser: 1001", "has no user 1001"),
        ] {
            let error = error(old, new);
            assert!(error.contains(expected), "{new}: {error}");
        }
    }
}
