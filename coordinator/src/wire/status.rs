//! The one place where errors become gRPC statuses.

use postq_common::spec::Problem;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::error;

use crate::{admission::AdmissionError, errors, store::StoreError};

/// An error of the database. What is the server's own trouble is logged here, with its whole chain.
pub fn of_store(failed: StoreError) -> Status {
    match &failed {
        StoreError::Unavailable { .. } => {
            error!(error = errors::chain(&failed), "database unavailable");
            Status::unavailable("the database does not answer; try again")
        }
        StoreError::Refused { code, message } if code == "PQ001" => {
            Status::already_exists(message.clone())
        }
        StoreError::Refused { code, message } if code == "PQ003" => {
            Status::not_found(message.clone())
        }
        StoreError::Refused { code, message } if code == "PQ005" => {
            Status::invalid_argument(message.clone())
        }
        StoreError::Refused { code, message } if code == "PQ010" => {
            Status::resource_exhausted(message.clone())
        }
        StoreError::Refused { code, message } if code == "PQ011" => {
            Status::not_found(message.clone())
        }
        StoreError::Refused { message, .. } => Status::failed_precondition(message.clone()),
        StoreError::Failed { .. } if failed.is_of_nul() => Status::invalid_argument(
            "a text of the request holds a NUL, which cannot be kept; leave it out",
        ),
        StoreError::Pooled | StoreError::Failed { .. } => {
            error!(error = errors::chain(&failed), "database error");
            Status::internal(format!("the database failed: {}", errors::chain(&failed)))
        }
    }
}

/// Why a job was not admitted.
pub fn of_admission(refused: AdmissionError) -> Status {
    match refused {
        AdmissionError::Document(problems) => of_problems(&problems),
        AdmissionError::Store(error) => of_store(error),
        AdmissionError::Blobs(error) => {
            error!(error = errors::chain(&error), "blob store unavailable");
            Status::unavailable("the blob store does not answer; try again")
        }
        AdmissionError::Panicked => Status::internal(refused.to_string()),
    }
}

/// All that is wrong with a document, each with its field.
pub fn of_problems(problems: &[Problem]) -> Status {
    let mut details = ErrorDetails::new();
    for problem in problems {
        details.add_bad_request_violation(problem.path.clone(), problem.message.clone());
    }
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Status::with_error_details(Code::InvalidArgument, text.join("\n"), details)
}

/// One field of a request that is wrong.
pub fn bad_field(field: &str, message: impl Into<String>) -> Status {
    of_problems(&[Problem::new(field, message)])
}
