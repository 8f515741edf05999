//! Generates the Rust types, services and proto3-JSON serde of `postq.v1`, without a system protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const PROTOS: [&str; 8] = [
    "postq/v1/job.proto",
    "postq/v1/job_service.proto",
    "postq/v1/dispatch_service.proto",
    "postq/v1/workspace_service.proto",
    "postq/v1/agent_service.proto",
    "postq/v1/queue_service.proto",
    "postq/v1/schedule_service.proto",
    "postq/v1/dead_letter_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=postq");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptors = protox::compile(PROTOS, ["."])?;
    let encoded = descriptors.encode_to_vec();
    fs::write(out.join("postq_descriptor.bin"), &encoded)?;

    tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".postq.v1.BlobPiece")
        .bytes(".postq.v1.WholeBlob")
        .bytes(".postq.v1.PushLogsRequest")
        .bytes(".postq.v1.ReadLogsResponse")
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .btree_map([".postq.v1"])
        // As the proto, YAML, SQL and the documents spell them; both spellings are read.
        .preserve_proto_field_names()
        .build(&[".postq.v1"])?;
    Ok(())
}
