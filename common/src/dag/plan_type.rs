//! A checked job. Fields are private: a plan that exists is a valid graph.
//!
//! Tasks are named by their numbers, 0 up, which are a topological order.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    edges::{Edges, index},
    number::Numbering,
};
use crate::{
    spec::{Executor, JobSpec, OnConflict, TaskSpec, WorkspaceUse},
    tree::Digest,
};

/// A job that can be admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// As written but for the tasks, which have moved to `tasks`, and an empty queue name.
    job: JobSpec,
    tasks: Vec<PlannedTask>,
    gates: Vec<Gate>,
    /// By rank of the name: the number.
    by_name: Vec<u32>,
    /// Reduced, from parent to children.
    pub(super) children: Edges,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTask {
    number: u32,
    name: String,
    gate: Option<u32>,
    parents: Arc<[u32]>,
    depends: Box<[u32]>,
    level: u32,
    spec: TaskSpec,
}

/// One distinct set of reduced parents, and the tasks that wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    number: u32,
    parents: Arc<[u32]>,
    first: u32,
    last: u32,
}

/// What the planner found out; indexes are ranks of names.
pub(super) struct Parts {
    pub(super) depends: Edges,
    pub(super) levels: Vec<u32>,
    pub(super) numbering: Numbering,
}

impl Plan {
    pub(super) fn assemble(mut job: JobSpec, parts: Parts) -> Self {
        let Parts { depends, levels, numbering } = parts;
        if job.queue.is_empty() {
            job.queue = JobSpec::DEFAULT_QUEUE.to_owned();
        }
        let mut specs: Vec<Option<(String, TaskSpec)>> =
            std::mem::take(&mut job.tasks).into_iter().map(Some).collect();
        let gates: Vec<Gate> = (0..)
            .zip(numbering.gates)
            .map(|(number, gate)| Gate {
                number,
                parents: gate.parents,
                first: gate.first,
                last: gate.last,
            })
            .collect();
        let mut tasks = Vec::with_capacity(specs.len());
        let mut gate_ahead = gates.iter().peekable();
        for (number, &at) in (0..).zip(&numbering.index_of) {
            gate_ahead.next_if(|gate| gate.last < number);
            let gate = gate_ahead.peek().filter(|gate| gate.first <= number);
            let (name, spec) =
                specs[at as usize].take().expect("invariant: each index has one number");
            let depends = depends.of(at).iter().map(|&d| numbering.number_of[d as usize]);
            tasks.push(PlannedTask {
                number,
                name,
                gate: gate.map(|gate| gate.number),
                parents: gate.map(|gate| Arc::clone(&gate.parents)).unwrap_or_default(),
                depends: depends.collect(),
                level: levels[at as usize],
                spec,
            });
        }
        let children = children(&tasks);
        Self { job, tasks, gates, by_name: numbering.number_of, children }
    }

    /// The job as written, but with its queue named and without its tasks.
    pub fn spec(&self) -> &JobSpec {
        &self.job
    }

    /// For people; may be empty.
    pub fn name(&self) -> &str {
        &self.job.name
    }

    /// The queue it waits in.
    pub fn queue(&self) -> &str {
        &self.job.queue
    }

    /// Free JSON for finding and filtering.
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.job.attributes
    }

    /// Environment of every task.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.job.env
    }

    /// Greater is claimed first.
    pub fn priority(&self) -> i32 {
        self.job.priority
    }

    /// Digest of the files that the first tasks start from.
    pub fn input(&self) -> Option<Digest> {
        self.job.input
    }

    /// What happens where parents left different things at one path.
    pub fn on_conflict(&self) -> OnConflict {
        self.job.on_conflict
    }

    /// The tasks; each is at the place of its number.
    pub fn tasks(&self) -> &[PlannedTask] {
        &self.tasks
    }

    /// The gates; each is at the place of its number, and they ascend by the tasks they hold.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&PlannedTask> {
        let named = |&number: &u32| self.tasks[number as usize].name.as_str();
        let rank = self.by_name.binary_search_by(|number| named(number).cmp(name)).ok()?;
        self.tasks.get(self.by_name[rank] as usize)
    }

    /// The task of that number.
    pub fn task_by_number(&self, number: u32) -> Option<&PlannedTask> {
        self.tasks.get(number as usize)
    }

    /// How many edges are left after the reduction.
    pub fn edge_count(&self) -> usize {
        self.children.edge_count()
    }
}

fn children(tasks: &[PlannedTask]) -> Edges {
    let edges = tasks.iter().map(|task| task.parents.len()).sum();
    let mut parents = Edges::with_capacity(tasks.len(), edges);
    tasks.iter().for_each(|task| parents.push(task.parents.iter().copied()));
    debug_assert_eq!(index(tasks.len()), parents.node_count());
    parents.reversed()
}

impl PlannedTask {
    /// Its position in the plan, from 0.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its name, unique in the job.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The gate it waits at; a root waits at none.
    pub fn gate(&self) -> Option<u32> {
        self.gate
    }

    /// The numbers of its parents after the reduction, ascending.
    pub fn parents(&self) -> &[u32] {
        &self.parents
    }

    /// The numbers of the tasks it depends on, as written: its inputs, and the order in which the
    /// last one wins.
    pub fn depends(&self) -> &[u32] {
        &self.depends
    }

    /// The longest path from a root, in edges.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// What the user wrote, with defaults filled in.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// How an agent runs it.
    pub fn executor(&self) -> Executor {
        self.spec.executor()
    }

    /// Whether it sees and leaves files.
    pub fn workspace_use(&self) -> WorkspaceUse {
        self.spec.workspace_use()
    }
}

impl Gate {
    /// Its position in the plan, from 0.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The numbers of the tasks it waits for, ascending; never empty.
    pub fn parents(&self) -> &[u32] {
        &self.parents
    }

    /// The number of the first task that waits at it.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The number of the last task that waits at it; all between do too.
    pub fn last(&self) -> u32 {
        self.last
    }
}
