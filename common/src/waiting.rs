//! Why a ready task is not claimed, as far as that lies with the agents that are there.
//!
//! It says nothing of agents that are only busy: a task that somebody could run waits for its turn.

use crate::{
    place::{Abilities, Kind},
    spec::{Executor, LabelNeed, LabelTest, shown, shown_amount},
};

/// One thing that an agent must have.
enum Want<'a> {
    Runs(Executor, Option<&'a str>),
    Label(&'a LabelNeed),
    Amount(&'a str, u64),
}

impl Want<'_> {
    fn has(&self, agent: &Abilities) -> bool {
        match self {
            Self::Runs(executor, handler) => agent.runs(*executor, *handler),
            Self::Label(need) => need.holds(&agent.labels),
            Self::Amount(name, amount) => {
                agent.resources.get(*name).is_some_and(|there| there >= amount)
            }
        }
    }

    /// As it follows "no agent ".
    fn lacking(&self) -> String {
        match self {
            Self::Runs(_, Some(handler)) => format!("serves handler {}", shown(handler)),
            Self::Runs(executor, None) => format!("runs {executor}"),
            Self::Label(need) => lacking_label(need),
            Self::Amount(name, amount) => format!("has {}", shown_amount(name, *amount)),
        }
    }
}

fn lacking_label(need: &LabelNeed) -> String {
    let label = shown(&need.label);
    let one_of = |values: &std::collections::BTreeSet<String>| {
        let pairs = values.iter().map(|value| format!("{label}={}", shown(value)));
        pairs.collect::<Vec<_>>().join(" or ")
    };
    match &need.test {
        LabelTest::In(values) => format!("has label {}", one_of(values)),
        LabelTest::NotIn(values) => format!("is without label {}", one_of(values)),
        LabelTest::Exists(true) => format!("has label {label}"),
        LabelTest::Exists(false) => format!("is without label {label}"),
    }
}

/// What keeps all connected agents from running tasks of this kind; none where one of them could.
/// Agents that are about to leave are not among `agents`.
pub fn why_waiting<'a>(
    kind: &Kind,
    agents: impl IntoIterator<Item = &'a Abilities> + Clone,
) -> Option<String> {
    if agents.clone().into_iter().any(|agent| agent.can_run(kind)) {
        return None;
    }
    if agents.clone().into_iter().next().is_none() {
        return Some("waiting: no agent is connected that takes new tasks".to_owned());
    }
    let wants: Vec<Want<'_>> = std::iter::once(Want::Runs(kind.executor, kind.handler.as_deref()))
        .chain(kind.needs.labels.iter().map(Want::Label))
        .chain(kind.needs.resources.iter().map(|(name, &n)| Want::Amount(name, n)))
        .collect();
    let nobody = |want: &&Want<'_>| !agents.clone().into_iter().any(|agent| want.has(agent));
    let lacking = match wants.iter().find(nobody) {
        Some(want) => want.lacking(),
        // Each of them somebody has, but nobody has all.
        None => wants.iter().map(Want::lacking).collect::<Vec<_>>().join(" and "),
    };
    Some(format!("waiting: no agent {lacking}"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::spec::Needs;

    fn agent(executor: Executor, labels: &[(&str, &str)], memory: u64) -> Abilities {
        Abilities {
            executors: [executor].into(),
            labels: labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            resources: BTreeMap::from([("memory".to_owned(), memory << 30)]),
            ..Abilities::default()
        }
    }

    fn kind(executor: Executor, labels: &[(&str, LabelTest)], memory: u64) -> Kind {
        let labels = labels.iter().cloned();
        Kind {
            executor,
            handler: None,
            needs: Needs {
                labels: labels
                    .map(|(label, test)| LabelNeed { label: label.to_owned(), test })
                    .collect(),
                resources: (memory > 0)
                    .then(|| ("memory".to_owned(), memory << 30))
                    .into_iter()
                    .collect(),
            },
        }
    }

    fn within(values: &[&str]) -> LabelTest {
        LabelTest::In(values.iter().map(|&v| v.to_owned()).collect::<BTreeSet<_>>())
    }

    #[test]
    fn what_nobody_has_is_named() {
        let agents = [
            agent(Executor::Shell, &[("gpu", "t4")], 16),
            agent(Executor::Shell, &[("zone", "eu")], 64),
        ];
        let why = |kind: &Kind| why_waiting(kind, &agents).unwrap_or_default();
        assert_eq!(why(&kind(Executor::Shell, &[], 64)), "");
        assert_eq!(why(&kind(Executor::Docker, &[], 0)), "waiting: no agent runs docker");
        assert_eq!(
            why(&kind(Executor::Shell, &[("gpu", within(&["a100", "h100"]))], 0)),
            "waiting: no agent has label gpu=a100 or gpu=h100"
        );
        assert_eq!(
            why(&kind(Executor::Shell, &[], 128)),
            "waiting: no agent has 128 GiB of memory"
        );
        assert_eq!(
            why(&kind(Executor::Shell, &[("gpu", LabelTest::Exists(true))], 64)),
            "waiting: no agent runs shell and has label gpu and has 64 GiB of memory"
        );
        let mail = Kind { handler: Some("mail".into()), ..kind(Executor::Handler, &[], 0) };
        assert_eq!(why(&mail), "waiting: no agent serves handler mail");
        let none: [Abilities; 0] = [];
        assert_eq!(
            why_waiting(&mail, &none).unwrap(),
            "waiting: no agent is connected that takes new tasks"
        );
    }
}
