//! Holds the field table of `postq.submit` to the contract: the view in
//! `migrations/functions/spec_field.sql` lists exactly the fields that a `JobSpec` may have.
//!
//! With `POSTQ_BLESS=1` it writes the file instead.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::{collections::BTreeSet, env, fmt::Write, fs, path::Path};

use postq_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const HEADER: &str = "\
-- The fields a job document may have, each in both spellings of proto3-JSON. Generated from the
-- contract: POSTQ_BLESS=1 cargo test -p postq-proto --test spec_field
--
-- kind: string, int32, double, bool, enum, duration, timestamp, struct, value or message.
-- shape: one, list or map (whose keys are text). target: of which message or enum.
create or replace view postq.spec_field as
select f.position, f.message, f.field, f.spelling, f.kind, f.shape, f.target, f.is_nullable, f.words
from (values
";

const FOOTER: &str = "
) as f (position, message, field, spelling, kind, shape, target, is_nullable, words);
revoke all on postq.spec_field from public;
";

#[test]
fn the_field_table_of_submit_equals_the_contract() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/functions/spec_field.sql");
    let wanted = generate();
    if env::var_os("POSTQ_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} differs from the contract; write it with \
         POSTQ_BLESS=1 cargo test -p postq-proto --test spec_field",
        path.display()
    );
}

fn generate() -> String {
    let contract = Contract::read();
    let mut open = vec![".postq.v1.JobSpec".to_owned()];
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    while let Some(message) = open.pop() {
        if seen.insert(message.clone()) {
            let fields = &contract.message(&message).field;
            let found = fields.iter().map(|field| contract.describe(&message, field));
            for field in found {
                open.extend(field.message());
                rows.extend(field.rows(short(&message)));
            }
        }
    }
    let rows = (1..).zip(rows).map(|(position, row): (u32, _)| format!("    ({position}, {row})"));
    format!("{HEADER}{}{FOOTER}", rows.collect::<Vec<_>>().join(",\n"))
}

/// The messages and enums of the package by full name, map entries and nested ones included.
struct Contract {
    messages: Vec<(String, DescriptorProto)>,
    enums: Vec<(String, EnumDescriptorProto)>,
}

impl Contract {
    fn read() -> Self {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut contract = Self { messages: Vec::new(), enums: Vec::new() };
        for file in files.file {
            let package = format!(".{}", file.package());
            contract.enter(&package, file.message_type, file.enum_type);
        }
        contract
    }

    fn enter(
        &mut self,
        outer: &str,
        messages: Vec<DescriptorProto>,
        enums: Vec<EnumDescriptorProto>,
    ) {
        for found in enums {
            self.enums.push((format!("{outer}.{}", found.name()), found));
        }
        for found in messages {
            let name = format!("{outer}.{}", found.name());
            self.enter(&name, found.nested_type.clone(), found.enum_type.clone());
            self.messages.push((name, found));
        }
    }

    fn message(&self, name: &str) -> &DescriptorProto {
        &self.messages.iter().find(|(found, _)| found == name).unwrap().1
    }

    fn words(&self, name: &str) -> Vec<String> {
        let found = &self.enums.iter().find(|(found, _)| found == name).unwrap().1;
        // A number in a document is a position in this list.
        assert!((0..).zip(&found.value).all(|(at, value)| value.number() == at), "{name}");
        found.value.iter().map(|value| value.name().to_owned()).collect()
    }

    fn describe(&self, message: &str, field: &FieldDescriptorProto) -> Field {
        let is_list = field.label() == Label::Repeated;
        let entry = (field.r#type() == Type::Message && is_list)
            .then(|| self.message(field.type_name()))
            .filter(|entry| entry.options.as_ref().is_some_and(|options| options.map_entry()));
        let (value, shape) = match entry {
            Some(entry) => (&entry.field[1], "map"),
            None => (field, if is_list { "list" } else { "one" }),
        };
        let (kind, target) = kind(value);
        let words = if kind == "enum" { self.words(value.type_name()) } else { Vec::new() };
        let is_nullable = shape == "one" && (field.proto3_optional() || is_object(value));
        assert!(field.oneof_index.is_none() || field.proto3_optional(), "{message}: a oneof");
        Field {
            name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            kind,
            shape,
            target,
            is_nullable,
            words,
        }
    }
}

/// One field as the table has it.
struct Field {
    name: String,
    json_name: String,
    kind: &'static str,
    shape: &'static str,
    target: Option<String>,
    is_nullable: bool,
    words: Vec<String>,
}

impl Field {
    /// The message its values are.
    fn message(&self) -> Option<String> {
        self.target.clone().filter(|_| self.kind == "message")
    }

    fn rows(&self, message: &str) -> Vec<String> {
        let mut spellings = vec![&self.name, &self.json_name];
        spellings.dedup();
        spellings.into_iter().map(|spelling| self.row(message, spelling)).collect()
    }

    fn row(&self, message: &str, spelling: &str) -> String {
        let Self { name, kind, shape, is_nullable, .. } = self;
        let target =
            self.target.as_ref().map_or("null".to_owned(), |target| format!("'{}'", short(target)));
        let mut row = format!(
            "'{message}', '{name}', '{spelling}', '{kind}', '{shape}', {target}, {is_nullable}, "
        );
        write!(row, "'{{{}}}'::text[]", self.words.join(",")).unwrap();
        row
    }
}

fn is_object(field: &FieldDescriptorProto) -> bool {
    field.r#type() == Type::Message
}

fn kind(field: &FieldDescriptorProto) -> (&'static str, Option<String>) {
    let target = field.type_name().to_owned();
    match (field.r#type(), field.type_name()) {
        (Type::String, _) => ("string", None),
        (Type::Int32, _) => ("int32", None),
        (Type::Double, _) => ("double", None),
        (Type::Bool, _) => ("bool", None),
        (Type::Enum, _) => ("enum", Some(target)),
        (Type::Message, ".google.protobuf.Duration") => ("duration", None),
        (Type::Message, ".google.protobuf.Timestamp") => ("timestamp", None),
        (Type::Message, ".google.protobuf.Struct") => ("struct", None),
        (Type::Message, ".google.protobuf.Value") => ("value", None),
        (Type::Message, _) => ("message", Some(target)),
        (other, _) => panic!("{} is {other:?}: teach check_shape.sql that kind", field.name()),
    }
}

/// Without the package.
fn short(name: &str) -> &str {
    name.trim_start_matches(".postq.v1.")
}
