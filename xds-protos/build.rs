//! Compiles our own `.proto` files in Rust, so that a build needs no protoc.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let files = ["sloop/report/v1/report.proto"];
    for file in files {
        println!("cargo::rerun-if-changed=proto/{file}");
    }
    let with_grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .build_client(with_grpc)
        .build_server(with_grpc)
        .compile_fds(protox::compile(files, ["proto"])?)?;
    if env::var_os("CARGO_FEATURE_DESCRIPTORS").is_some() {
        let out: PathBuf = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?.into();
        fs::write(out.join("envoy.bin"), envoy_descriptors()?)?;
    }
    Ok(())
}

/// The descriptors that `envoy-types` is generated from. The crate has them as a file, but no item
/// with them; here they are without comments, which are four fifths of them.
fn envoy_descriptors() -> Result<Vec<u8>, Box<dyn Error>> {
    // Says which version of the crate it is.
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let file = envoy_types()?.join("src/generated/types.bin");
    let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut set = FileDescriptorSet::decode(bytes.as_slice())?;
    for file in &mut set.file {
        file.source_code_info = None;
    }
    Ok(set.encode_to_vec())
}

/// The folder of the crate `envoy-types`.
fn envoy_types() -> Result<PathBuf, Box<dyn Error>> {
    // What is there already is enough, unless only a part of the workspace was ever built.
    let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let manifest = packages
        .into_iter()
        .flatten()
        .find(|package| {
            package
                .get("name")
                .is_some_and(|name| name == "envoy-types")
        })
        .and_then(|package| package.get("manifest_path")?.as_str())
        .ok_or("envoy-types is not among the packages")?;
    Ok(Path::new(manifest).parent().ok_or("no folder")?.to_owned())
}

fn metadata(how: &[&str]) -> Result<Value, Box<dyn Error>> {
    let output = Command::new(env::var_os("CARGO").ok_or("no CARGO")?)
        .current_dir(env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?)
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", &env::var("TARGET")?])
        .args(how)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
