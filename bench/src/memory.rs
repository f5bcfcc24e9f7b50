//! How much memory a process has for itself.
//!
//! `/proc/PID/smaps_rollup` adds up all its mappings (`Documentation/filesystems/proc.rst`
//! of Linux). Pages of files, which others share, are not counted: a program is
//! mapped as far as it was read, and that says nothing about what it keeps.

use std::io;
use std::path::PathBuf;

/// Why a process's memory is not known.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The kernel does not give the file, or the process has ended.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// Not what the kernel writes.
    #[error("{} has no line `Anonymous: N kB`", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

/// Bytes of the process that belong to no file.
///
/// # Errors
///
/// When it has ended.
pub fn anonymous_bytes(process: u32) -> Result<u64, MemoryError> {
    let path = PathBuf::from(format!("/proc/{process}/smaps_rollup"));
    match std::fs::read_to_string(&path) {
        Ok(text) => anonymous(&text).ok_or(MemoryError::Shape { path }),
        Err(source) => Err(MemoryError::Unreadable { path, source }),
    }
}

/// The number in `Anonymous: 123 kB`; such a kB has 1,024 bytes.
fn anonymous(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_and_its_unit_known() {
        let text = "00400000-7ffe [rollup]\nRss:  900 kB\nAnonymous:     23 kB\nSwap: 0 kB\n";
        assert_eq!(anonymous(text), Some(23 * 1_024));
        for other in ["", "Anonymous: 23", "Anonymous: x kB"] {
            assert_eq!(anonymous(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_a_process_takes_is_seen() {
        let before = anonymous_bytes(std::process::id()).unwrap();
        let taken = vec![1_u8; 64 << 20];
        let after = anonymous_bytes(std::process::id()).unwrap();
        assert!(48 << 20 < after.saturating_sub(before), "{before} {after}");
        drop(taken);
        assert!(anonymous_bytes(u32::MAX).is_err());
    }
}
