//! Writes a record without holding up whoever decides.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::{FORMAT, Line};

/// Batches of lines that wait for the disk: a hundred steps of ten per second.
const WAITING_MAX: usize = 1_000;

/// Writes lines to a file, in a thread of its own. What was written is on the disk when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    lines: Option<SyncSender<Vec<Line>>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Begins a record at `path`, which it replaces, of at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn begin(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = Bounded {
            file: BufWriter::new(create(path)?),
            left: bytes_max,
        };
        let (lines, written) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || write(file, &written))?;
        let recorder = Self {
            lines: Some(lines),
            thread: Some(thread),
        };
        Ok(recorder.with(vec![Line::Record(FORMAT)]))
    }

    /// Adds lines. When the disk is too slow for them the record ends: one with gaps would
    /// decide otherwise.
    pub fn append(&mut self, lines: Vec<Line>) {
        let Some(sender) = &self.lines else { return };
        match sender.try_send(lines) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::error!("the record ends: the disk is too slow for it");
                self.lines = None;
            }
            // The thread said why.
            Err(TrySendError::Disconnected(_)) => self.lines = None,
        }
    }

    fn with(mut self, lines: Vec<Line>) -> Self {
        self.append(lines);
        self
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The file at `path`, empty. One that was not there its owner alone can read: intents have addresses of webhooks, which are
/// secrets.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.mode(0o600).open(path)
}

/// A file that grows no larger than it may.
#[derive(Debug)]
struct Bounded<W> {
    file: W,
    left: u64,
}

impl<W: Write> Bounded<W> {
    /// Writes a line. False when it was the last one.
    fn line(&mut self, line: &Line) -> io::Result<bool> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        let length = u64::try_from(json.len()).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(length) else {
            writeln!(self.file, "{}", serde_json::to_string(&Line::Full)?)?;
            return Ok(false);
        };
        self.left = left;
        self.file.write_all(&json)?;
        Ok(true)
    }
}

fn write<W: Write>(mut file: Bounded<W>, batches: &Receiver<Vec<Line>>) {
    let mut write = || -> io::Result<()> {
        for batch in batches {
            for line in &batch {
                if !file.line(line)? {
                    tracing::warn!("the record ends: it is as large as it may be");
                    return file.file.flush();
                }
            }
            // A record of a process that is killed ends at a line.
            file.file.flush()?;
        }
        Ok(())
    };
    if let Err(error) = write() {
        tracing::error!(%error, "the record ends: it cannot be written");
    }
}
