//! What a task asks of the agent that runs it: resources and labels, as written and as counted.
//!
//! It knows no agents; `crate::place` holds the two together. Invariant: [`Needs`] are canonical, so
//! that tasks that want the same have equal ones; `postq.needs_of` in the database makes the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TaskSpec, check::Check, shown, text::name_fault};

/// A rule about the labels of an agent as written: one of the three must be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelRule {
    /// Of which label.
    pub label: String,
    /// The agent has it with one of these values.
    pub within: Vec<String>,
    /// The agent does not have it with one of these values.
    pub without: Vec<String>,
    /// The agent has it at all, or has not.
    pub exists: Option<bool>,
}

/// Amounts by name: `cpus` in thousandths, `memory` in bytes, anything else in whole numbers.
pub type Resources = BTreeMap<String, u64>;

/// What an agent must have to run a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// More than zero each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: Resources,
    /// All must hold.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<LabelNeed>,
}

/// What must hold of one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelNeed {
    /// Which.
    pub label: String,
    /// What of it.
    #[serde(flatten)]
    pub test: LabelTest,
}

/// A condition on the value of a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelTest {
    /// It is there, and one of these.
    In(BTreeSet<String>),
    /// It is not there, or none of these.
    NotIn(BTreeSet<String>),
    /// It is there, or is not.
    Exists(bool),
}

/// The resource that is counted in thousandths.
pub const CPUS: &str = "cpus";
/// The resource that is counted in bytes.
pub const MEMORY: &str = "memory";

/// The most CPUs one task may ask for.
const MAX_CPUS: f64 = 10_000.0;
/// The most bytes of memory one task may ask for: what JSON can carry.
const MAX_BYTES: u64 = 1 << 53;
/// The most of anything else.
const MAX_COUNT: u64 = 1_000_000_000;

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("TB", 1000 * 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The amount of a resource as written, counted; or what is wrong with it.
pub fn amount(name: &str, written: &Value) -> Result<u64, &'static str> {
    let found = match name {
        CPUS => written.as_f64().and_then(thousandths),
        MEMORY => match written {
            Value::String(text) => bytes(text),
            number => whole(number),
        }
        .filter(|bytes| (1..=MAX_BYTES).contains(bytes)),
        _ => whole(written).filter(|count| (1..=MAX_COUNT).contains(count)),
    };
    found.ok_or(match name {
        CPUS => "is not a number of CPUs; write 0.001 to 10000 with at most 3 decimals, as 1.5",
        MEMORY => "is not an amount of memory; write 1 byte to 8192 TiB, in bytes or as 512MiB",
        _ => "is not a number of it; write a whole number, 1 to 1000000000",
    })
}

fn thousandths(cpus: f64) -> Option<u64> {
    let scaled = cpus * 1000.0;
    let is_fit = (0.001..=MAX_CPUS).contains(&cpus) && (scaled - scaled.round()).abs() < 1e-6;
    is_fit.then_some(scaled.round() as u64)
}

fn whole(written: &Value) -> Option<u64> {
    written.as_u64().or_else(|| {
        let number = written.as_f64()?;
        (number.fract() == 0.0 && (0.0..=MAX_BYTES as f64).contains(&number))
            .then_some(number as u64)
    })
}

/// `512MiB`, `1.5GB`, `100`: up to 15 digits, up to three decimals, a unit. Rounded up.
pub fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) if (1..=3).contains(&decimals.len()) => (whole, decimals),
        Some(_) => return None,
        None => (number, ""),
    };
    if !(1..=15).contains(&whole.len()) {
        return None;
    }
    let thousandths: u128 = format!("{whole}{decimals:0<3}").parse().ok()?;
    u64::try_from((thousandths * u128::from(unit)).div_ceil(1000)).ok()
}

/// An amount for a person: `2 of gpus`, `1.5 CPUs`, `64 GiB of memory`.
pub fn shown_amount(name: &str, amount: u64) -> String {
    match name {
        CPUS => format!("{} CPUs", amount as f64 / 1000.0),
        MEMORY => format!("{} of memory", shown_bytes(amount)),
        _ => format!("{amount} of {}", shown(name)),
    }
}

/// A size for a person, exact: `512 MiB`, `1000 bytes`.
pub fn shown_bytes(bytes: u64) -> String {
    let mut units = UNITS.iter().filter(|(unit, _)| unit.ends_with("iB")).rev();
    match units.find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{} {unit}", bytes / size),
        None => format!("{bytes} bytes"),
    }
}

impl LabelRule {
    /// Its test, where it has exactly one.
    pub(super) fn test(&self) -> Result<LabelTest, &'static str> {
        let set = |values: &[String]| values.iter().cloned().collect();
        match (self.within.is_empty(), self.without.is_empty(), self.exists) {
            (false, true, None) => Ok(LabelTest::In(set(&self.within))),
            (true, false, None) => Ok(LabelTest::NotIn(set(&self.without))),
            (true, true, Some(exists)) => Ok(LabelTest::Exists(exists)),
            (true, true, None) => Err("tests nothing; give it in, not_in or exists"),
            _ => Err("has more than one test; write a rule for each"),
        }
    }
}

impl Needs {
    /// What was written, without what is wrong of it.
    pub(super) fn of(resources: &BTreeMap<String, Value>, rules: &[LabelRule]) -> Self {
        let counted = resources
            .iter()
            .filter_map(|(name, written)| Some((name.clone(), amount(name, written).ok()?)));
        let labels = rules.iter().filter_map(|rule| {
            Some(LabelNeed { label: rule.label.clone(), test: rule.test().ok()? })
        });
        Self { resources: counted.collect(), labels: labels.collect() }
    }

    /// Whether any agent will do.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.labels.is_empty()
    }
}

impl LabelNeed {
    /// Whether it holds of an agent with these labels.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.label);
        match &self.test {
            LabelTest::In(values) => value.is_some_and(|value| values.contains(value)),
            LabelTest::NotIn(values) => !value.is_some_and(|value| values.contains(value)),
            LabelTest::Exists(exists) => value.is_some() == *exists,
        }
    }
}

impl Check<'_> {
    /// What is wrong with a task's resources and rules.
    pub(super) fn needs(&mut self, task: &TaskSpec) {
        self.count("resources", "resources", task.resources.len(), self.limits.resources);
        for (name, written) in &task.resources {
            let field = format!("resources.{}", shown(name));
            self.some_name(&field, "resource name", name);
            self.add_fault(&field, amount(name, written).err().map(str::to_owned));
        }
        self.count("requires", "rules", task.requires.len(), self.limits.rules);
        for (index, rule) in task.requires.iter().enumerate() {
            let field = format!("requires[{index}]");
            self.some_name(&format!("{field}.label"), "label", &rule.label);
            self.add_fault(&field, rule.test().err().map(str::to_owned));
            for (list, values) in [("in", &rule.within), ("not_in", &rule.without)] {
                let field = format!("{field}.{list}");
                self.count(&field, "values", values.len(), self.limits.values);
                for (at, value) in values.iter().enumerate() {
                    let fault = name_fault("label's value", value, self.limits.name_bytes);
                    self.add_fault(&format!("{field}[{at}]"), fault);
                }
            }
        }
    }

    fn count(&mut self, field: &str, what: &str, number: usize, max: usize) {
        if number > max {
            self.add(field, format!("has {number} {what}; it may have {max}"));
        }
    }

    /// A name that must not be empty.
    fn some_name(&mut self, field: &str, what: &str, name: &str) {
        if name.is_empty() {
            self.add(field, "is empty; give it a name");
        }
        self.add_fault(field, name_fault(what, name, self.limits.name_bytes));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_counted_in_whole_units() {
        for (name, written, wanted) in [
            ("cpus", json!(1.5), 1500),
            ("cpus", json!(0.07), 70),
            ("cpus", json!(4), 4000),
            ("memory", json!("512MiB"), 512 << 20),
            ("memory", json!("1.5GB"), 1_500_000_000),
            ("memory", json!("0.001B"), 1),
            ("memory", json!("100"), 100),
            ("memory", json!(4096), 4096),
            ("gpus", json!(2.0), 2),
        ] {
            assert_eq!(amount(name, &written), Ok(wanted), "{name} {written}");
        }
        for (name, written) in [
            ("cpus", json!("2")),
            ("cpus", json!(0)),
            ("cpus", json!(1.0001)),
            ("cpus", json!(10_001)),
            ("memory", json!("0")),
            ("memory", json!("1 GiB")),
            ("memory", json!("1.GiB")),
            ("memory", json!(".5GiB")),
            ("memory", json!("9000TiB")),
            ("memory", json!(-1)),
            ("memory", json!(null)),
            ("gpus", json!(1.5)),
            ("gpus", json!("a100")),
            ("gpus", json!(0)),
        ] {
            assert!(amount(name, &written).is_err(), "{name} {written}");
        }
    }

    #[test]
    fn amounts_are_shown_as_people_write_them() {
        assert_eq!(shown_amount("memory", 64 << 30), "64 GiB of memory");
        assert_eq!(shown_amount("memory", 1000), "1000 bytes of memory");
        assert_eq!(shown_amount("cpus", 1500), "1.5 CPUs");
        assert_eq!(shown_amount("gpus", 2), "2 of gpus");
    }

    #[test]
    fn needs_survive_json_and_do_not_depend_on_the_order_they_were_written_in() {
        let rule = |label: &str, within: &[&str]| LabelRule {
            label: label.to_owned(),
            within: within.iter().map(|&value| value.to_owned()).collect(),
            ..LabelRule::default()
        };
        let resources = BTreeMap::from([("cpus".to_owned(), json!(1.5))]);
        let needs = Needs::of(&resources, &[rule("b", &["y", "x"]), rule("a", &["z"])]);
        assert_eq!(needs, Needs::of(&resources, &[rule("a", &["z"]), rule("b", &["x", "y", "x"])]));
        let written = serde_json::to_value(&needs).unwrap();
        assert_eq!(
            written,
            json!({
                "resources": {"cpus": 1500},
                "labels": [{"label": "a", "in": ["z"]}, {"label": "b", "in": ["x", "y"]}],
            })
        );
        assert_eq!(serde_json::from_value::<Needs>(written).unwrap(), needs);
        assert_eq!(serde_json::from_value::<Needs>(json!({})).unwrap(), Needs::default());
    }

    #[test]
    fn a_label_that_is_missing_is_in_nothing() {
        let labels = BTreeMap::from([("gpu".to_owned(), "a100".to_owned())]);
        let need = |label: &str, test| LabelNeed { label: label.to_owned(), test };
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        assert!(need("gpu", LabelTest::In(values(&["a100", "h100"]))).holds(&labels));
        assert!(!need("zone", LabelTest::In(values(&["eu"]))).holds(&labels));
        assert!(need("zone", LabelTest::NotIn(values(&["eu"]))).holds(&labels));
        assert!(!need("gpu", LabelTest::NotIn(values(&["a100"]))).holds(&labels));
        assert!(need("gpu", LabelTest::Exists(true)).holds(&labels));
        assert!(need("zone", LabelTest::Exists(false)).holds(&labels));
    }
}
