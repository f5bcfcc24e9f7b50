//! Finds files with documents, and reads them.

use std::ffi::OsStr;
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
    System(io::Error),
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

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
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

/// What is in a folder and below.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// All files that end in `.yaml`, `.yml` or `.json`, sorted.
    pub(super) files: Vec<PathBuf>,
    /// Folders of which nobody knows what is in them.
    pub(super) shut: Vec<(PathBuf, FileError)>,
}

/// What is in `folder` and below.
///
/// Leaves out what is passed over ([`is_passed_over`]), and folders behind links: so a mounted
/// Kubernetes ConfigMap, which is made of both, is read once.
pub(super) fn below(folder: &Path) -> Result<Below, FileError> {
    let mut found = Below::default();
    let mut waiting = list(folder, &mut found.files)?;
    for _ in 0..FOLDERS_DEEP_MAX {
        for folder in std::mem::take(&mut waiting) {
            let mut files = Vec::new();
            match list(&folder, &mut files) {
                Ok(folders) => waiting.extend(folders),
                Err(error) => found.shut.push((folder, error)),
            }
            found.files.append(&mut files);
            if FILES_MAX < found.files.len() {
                return Err(FileError::TooMany);
            }
        }
    }
    let too_deep = waiting.into_iter();
    found
        .shut
        .extend(too_deep.map(|folder| (folder, FileError::TooDeep)));
    found.files.sort();
    Ok(found)
}

/// Adds the files with documents in `folder`; the answer is the folders in it.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, FileError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_passed_over(&entry.file_name()) {
            continue;
        }
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            folders.push(path);
        } else if has_documents(&path) && (kind.is_file() || may_be_file(&path)) {
            files.push(path);
        }
        if FILES_MAX < files.len() {
            return Err(FileError::TooMany);
        }
    }
    Ok(folders)
}

/// Whether a link leads to a file, or nobody may see what it leads to, which is not the same as nothing.
fn may_be_file(link: &Path) -> bool {
    match fs::metadata(link) {
        Ok(found) => found.is_file(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Whether a file or folder of this name is nobody's document: what begins with a dot, and where a file system puts what it
/// found broken, which only its administrator may read.
pub(crate) fn is_passed_over(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || name == "lost+found"
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
