//! The artifact with the resource usage of the commands of a task.

use std::time::Duration;

use serde::Serialize;

use crate::report::{CommandReport, UsageSample};

#[derive(Serialize)]
struct Document {
    commands: Vec<Command>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Command {
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    #[serde(flatten)]
    counts: Counts,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_pressure_seconds: Option<f64>,
    #[serde(flatten)]
    counts: Counts,
}

/// Values that only grow.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_read_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_written_bytes: Option<u64>,
}

/// Returns the JSON document about the commands of a task.
pub(super) fn document(commands: &[CommandReport]) -> Vec<u8> {
    let commands = commands
        .iter()
        .map(|CommandReport { usage, samples }| Command {
            peak_memory_bytes: usage.peak_memory,
            counts: counts(usage.cpu, usage.disk_read, usage.disk_written),
            samples: samples.iter().map(sample).collect(),
        });
    let document = Document {
        commands: commands.collect(),
    };
    // Numbers and lists can always be represented.
    serde_json::to_vec(&document).unwrap_or_default()
}

fn sample(sample: &UsageSample) -> Sample {
    Sample {
        seconds: sample.elapsed.as_secs_f64(),
        memory_bytes: sample.memory,
        memory_pressure_seconds: sample.memory_pressure.map(|time| time.as_secs_f64()),
        counts: counts(sample.cpu, sample.disk_read, sample.disk_written),
    }
}

fn counts(cpu: Option<Duration>, disk_read: Option<u64>, disk_written: Option<u64>) -> Counts {
    Counts {
        cpu_seconds: cpu.map(|time| time.as_secs_f64()),
        disk_read_bytes: disk_read,
        disk_written_bytes: disk_written,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::Usage;

    #[test]
    fn unknown_values_are_left_out() -> serde_json::Result<()> {
        let command = CommandReport {
            usage: Usage {
                cpu: Some(Duration::from_millis(1500)),
                peak_memory: Some(7),
                ..Usage::default()
            },
            samples: vec![UsageSample {
                elapsed: Duration::from_millis(500),
                memory: Some(5),
                disk_read: Some(0),
                ..UsageSample::default()
            }],
        };
        let document: Value = serde_json::from_slice(&document(&[command]))?;
        let samples = json!([{ "seconds": 0.5, "memoryBytes": 5, "diskReadBytes": 0 }]);
        let command = json!({ "cpuSeconds": 1.5, "peakMemoryBytes": 7, "samples": samples });
        assert_eq!(document, json!({ "commands": [command] }));
        Ok(())
    }
}
