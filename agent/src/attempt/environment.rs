//! What a task sees as its environment: what it was promised and nothing of the agent's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use postq_proto::v1;

use super::papers;
use crate::{
    executor::{OUTPUT, PAPERS, Program},
    gpus,
    scratch::Scratch,
};

/// Where the agent itself was given no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of a shell task.
pub(crate) fn for_shell(
    assignment: &v1::Assignment,
    agent: &str,
    traceparent: Option<&str>,
    scratch: &Scratch,
) -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), text(scratch.home())),
        ("TMPDIR".to_owned(), text(scratch.tmp())),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    env.extend(promised(assignment, agent, traceparent));
    env.extend(papers::variables(&scratch.papers(), &scratch.output()));
    env
}

/// The environment of a container: only what it was promised, because the rest is its image's
/// matter.
pub(crate) fn for_container(
    assignment: &v1::Assignment,
    agent: &str,
    traceparent: Option<&str>,
) -> BTreeMap<String, String> {
    let mut env = promised(assignment, agent, traceparent);
    env.extend(papers::variables(Path::new(PAPERS), Path::new(OUTPUT)));
    env
}

/// The job's and the task's variables, then those of PostQ, which win. `agent` is its name.
fn promised(
    assignment: &v1::Assignment,
    agent: &str,
    traceparent: Option<&str>,
) -> BTreeMap<String, String> {
    let mut env = assignment.env.clone();
    let ours = [
        ("POSTQ_JOB_ID", assignment.job_id.clone()),
        ("POSTQ_JOB_NAME", assignment.job_name.clone()),
        ("POSTQ_TASK", assignment.task_name.clone()),
        ("POSTQ_QUEUE", assignment.queue.clone()),
        ("POSTQ_ATTEMPT", assignment.attempt.to_string()),
        ("POSTQ_ATTEMPT_NUMBER", assignment.attempt_number.to_string()),
        ("POSTQ_AGENT", agent.to_owned()),
    ];
    env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    if let Some(traceparent) = traceparent {
        env.insert("TRACEPARENT".to_owned(), traceparent.to_owned());
    }
    env
}

/// What keeps a task to the GPUs that it was given. A container has them under numbers of its own; this tells
/// the runtime of its engine, which lets an image that says `all` see all otherwise.
pub(crate) fn of_gpus(program: &Program, devices: &BTreeSet<u32>) -> BTreeMap<String, String> {
    let numbers = gpus::shown(devices);
    let to_runtime = if devices.is_empty() { "void".to_owned() } else { numbers.clone() };
    let mut env = BTreeMap::from([("NVIDIA_VISIBLE_DEVICES".to_owned(), to_runtime)]);
    if matches!(program, Program::Shell { .. }) {
        env.insert("CUDA_VISIBLE_DEVICES".to_owned(), numbers);
        // As nvidia-smi numbers them; without it the fastest one is number 0.
        env.insert("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned());
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_variables_win_over_defaults_and_lose_to_postqs() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(dir.path().join("s")).unwrap();
        let assignment = v1::Assignment {
            attempt: 7,
            env: [("LANG", "de_DE"), ("POSTQ_ATTEMPT", "forged"), ("A", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Default::default()
        };
        let env = for_shell(&assignment, "worker-7", Some("00-trace"), &scratch);
        assert_eq!(env["LANG"], "de_DE");
        assert_eq!(env["POSTQ_ATTEMPT"], "7");
        assert_eq!(env["A"], "1");
        assert_eq!(env["POSTQ_AGENT"], "worker-7");
        assert_eq!(env["TRACEPARENT"], "00-trace");
        assert!(env["HOME"].ends_with("/home"));
        assert!(env["POSTQ_OUTPUT"].ends_with("/output/output.json"));
        let env = for_container(&assignment, "worker-7", None);
        assert_eq!(env["POSTQ_DATA"], "/postq/papers/data.json");
        assert!(!env.contains_key("HOME"));
    }
}
