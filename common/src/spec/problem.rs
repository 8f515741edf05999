//! What is wrong with a document, gathered so that all of it is told at once.
//!
//! Invariant: a list that is reported is never empty and never longer than its limit and one line.

use std::fmt;

/// One thing that is wrong: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The field as the user would write it: `tasks.count.depends[0]`; empty for the whole.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Gathers problems up to a limit and counts the rest.
#[derive(Debug)]
pub struct Problems {
    kept: Vec<Problem>,
    limit: usize,
    left_out: usize,
}

impl Problems {
    /// None yet; the first `limit` will be kept.
    pub fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, left_out: 0 }
    }

    /// Adds what `make` says, which is called only if it will be kept.
    pub fn add(&mut self, make: impl FnOnce() -> Problem) {
        if self.kept.len() < self.limit {
            self.kept.push(make());
        } else {
            self.left_out += 1;
        }
    }

    /// How many there are, those left out included.
    pub fn len(&self) -> usize {
        self.kept.len() + self.left_out
    }

    /// Whether all is well.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing if all is well, else the list with a last line for those left out.
    pub fn into_result(mut self) -> Result<(), Vec<Problem>> {
        if self.is_empty() {
            return Ok(());
        }
        if self.left_out > 0 {
            self.kept.push(Problem::new("", format!("and {} more problems", self.left_out)));
        }
        Err(self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_beyond_the_limit_are_counted_in_a_last_line() {
        let mut problems = Problems::new(2);
        for n in 0..5 {
            problems.add(|| Problem::new(format!("tasks.t{n}"), "is wrong"));
        }
        assert_eq!(problems.len(), 5);
        let lines: Vec<_> =
            problems.into_result().unwrap_err().iter().map(Problem::to_string).collect();
        assert_eq!(lines, ["tasks.t0: is wrong", "tasks.t1: is wrong", "and 3 more problems"]);
    }

    #[test]
    fn no_problem_is_a_good_result() {
        assert_eq!(Problems::new(0).into_result(), Ok(()));
    }
}
