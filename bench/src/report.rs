//! Rounds, medians and ratios; JSON lines and a table.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use crate::spent::Spent;

/// One measurement of both sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// What PostQ took.
    pub(crate) ours: Spent,
    /// What the reference took.
    pub(crate) reference: Spent,
    /// What else there is to know, by name.
    pub(crate) facts: BTreeMap<&'static str, f64>,
}

/// A scenario as it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) case: &'static str,
    /// What it was compared with.
    pub(crate) reference: &'static str,
    /// The ratio to reach.
    pub(crate) goal: f64,
    /// How many rounds.
    pub(crate) rounds: usize,
    /// Median seconds.
    pub(crate) ours_seconds: f64,
    /// Median seconds.
    pub(crate) reference_seconds: f64,
    /// Of the medians.
    pub(crate) ratio: f64,
    /// Median seconds on processors: ours without the database, the reference without the kernel's
    /// own threads.
    pub(crate) ours_cpu_seconds: f64,
    /// Median seconds on processors.
    pub(crate) reference_cpu_seconds: f64,
    /// Medians.
    pub(crate) facts: BTreeMap<&'static str, f64>,
}

impl Case {
    /// The medians of `rounds`.
    pub(crate) fn new(
        case: &'static str,
        reference: &'static str,
        goal: f64,
        rounds: &[Round],
    ) -> Self {
        let of = |seconds: fn(&Round) -> f64| median(rounds.iter().map(seconds));
        let ours_seconds = of(|round| round.ours.wall.as_secs_f64());
        let reference_seconds = of(|round| round.reference.wall.as_secs_f64());
        let names = rounds.first().map(|round| round.facts.keys().copied().collect::<Vec<_>>());
        let facts = names.unwrap_or_default().into_iter().map(|name| {
            (name, median(rounds.iter().filter_map(|round| round.facts.get(name).copied())))
        });
        Self {
            case,
            reference,
            goal,
            rounds: rounds.len(),
            ours_seconds,
            reference_seconds,
            ratio: ours_seconds / reference_seconds,
            ours_cpu_seconds: of(|round| round.ours.cpu.as_secs_f64()),
            reference_cpu_seconds: of(|round| round.reference.cpu.as_secs_f64()),
            facts: facts.collect(),
        }
    }

    /// One line for machines.
    pub(crate) fn print_line(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// All of them for people, to standard error.
pub(crate) fn print_table(cases: &[Case]) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "case",
        "rounds",
        "PostQ, s",
        "CPU, s",
        "reference",
        "reference, s",
        "CPU, s",
        "ratio",
        "goal",
    ]);
    for case in cases {
        table.add_row([
            case.case.to_owned(),
            case.rounds.to_string(),
            format!("{:.3}", case.ours_seconds),
            format!("{:.3}", case.ours_cpu_seconds),
            case.reference.to_owned(),
            format!("{:.3}", case.reference_seconds),
            format!("{:.3}", case.reference_cpu_seconds),
            format!("{:.2}", case.ratio),
            format!("{:.2}", case.goal),
        ]);
    }
    for column in [1, 2, 3, 5, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    eprintln!("{table}");
}

/// The middle one of them; of an even number the greater one of two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_case_tells_medians_and_their_ratio() {
        let spent = |seconds| Spent {
            wall: Duration::from_secs(seconds),
            cpu: Duration::from_secs(2 * seconds),
        };
        let round = |ours, reference| Round {
            ours: spent(ours),
            reference: spent(reference),
            facts: BTreeMap::from([("bytes", ours as f64)]),
        };
        let case = Case::new("c", "r", 1.0, &[round(9, 4), round(1, 4), round(2, 400)]);
        assert!((case.ratio - 0.5).abs() < 1e-9, "{case:?}");
        assert!((case.ours_cpu_seconds - 4.0).abs() < 1e-9, "{case:?}");
        assert!((case.facts["bytes"] - 2.0).abs() < 1e-9, "{case:?}");
    }
}
