//! Free JSON from the wire and back.
//!
//! Invariant: what passes is exact: no number is rounded on the way through floating point.

use pbjson_types::{Struct, Value as Wire, value::Kind};
use postq_common::spec::{Problem, Problems, shown};
use serde_json::{Map, Number, Value};

use crate::document::exact;

/// Free JSON that came over the wire; what JSON does not have (a number that is none) becomes null.
pub fn json_from_value(wire: &Wire) -> Value {
    Walk { problems: &mut Problems::new(0) }.value(wire, &Path::Root(""))
}

/// Free JSON for the wire. Integers beyond 2^53 are rounded, so they must have been refused before.
pub fn value_from_json(value: &Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            let values: Vec<Wire> = items.iter().map(value_from_json).collect();
            Kind::ListValue(values.into())
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, item)| (key.clone(), value_from_json(item)));
            Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    Wire { kind: Some(kind) }
}

/// As [`json_from_value`], but adds a problem for every number that is not exact.
pub(super) fn value(wire: &Wire, path: &str, problems: &mut Problems) -> Value {
    Walk { problems }.value(wire, &Path::Root(path))
}

/// As [`value`], for an object.
pub(super) fn object(wire: &Struct, path: &str, problems: &mut Problems) -> Map<String, Value> {
    Walk { problems }.object(wire, &Path::Root(path))
}

/// Where a value is; written only when something is wrong there.
enum Path<'a> {
    Root(&'a str),
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn write(&self) -> String {
        match self {
            Self::Root(path) => (*path).to_owned(),
            Self::Field(parent, key) => format!("{}.{}", parent.write(), shown(key)),
            Self::Item(parent, index) => format!("{}[{index}]", parent.write()),
        }
    }
}

struct Walk<'a> {
    problems: &'a mut Problems,
}

impl Walk<'_> {
    fn value(&mut self, wire: &Wire, path: &Path<'_>) -> Value {
        match &wire.kind {
            None | Some(Kind::NullValue(_)) => Value::Null,
            Some(Kind::BoolValue(bool)) => Value::Bool(*bool),
            Some(Kind::StringValue(text)) => Value::String(text.clone()),
            Some(Kind::NumberValue(number)) => self.number(*number, path),
            Some(Kind::StructValue(fields)) => Value::Object(self.object(fields, path)),
            Some(Kind::ListValue(list)) => {
                let items = list.values.iter().enumerate();
                items.map(|(index, item)| self.value(item, &Path::Item(path, index))).collect()
            }
        }
    }

    fn object(&mut self, wire: &Struct, path: &Path<'_>) -> Map<String, Value> {
        let field = |(key, item): (&String, &Wire)| {
            (key.clone(), self.value(item, &Path::Field(path, key)))
        };
        wire.fields.iter().map(field).collect()
    }

    fn number(&mut self, number: f64, path: &Path<'_>) -> Value {
        if let Some(integer) = exact(number) {
            return Value::Number(integer.into());
        }
        if number.fract() == 0.0 {
            let message =
                "is an integer that JSON cannot carry (beyond 2^53); write it as a string";
            self.problems.add(|| Problem::new(path.write(), message));
        }
        Number::from_f64(number).map_or_else(
            || {
                let message = format!("is {number}, which is not a number in JSON; remove it");
                self.problems.add(|| Problem::new(path.write(), message));
                Value::Null
            },
            Value::Number,
        )
    }
}
