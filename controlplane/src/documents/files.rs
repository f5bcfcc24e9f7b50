//! Finds files with documents, and reads them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::tree::FILE_BYTES_MAX;

/// Files in one folder with all that is below it.
pub(super) const FILES_MAX: usize = 10_000;
/// Folders inside each other.
const FOLDERS_DEEP_MAX: usize = 16;

/// Why a file or folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system says no.
    #[error("cannot be read: {0}")]
    System(#[from] io::Error),
    /// Too many bytes.
    #[error("has more than {max} bytes; split it", max = FILE_BYTES_MAX)]
    TooLong,
    /// Not a text.
    #[error("is not UTF-8 from byte {at} on")]
    NotText {
        /// Where, from 0.
        at: usize,
    },
    /// Too many files to be meant.
    #[error("more than {max} files; is it the right folder?", max = FILES_MAX)]
    TooMany,
    /// Too many folders inside each other.
    #[error("more than {max} folders inside each other", max = FOLDERS_DEEP_MAX)]
    TooDeep,
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    read_text(File::open(path)?)
}

/// The text of a stream.
pub(super) fn read_text(stream: impl Read) -> Result<String, FileError> {
    let max = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    stream.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if FILE_BYTES_MAX < bytes.len() {
        return Err(FileError::TooLong);
    }
    String::from_utf8(bytes).map_err(|error| FileError::NotText {
        at: error.utf8_error().valid_up_to(),
    })
}

/// All files in `folder` and below that end in `.yaml`, `.yml` or `.json`, sorted.
///
/// Leaves out what begins with a dot, and folders behind links: so a mounted
/// Kubernetes ConfigMap, which is made of both, is read once.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        if FOLDERS_DEEP_MAX < depth {
            return Err(FileError::TooDeep);
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let path = entry.path();
            let kind = entry.file_type()?;
            if is_hidden {
                continue;
            }
            if kind.is_dir() {
                waiting.push((path, depth + 1));
            } else if has_documents(&path) && path.is_file() {
                found.push(path);
            }
            if FILES_MAX < found.len() {
                return Err(FileError::TooMany);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `path` is named as a file with documents is.
pub(crate) fn has_documents(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}
