//! How long a thread was on a processor, as the kernel's scheduler counts it.
//!
//! `/proc/PID/task/TID/schedstat` counts in nanoseconds, user and system
//! together (`Documentation/scheduler/sched-stats.rst` of Linux); `stat` beside
//! it counts in ticks of 10 ms. While a thread runs, its count moves only with the kernel's
//! ticks, so it is read when the thread sleeps.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A thread whose time is read.
#[derive(Clone, Debug)]
pub struct Thread {
    id: u32,
    schedstat: PathBuf,
}

/// Why a thread's time is not known.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// The kernel does not give the file, or it is gone with the thread.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// Not what the kernel writes.
    #[error("{} holds {given:?}; it must begin with nanoseconds", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is in it.
        given: String,
    },
    /// The process has no such thread, or several.
    #[error(
        "process {process} has {count} threads whose names begin with {prefix:?}; it must have one"
    )]
    Count {
        /// The process.
        process: u32,
        /// What was looked for.
        prefix: String,
        /// How many there are.
        count: usize,
    },
}

impl Thread {
    /// The only thread of a process whose name begins with `prefix`.
    ///
    /// # Errors
    ///
    /// When there is none or several.
    pub fn named(process: u32, prefix: &str) -> Result<Self, ThreadError> {
        let mut found = Self::all_named(process, prefix)?;
        let count = found.len();
        match found.pop() {
            Some(only) if count == 1 => Ok(only),
            Some(_) | None => Err(ThreadError::Count {
                process,
                prefix: prefix.to_owned(),
                count,
            }),
        }
    }

    /// All threads of a process whose names begin with `prefix`.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn all_named(process: u32, prefix: &str) -> Result<Vec<Self>, ThreadError> {
        let is_named = |id: &u32| {
            let name = std::fs::read_to_string(folder(process, *id).join("comm"));
            name.is_ok_and(|name| name.starts_with(prefix))
        };
        let named = ids(process)?.into_iter().filter(is_named);
        Ok(named.map(|id| Self::of(process, id)).collect())
    }

    /// The first thread of a process, whose id is the process's.
    #[must_use]
    pub fn main(process: u32) -> Self {
        Self::of(process, process)
    }

    fn of(process: u32, id: u32) -> Self {
        Self {
            id,
            schedstat: folder(process, id).join("schedstat"),
        }
    }

    /// Its id, which the scheduler knows it by.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How long it has been on a processor since it began.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn time(&self) -> Result<Duration, ThreadError> {
        let path = || self.schedstat.clone();
        let text = read(&self.schedstat)?;
        on_processor(&text).ok_or_else(|| ThreadError::Shape {
            path: path(),
            given: text,
        })
    }
}

/// How long all threads of a process have been on a processor; those that have ended are not counted.
///
/// # Errors
///
/// When it has ended.
pub fn process_time(process: u32) -> Result<Duration, ThreadError> {
    let mut all = Duration::ZERO;
    for id in ids(process)? {
        // One that ended since is one that has ended.
        all += Thread::of(process, id).time().unwrap_or_default();
    }
    Ok(all)
}

/// The ids of all threads of a process.
///
/// # Errors
///
/// When there is no such process.
pub fn ids(process: u32) -> Result<Vec<u32>, ThreadError> {
    let path = PathBuf::from(format!("/proc/{process}/task"));
    let entries = std::fs::read_dir(&path).map_err(|source| ThreadError::Unreadable {
        path: path.clone(),
        source,
    })?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// The share of the processors' time that the hypervisor gave to others, between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stolen {
    stolen: u64,
    all: u64,
}

impl Stolen {
    /// The counts since the machine started. `None` where the kernel does not say.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, then guests, which are in user.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Option<Vec<u64>> = line
            .split_whitespace()
            .take(8)
            .map(|it| it.parse().ok())
            .collect();
        let ticks = ticks?;
        Some(Self {
            stolen: *ticks.get(7)?,
            all: ticks.iter().sum(),
        })
    }

    /// What was stolen since `earlier`, as a share of all time.
    #[must_use]
    pub fn share_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        let stolen = self.stolen.saturating_sub(earlier.stolen);
        if all == 0 {
            0.0
        } else {
            stolen as f64 / all as f64
        }
    }
}

fn folder(process: u32, thread: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/task/{thread}"))
}

fn read(path: &Path) -> Result<String, ThreadError> {
    std::fs::read_to_string(path).map_err(|source| ThreadError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// The first of the three numbers: nanoseconds on a processor.
fn on_processor(text: &str) -> Option<Duration> {
    let first = text.split_whitespace().next()?;
    Some(Duration::from_nanos(first.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_first_number_is_the_time_on_a_processor() {
        let read = on_processor("1234567 89 3\n");
        assert_eq!(read, Some(Duration::from_nanos(1_234_567)));
        for other in ["", "\n", "abc 1 2", "-1 0 0"] {
            assert_eq!(on_processor(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_thread_that_works_is_seen_working_and_for_no_longer_than_it_did() {
        let (to_worker, orders) = mpsc::channel::<Duration>();
        let (done, answers) = mpsc::channel();
        let work = move || {
            for long in orders {
                let begun = Instant::now();
                while begun.elapsed() < long {}
                done.send(begun.elapsed()).unwrap();
            }
        };
        let builder = std::thread::Builder::new().name("sloop-works".into());
        let worker = builder.spawn(work).unwrap();
        let works = |long| {
            to_worker.send(long).unwrap();
            answers.recv().unwrap()
        };
        // It has its name once it has answered.
        works(Duration::ZERO);
        let thread = Thread::named(std::process::id(), "sloop-works").unwrap();
        let before = thread.time().unwrap();
        let begun = Instant::now();
        works(Duration::from_millis(50));
        let seen = thread.time().unwrap() - before;
        assert!(Duration::ZERO < seen);
        assert!(seen <= begun.elapsed(), "{seen:?} of {:?}", begun.elapsed());
        assert!(seen <= process_time(std::process::id()).unwrap());
        assert!(Thread::main(std::process::id()).time().is_ok());
        drop(to_worker);
        worker.join().unwrap();
    }

    #[test]
    fn a_thread_that_is_not_there_is_an_error() {
        let error = Thread::named(std::process::id(), "no such thread").unwrap_err();
        assert!(error.to_string().contains("has 0 threads"), "{error}");
        assert!(ids(u32::MAX).is_err());
    }

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let at = |line: &str| Stolen::parse(line).unwrap();
        let early = at("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1\n");
        let late = at("cpu  20 0 20 130 0 0 0 30 5 5\n");
        assert!((late.share_since(early) - 0.3).abs() < 1e-9);
        assert!(early.share_since(late).abs() < 1e-9, "backwards is nothing");
        assert_eq!(Stolen::parse("intr 1 2 3"), None);
        assert_eq!(Stolen::parse("cpu 1 2 3"), None);
    }
}
