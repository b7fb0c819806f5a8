//! The random tasks, each with its expected resolution.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

/// A task to create.
pub(crate) struct TaskSpec {
    pub(crate) kind: &'static str,
    pub(crate) payload: Value,
    /// The expected resolution, such as `exception/canceled`.
    pub(crate) expected: &'static str,
    /// The tasks whose artifacts it mounts.
    pub(crate) dependencies: Vec<String>,
    /// The time from its creation to its cancellation.
    pub(crate) cancel_after: Option<Duration>,
    /// The number of lines `line 1`, `line 2` and so on in its log.
    pub(crate) lines: u32,
}

/// The number of inputs. Few, so that the worker soon has all of them and its disk usage is constant.
pub(crate) const INPUTS: usize = 8;
/// The number of caches, few for the same reason.
const CACHES: usize = 6;

const COMPLETED: &str = "completed";
const FAILED: &str = "failed";
const CANCELED: &str = "exception/canceled";

/// The weight and the name of a kind of tasks, and a function that creates one from the inputs.
type Kind = (u32, &'static str, fn(&mut Rng, &[String]) -> TaskSpec);

const KINDS: &[Kind] = &[
    (18, "no output", |_, _| shell("true", COMPLETED)),
    (14, "output", |rng, _| {
        let lines = rng.u32(1..40_000);
        let command = format!("seq -f 'line %.0f' {lines}");
        TaskSpec {
            lines,
            ..shell(&command, COMPLETED)
        }
    }),
    (10, "slow output", |rng, _| {
        let lines = rng.u32(5..40);
        let command = format!("for i in $(seq {lines}); do echo line $i; sleep 0.1; done");
        TaskSpec {
            lines,
            ..shell(&command, COMPLETED)
        }
    }),
    (8, "exit code", |rng, _| {
        let command = format!("echo line 1; exit {}", rng.u8(1..=255));
        TaskSpec {
            lines: 1,
            ..shell(&command, FAILED)
        }
    }),
    (10, "artifacts", |rng, _| artifacts(rng)),
    (10, "cache", |rng, _| cache(rng)),
    (10, "input", |rng, inputs| input(rng, inputs)),
    (4, "archive", |rng, inputs| archive(rng, inputs)),
    (3, "malformed payload", |_, _| {
        spec(
            json!({"command": "echo", "maxRunTime": "soon"}),
            "exception/malformed-payload",
        )
    }),
    (4, "cancelled", |rng, _| {
        let mut spec = shell("sleep 600", CANCELED);
        spec.cancel_after = Some(Duration::from_millis(rng.u64(0..6_000)));
        spec
    }),
    (3, "max run time exceeded", |rng, _| {
        spec(
            json!({"command": ["sleep", "600"], "maxRunTime": rng.u32(1..4)}),
            FAILED,
        )
    }),
    (3, "leftover processes", |_, _| {
        shell("setsid sleep 600 & sleep 600 & echo started two", COMPLETED)
    }),
    (3, "missing artifact", |_, _| missing_artifact()),
    (3, "retried", |_, _| {
        with(
            shell(r#"test "$RUN_ID" -gt 0 || exit 75"#, COMPLETED),
            "onExitStatus",
            json!({"retry": [75]}),
        )
    }),
    (3, "purge", |rng, _| {
        let spec = with(shell("exit 76", FAILED), "mounts", json!([any_cache(rng)]));
        with(spec, "onExitStatus", json!({"purgeCaches": [76]}))
    }),
];

/// Returns a random task; the inputs are tasks of [`input_task`].
pub(crate) fn random_task(rng: &mut Rng, inputs: &[String]) -> TaskSpec {
    // A number below the sum of the weights selects the kind whose range it is in.
    let total = KINDS.iter().map(|(weight, ..)| weight).sum();
    let mut at = rng.u32(0..total);
    for (weight, kind, create) in KINDS {
        if at < *weight {
            let kind = *kind;
            return TaskSpec {
                kind,
                ..create(rng, inputs)
            };
        }
        at -= weight;
    }
    unreachable!("the weights add up to the total")
}

/// Returns a task whose artifacts, a file and an archive, are inputs of other tasks.
pub(crate) fn input_task() -> TaskSpec {
    let command = "head -c 300000 /dev/urandom > file.bin && mkdir d && seq 5000 > d/numbers && tar czf folder.tar.gz d";
    let artifacts = json!([
        {"name": "public/file.bin", "type": "file", "path": "file.bin"},
        {"name": "public/folder.tar.gz", "type": "file", "path": "folder.tar.gz"},
    ]);
    TaskSpec {
        kind: "creates an input",
        ..with(shell(command, COMPLETED), "artifacts", artifacts)
    }
}

/// Returns a task whose process does nothing.
pub(crate) fn no_op_task() -> TaskSpec {
    spec(json!({"command": ["true"], "maxRunTime": 900}), COMPLETED)
}

fn spec(payload: Value, expected: &'static str) -> TaskSpec {
    TaskSpec {
        kind: "",
        payload,
        expected,
        dependencies: Vec::new(),
        cancel_after: None,
        lines: 0,
    }
}

fn shell(command: &str, expected: &'static str) -> TaskSpec {
    spec(
        json!({"command": ["sh", "-c", command], "maxRunTime": 900}),
        expected,
    )
}

fn with(mut spec: TaskSpec, field: &str, value: Value) -> TaskSpec {
    spec.payload[field] = value;
    spec
}

fn artifacts(rng: &mut Rng) -> TaskSpec {
    let (large, small) = (rng.u32(0..2_000_000), rng.u32(1..20));
    let command = format!(
        "head -c {large} /dev/urandom > out.bin; mkdir d; for i in $(seq {small}); do echo $i > d/$i.txt; done"
    );
    let artifacts = json!([
        {"name": "public/out.bin", "type": "file", "path": "out.bin"},
        {"name": "public/d", "type": "directory", "path": "d"},
        {"name": "public/none", "type": "file", "path": "none", "optional": true},
    ]);
    with(shell(&command, COMPLETED), "artifacts", artifacts)
}

fn missing_artifact() -> TaskSpec {
    let artifacts = json!([{"name": "public/none", "type": "file", "path": "none"}]);
    with(shell("true", FAILED), "artifacts", artifacts)
}

fn any_cache(rng: &mut Rng) -> Value {
    json!({"cacheName": format!("soak-{}", rng.usize(0..CACHES)), "directory": "cache"})
}

fn cache(rng: &mut Rng) -> TaskSpec {
    let (bytes, file) = (rng.u32(0..400_000), rng.u8(0..4));
    let command = format!("ls cache; head -c {bytes} /dev/zero > cache/{file}");
    with(
        shell(&command, COMPLETED),
        "mounts",
        json!([any_cache(rng)]),
    )
}

fn input(rng: &mut Rng, inputs: &[String]) -> TaskSpec {
    let spec = shell("test $(wc -c < in/file) = 300000", COMPLETED);
    with_mount(
        spec,
        rng,
        inputs,
        json!({"file": "in/file"}),
        "public/file.bin",
    )
}

fn archive(rng: &mut Rng, inputs: &[String]) -> TaskSpec {
    let spec = shell("test $(wc -l < in/d/numbers) = 5000", COMPLETED);
    with_mount(
        spec,
        rng,
        inputs,
        json!({"directory": "in"}),
        "public/folder.tar.gz",
    )
}

/// Adds a mount of an artifact of a random input.
fn with_mount(
    spec: TaskSpec,
    rng: &mut Rng,
    inputs: &[String],
    mut mount: Value,
    artifact: &str,
) -> TaskSpec {
    let task = &inputs[rng.usize(0..inputs.len())];
    mount["content"] = json!({"taskId": task, "artifact": artifact});
    TaskSpec {
        dependencies: vec![task.clone()],
        ..with(spec, "mounts", json!([mount]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_repeats_tasks_of_every_kind() {
        let draw = |seed| {
            let mut rng = Rng::with_seed(seed);
            let inputs = ["a".to_owned()];
            let specs = (0..2_000).map(|_| random_task(&mut rng, &inputs));
            specs
                .map(|spec| (spec.kind, spec.payload.to_string()))
                .collect::<Vec<_>>()
        };
        let specs = draw(1);
        assert_eq!(specs, draw(1));
        for (_, kind, _) in KINDS {
            assert!(specs.iter().any(|(drawn, _)| drawn == kind), "{kind}");
        }
    }
}
