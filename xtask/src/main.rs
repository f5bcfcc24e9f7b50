//! The one door for tasks: `cargo xtask --help`.

fn main() {}
