//! `sloop delete`: takes a document back that was handed in.

use std::io::Write;

use clap::Args;

use super::{AdminArgs, CliError, apply, client};
use crate::documents;

const EXAMPLE: &str = "Example:
  sloop delete slo checkout-availability
  sloop delete CircuitBreaker orders --dry-run";

/// Take back a document that `sloop apply` handed in.
///
/// What is in a file of the folder is deleted there. What others refer to is not deleted.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct DeleteArgs {
    /// The kind of document, in upper or lower case.
    #[arg(value_parser = |given: &str| documents::kind(given))]
    kind: &'static str,
    /// Its name.
    name: String,
    /// Only say what it would do.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) fn run(args: &DeleteArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let path = format!(
        "/v1/documents/{}/{}",
        args.kind,
        client::segment(&args.name)
    );
    let path = apply::path(&path, args.dry_run);
    let changed = client::delete(&args.admin.admin, &path)?;
    Ok(apply::say(&changed, args.dry_run, out)?)
}
