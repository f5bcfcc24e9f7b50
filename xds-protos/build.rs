//! Compiles our own `.proto` files in Rust, so that a build needs no protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["sloop/report/v1/report.proto"];
    for file in files {
        println!("cargo::rerun-if-changed=proto/{file}");
    }
    let with_grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .build_client(with_grpc)
        .build_server(with_grpc)
        .compile_fds(protox::compile(files, ["proto"])?)?;
    Ok(())
}
