//! A job document from a file or standard input, checked as the coordinator will check it.
//!
//! It does not know what becomes of it. Invariant: a [`v1::JobSpec`](postq_proto::v1::JobSpec)
//! from here makes a plan under the default limits.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use postq_common::{dag::Plan, spec::Limits};
use postq_proto::{convert, document, v1::JobSpec};

use crate::failure::{Exit, Failure};

/// Larger documents are not read; the coordinator would refuse them anyway.
const LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Which document.
#[derive(Args, Clone, Debug)]
pub struct Document {
    /// Job document, YAML or JSON; `-` is standard input.
    #[arg(env = "POSTQ_FILE", value_name = "FILE")]
    file: PathBuf,
}

/// A document that was read and checked.
#[derive(Debug)]
pub struct Checked {
    /// What is submitted.
    pub spec: JobSpec,
    /// What it means.
    pub plan: Plan,
}

impl Document {
    /// Reads and checks it. Every problem is a line that names the document and the field.
    pub fn read(&self) -> Result<Checked, Failure> {
        let name = if self.is_standard_input() {
            "standard input".to_owned()
        } else {
            self.file.display().to_string()
        };
        let text = self.text(&name)?;
        check(&text).map_err(|problems| {
            let told = problems.into_iter().map(|problem| format!("{name}: {problem}"));
            Failure::of_all(Exit::Invalid, told)
        })
    }

    fn is_standard_input(&self) -> bool {
        self.file == Path::new("-")
    }

    fn text(&self, name: &str) -> Result<String, Failure> {
        let refused = |error: &io::Error| Failure::of_file("read", Path::new(name), error);
        let mut source: Box<dyn Read> = if self.is_standard_input() {
            Box::new(io::stdin())
        } else {
            Box::new(fs::File::open(&self.file).map_err(|error| refused(&error))?)
        };
        let mut bytes = Vec::new();
        source
            .by_ref()
            .take(LIMIT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(&error))?;
        if bytes.len() as u64 > LIMIT_BYTES {
            let line = format!("{name}: larger than 64 MiB; move data into files of a workspace");
            return Err(Failure::new(Exit::Invalid, line));
        }
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = format!("{name}: not UTF-8 at byte {at}; save it as UTF-8");
            Failure::new(Exit::Invalid, line)
        })
    }
}

fn check(text: &str) -> Result<Checked, Vec<String>> {
    let text = document::from_earlier_form(text).map_err(|error| vec![error.to_string()])?;
    let spec = document::parse_job(&text).map_err(|error| vec![error.to_string()])?;
    let plan = convert::plan(&spec, &Limits::default())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(Checked { spec, plan })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_the_earlier_systems_are_read() {
        let earlier = "tasks: {a: {command: date, params: {image: debian}}}";
        let spec = check(earlier).unwrap().spec;
        assert_eq!(spec.tasks["a"].image.as_deref(), Some("debian"));
    }

    #[test]
    fn all_problems_are_told_together() {
        let text = "tasks: {a: {command: date, depends: [x]}, b: {command: date, depends: [y]}}";
        assert_eq!(check(text).unwrap_err().len(), 2);
    }
}
