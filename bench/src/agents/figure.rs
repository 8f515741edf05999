//! One figure, as a JSON line and as a row.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use crate::report::median;

/// A median, and that of what it is compared with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) figure: String,
    /// In what.
    pub(crate) unit: &'static str,
    /// Median of the rounds.
    pub(crate) value: f64,
    /// What it was compared with; empty where with nothing.
    pub(crate) reference: String,
    /// Median of the rounds.
    pub(crate) reference_value: Option<f64>,
}

impl Figure {
    /// A figure by itself.
    pub(crate) fn new(figure: impl Into<String>, unit: &'static str, rounds: &[f64]) -> Self {
        let value = median(rounds.iter().copied());
        let (figure, reference) = (figure.into(), String::new());
        Self { figure, unit, value, reference, reference_value: None }
    }

    /// The same, beside that of another tool in the same run.
    pub(crate) fn beside(self, reference: &str, rounds: &[f64]) -> Self {
        let reference_value = Some(median(rounds.iter().copied()));
        Self { reference: reference.to_owned(), reference_value, ..self }
    }
}

/// All of them for people, to standard error.
pub(crate) fn print_table(figures: &[Figure]) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["figure", "PostQ", "unit", "beside", "reference"]);
    for figure in figures {
        table.add_row([
            figure.figure.clone(),
            format!("{:.2}", figure.value),
            figure.unit.to_owned(),
            figure.reference_value.map_or_else(String::new, |value| format!("{value:.2}")),
            figure.reference.clone(),
        ]);
    }
    for column in [1, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    eprintln!("{table}");
}
