//! Instructions that a program executes, counted by Valgrind's callgrind.
//!
//! Neighbours do not change them, so differences of a thousandth are seen
//! where time shows percents. What they leave out is the kernel, and that not every
//! instruction takes as long as another.
//!
//! The program runs under [`Callgrind::command`]; `vgdb`, which comes with Valgrind, has
//! the counts written and set to zero at any moment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What files with counts begin with.
const FILE: &str = "counts";

/// The counts of one process, in files in a folder of its own.
#[derive(Clone, Debug)]
pub struct Callgrind {
    folder: PathBuf,
}

/// Instructions by thread, as Valgrind numbers them.
pub type Counts = BTreeMap<u32, u64>;

/// Why there are no counts.
#[derive(Debug, thiserror::Error)]
pub enum CallgrindError {
    /// Valgrind is not there.
    #[error("cannot start `{program}`; install Valgrind (on Debian: apt-get install valgrind)")]
    Missing {
        /// What is missing.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Valgrind does not write them.
    #[error("callgrind does not write its counts: {said}")]
    Silent {
        /// What `vgdb` says.
        said: String,
    },
    /// They cannot be read.
    #[error("cannot read the counts in {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// Not what callgrind writes.
    #[error("{} has no thread and no totals", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

impl Callgrind {
    /// Counts go to `folder`, which is empty and there.
    ///
    /// # Errors
    ///
    /// When Valgrind is not there.
    pub fn new(folder: &Path) -> Result<Self, CallgrindError> {
        for program in ["valgrind", "vgdb"] {
            Command::new(program)
                .arg("--help")
                .output()
                .map_err(|source| CallgrindError::Missing { program, source })?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// What a program is run by.
    #[must_use]
    pub fn command(&self) -> Vec<OsString> {
        let mut file = OsString::from("--callgrind-out-file=");
        file.push(self.folder.join(FILE));
        vec![
            "valgrind".into(),
            "--tool=callgrind".into(),
            // The worker apart from threads whose work depends on how long it takes.
            "--separate-threads=yes".into(),
            file,
        ]
    }

    /// Instructions since the last call, or since the start, of each thread of `process` that executed any.
    ///
    /// # Errors
    ///
    /// When callgrind does not write them, or not as expected.
    pub fn take(&self, process: u32) -> Result<Counts, CallgrindError> {
        let output = Command::new("vgdb")
            .arg(format!("--pid={process}"))
            .arg("dump")
            .output()
            .map_err(|source| CallgrindError::Missing {
                program: "vgdb",
                source,
            })?;
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| CallgrindError::Unreadable { path, source }
        };
        let mut counts = Counts::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable(&self.folder))? {
            let path = entry.map_err(unreadable(&self.folder))?.path();
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            std::fs::remove_file(&path).map_err(unreadable(&path))?;
            // Besides the counts there is an empty file until the program ends.
            if text.is_empty() {
                continue;
            }
            let (thread, count) = totals(&text).ok_or(CallgrindError::Shape { path })?;
            *counts.entry(thread).or_default() += count;
        }
        if counts.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(CallgrindError::Silent { said });
        }
        Ok(counts)
    }
}

/// The lines `thread: 2` and `totals: 1234` of a file ("Callgrind Format Specification", 3.1 and 3.2).
fn totals(text: &str) -> Option<(u32, u64)> {
    let value = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    let thread = u32::try_from(value("thread:")?).ok()?;
    Some((thread, value("totals:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_and_its_total_are_read() {
        let text = "# callgrind format\nversion: 1\npid: 7\npart: 1\nthread: 3\n\n\
                    events: Ir\nsummary: 99\n\nfn=(1) main\n16 400\n\ntotals: 123456\n";
        assert_eq!(totals(text), Some((3, 123_456)));
        assert_eq!(totals("version: 1\ntotals: 5\n"), None);
        assert_eq!(totals("thread: 1\n"), None);
    }
}
