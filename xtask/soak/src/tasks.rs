//! The random tasks, and how each has to end.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

/// A task to create.
pub(crate) struct Plan {
    pub(crate) kind: &'static str,
    pub(crate) payload: Value,
    /// As the queue says it in the end.
    pub(crate) end: &'static str,
    /// The tasks whose artifacts it fetches.
    pub(crate) dependencies: Vec<String>,
    /// When to cancel it, counted from its creation.
    pub(crate) cancel_after: Option<Duration>,
}

/// How many inputs there are. Few, so that the worker has all of them soon and its disk may be flat.
pub(crate) const INPUTS: usize = 8;
/// How many caches there are, for the same reason.
const CACHES: usize = 6;

const COMPLETED: &str = "completed";
const FAILED: &str = "failed";
const CANCELED: &str = "exception/canceled";

/// How often, what it is called, and how it is made of random numbers and the inputs.
type Kind = (u32, &'static str, fn(&mut Rng, &[String]) -> Plan);

const KINDS: &[Kind] = &[
    (18, "quiet", |_, _| runs("true", COMPLETED)),
    (14, "output", |rng, _| {
        runs(&format!("seq {}", rng.u32(1..40_000)), COMPLETED)
    }),
    (10, "slow output", |rng, _| {
        let lines = rng.u32(5..40);
        let command = format!("for i in $(seq {lines}); do echo line $i; sleep 0.1; done");
        runs(&command, COMPLETED)
    }),
    (8, "exit code", |rng, _| {
        runs(&format!("exit {}", rng.u8(1..=255)), FAILED)
    }),
    (10, "artifacts", |rng, _| artifacts(rng)),
    (10, "cache", |rng, _| cache(rng)),
    (10, "input", |rng, inputs| input(rng, inputs)),
    (4, "archive", |rng, inputs| archive(rng, inputs)),
    (3, "malformed payload", |_, _| {
        plan(
            json!({"command": "echo", "maxRunTime": "soon"}),
            "exception/malformed-payload",
        )
    }),
    (4, "cancelled", |rng, _| {
        let mut plan = runs("sleep 600", CANCELED);
        plan.cancel_after = Some(Duration::from_millis(rng.u64(0..6_000)));
        plan
    }),
    (3, "too long", |rng, _| {
        plan(
            json!({"command": ["sleep", "600"], "maxRunTime": rng.u32(1..4)}),
            FAILED,
        )
    }),
    (3, "strays", |_, _| {
        runs(
            "setsid sleep 600 & sleep 600 & echo two are left",
            COMPLETED,
        )
    }),
    (3, "missing artifact", |_, _| missing_artifact()),
    (3, "tried again", |_, _| {
        with(
            runs(r#"test "$RUN_ID" -gt 0 || exit 75"#, COMPLETED),
            "onExitStatus",
            json!({"retry": [75]}),
        )
    }),
    (3, "purge", |rng, _| {
        let plan = with(runs("exit 76", FAILED), "mounts", json!([any_cache(rng)]));
        with(plan, "onExitStatus", json!({"purgeCaches": [76]}))
    }),
];

/// A random task; the inputs are tasks that [`make_input`] made.
pub(crate) fn random(rng: &mut Rng, inputs: &[String]) -> Plan {
    let total = KINDS.iter().map(|(weight, ..)| weight).sum();
    let mut at = rng.u32(0..total);
    for (weight, kind, make) in KINDS {
        if at < *weight {
            let kind = *kind;
            return Plan {
                kind,
                ..make(rng, inputs)
            };
        }
        at -= weight;
    }
    unreachable!("the weights add up to the total")
}

/// A task whose artifacts are inputs of others: a file and an archive.
pub(crate) fn make_input() -> Plan {
    let command = "head -c 300000 /dev/urandom > file.bin && mkdir d && seq 5000 > d/numbers && tar czf folder.tar.gz d";
    let artifacts = json!([
        {"name": "public/file.bin", "type": "file", "path": "file.bin"},
        {"name": "public/folder.tar.gz", "type": "file", "path": "folder.tar.gz"},
    ]);
    Plan {
        kind: "makes an input",
        ..with(runs(command, COMPLETED), "artifacts", artifacts)
    }
}

fn plan(payload: Value, end: &'static str) -> Plan {
    Plan {
        kind: "",
        payload,
        end,
        dependencies: Vec::new(),
        cancel_after: None,
    }
}

fn runs(command: &str, end: &'static str) -> Plan {
    plan(
        json!({"command": ["sh", "-c", command], "maxRunTime": 900}),
        end,
    )
}

fn with(mut plan: Plan, field: &str, value: Value) -> Plan {
    plan.payload[field] = value;
    plan
}

fn artifacts(rng: &mut Rng) -> Plan {
    let (large, small) = (rng.u32(0..2_000_000), rng.u32(1..20));
    let command = format!(
        "head -c {large} /dev/urandom > out.bin; mkdir d; for i in $(seq {small}); do echo $i > d/$i.txt; done"
    );
    let artifacts = json!([
        {"name": "public/out.bin", "type": "file", "path": "out.bin"},
        {"name": "public/d", "type": "directory", "path": "d"},
        {"name": "public/none", "type": "file", "path": "none", "optional": true},
    ]);
    with(runs(&command, COMPLETED), "artifacts", artifacts)
}

fn missing_artifact() -> Plan {
    let artifacts = json!([{"name": "public/none", "type": "file", "path": "none"}]);
    with(runs("true", FAILED), "artifacts", artifacts)
}

fn any_cache(rng: &mut Rng) -> Value {
    json!({"cacheName": format!("soak-{}", rng.usize(0..CACHES)), "directory": "cache"})
}

fn cache(rng: &mut Rng) -> Plan {
    let (bytes, file) = (rng.u32(0..400_000), rng.u8(0..4));
    let command = format!("ls cache; head -c {bytes} /dev/zero > cache/{file}");
    with(runs(&command, COMPLETED), "mounts", json!([any_cache(rng)]))
}

fn input(rng: &mut Rng, inputs: &[String]) -> Plan {
    let plan = runs("test $(wc -c < in/file) = 300000", COMPLETED);
    fetches(
        plan,
        rng,
        inputs,
        json!({"file": "in/file"}),
        "public/file.bin",
    )
}

fn archive(rng: &mut Rng, inputs: &[String]) -> Plan {
    let plan = runs("test $(wc -l < in/d/numbers) = 5000", COMPLETED);
    fetches(
        plan,
        rng,
        inputs,
        json!({"directory": "in"}),
        "public/folder.tar.gz",
    )
}

/// The plan, with an artifact of a random input where `mount` says.
fn fetches(plan: Plan, rng: &mut Rng, inputs: &[String], mut mount: Value, artifact: &str) -> Plan {
    let task = &inputs[rng.usize(0..inputs.len())];
    mount["content"] = json!({"taskId": task, "artifact": artifact});
    Plan {
        dependencies: vec![task.clone()],
        ..with(plan, "mounts", json!([mount]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_the_tasks_and_every_kind_comes() {
        let draw = |seed| {
            let mut rng = Rng::with_seed(seed);
            let inputs = ["a".to_owned()];
            let plans = (0..2_000).map(|_| random(&mut rng, &inputs));
            plans
                .map(|plan| (plan.kind, plan.payload.to_string()))
                .collect::<Vec<_>>()
        };
        let plans = draw(1);
        assert_eq!(plans, draw(1));
        for (_, kind, _) in KINDS {
            assert!(plans.iter().any(|(drawn, _)| drawn == kind), "{kind}");
        }
    }
}
