//! Prints the JSON Schema of a filter's configuration: `cargo xtask schema` writes it into `filter/config.schema.json`.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(sloop_model::filter_config_schema().as_bytes())
}
