//! `sloop apply`: hands documents to a running control plane.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{AdminArgs, CliError, client};
use crate::admin::TEXTS_TYPE;
use crate::admin::api::{DocumentChanged, DocumentText, DocumentsChanged};
use crate::documents::{self, Became, FileError};

const EXAMPLE: &str = "Example:
  sloop apply -f slos/ --dry-run
  sloop apply -f slos/
  cat slo.yaml | sloop apply -f -";

/// Hand documents to a running control plane.
///
/// All of them or none: what is wrong with them, also together with what is there, is said at once.
/// They survive a restart. A document that is in a file of the folder that the control plane watches
/// is changed there.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ApplyArgs {
    /// A file, a folder (with all .yaml, .yml and .json files below it), or - for the standard input.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only say what it would do.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) fn run(args: &ApplyArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let mut texts = Vec::new();
    for path in &args.paths {
        add(path, &mut texts)?;
    }
    if texts.is_empty() {
        let paths = args.paths.iter().map(|path| path.display().to_string());
        let paths: Vec<String> = paths.collect();
        return Err(CliError::NoFile(paths.join(", ")));
    }
    let body = serde_json::json!(texts).to_string();
    let path = path("/v1/documents", args.dry_run);
    let changed = client::post_as(&args.admin.admin, &path, (TEXTS_TYPE, body))?;
    Ok(say(&changed, args.dry_run, out)?)
}

/// `path` for what is meant, or for what only would be.
pub(super) fn path(path: &str, dry_run: bool) -> String {
    format!("{path}?dry_run={dry_run}")
}

/// Adds what is in `path`, or in the files below it.
fn add(path: &Path, texts: &mut Vec<DocumentText>) -> Result<(), CliError> {
    let failed = |(file, source)| CliError::File { file, source };
    if path == Path::new("-") {
        let text = documents::read_stream(io::stdin().lock());
        texts.push(DocumentText {
            file: "<stdin>".to_owned(),
            text: text.map_err(|error| failed((path.to_owned(), error)))?,
        });
        return Ok(());
    }
    let files = if path.is_dir() {
        documents::files_below(path).map_err(failed)?
    } else {
        vec![path.to_owned()]
    };
    for file in files {
        let opened = File::open(&file).map_err(FileError::from);
        let text = opened.and_then(documents::read_stream);
        texts.push(DocumentText {
            file: file.display().to_string(),
            text: text.map_err(|error| failed((file, error)))?,
        });
    }
    Ok(())
}

/// Says what became of each document, and what one should know of it.
pub(super) fn say(
    changed: &DocumentsChanged,
    dry_run: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let trial = if dry_run { " (dry run)" } else { "" };
    for DocumentChanged { id, became } in &changed.items {
        let became = match became {
            Became::Created => "created",
            Became::Configured => "configured",
            Became::Unchanged => "unchanged",
            Became::Deleted => "deleted",
        };
        writeln!(out, "{id} {became}{trial}")?;
    }
    for note in &changed.notes {
        writeln!(out, "{}", note.as_note())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::causes::whole;

    #[test]
    fn the_file_that_cannot_be_handed_in_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.yaml"), "kind: Service").unwrap();
        fs::create_dir(path("deep")).unwrap();
        fs::write(path("deep/b.yaml"), b"name: Caf\xe9").unwrap();
        let said = || whole(&add(folder.path(), &mut Vec::new()).unwrap_err());
        let expected = format!(
            "{} cannot be handed in: is not UTF-8 from byte 9 on",
            path("deep/b.yaml").display()
        );
        assert_eq!(said(), expected);
        let none = add(&path("none.yaml"), &mut Vec::new()).unwrap_err();
        let expected =
            "none.yaml cannot be handed in: cannot be read: No such file or directory (os error 2)";
        assert!(whole(&none).ends_with(expected), "{none}");
        let deep = path("deep/").join("d/".repeat(16));
        fs::create_dir_all(&deep).unwrap();
        let expected = format!(
            "{} cannot be handed in: more than 16 folders inside each other",
            path("deep/").join(["d"; 16].join("/")).display()
        );
        assert_eq!(said(), expected);
    }
}
