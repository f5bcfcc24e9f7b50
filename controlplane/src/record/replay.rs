//! Decides again what a record says, and compares.

use std::io::{self, BufRead, Write};

use sloop_controllers::{Brain, InvalidIntent, Step};

use super::{FORMAT, Line, digest};

/// How a replay went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Steps that were decided again.
    pub steps: u64,
    /// Steps that came out otherwise.
    pub different: u64,
    /// Whether the record ended for want of room.
    pub is_cut: bool,
}

/// Why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read, or the output not written.
    #[error("line {line}: cannot be read")]
    Io {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        source: io::Error,
    },
    /// A line is none that this program understands.
    #[error("line {line}: is none of a record")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It was written by another program.
    #[error("line 1: the format of the record is {given}; this program reads {FORMAT}")]
    Format {
        /// As given; 0 when there is none.
        given: u32,
    },
    /// An intent that this program does not take.
    #[error("line {line}: an intent is not accepted")]
    Intent {
        /// The line, from 1.
        line: u64,
        /// Why.
        source: InvalidIntent,
    },
    /// What was decided stands where nothing was.
    #[error("line {line}: says what was decided before anything was")]
    Order {
        /// The line, from 1.
        line: u64,
    },
    /// It is empty, or ends before the first step.
    #[error("there is no step in it; a record has a line with its format, and a step or more")]
    Nothing,
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
}

/// Decides again what `record` says. What was new in each step goes to `out`, and what came out otherwise.
///
/// # Errors
///
/// When the record is none, has no step, or cannot be read to its end. A line that ends in its middle is the end.
pub fn replay(mut record: impl BufRead, out: &mut dyn Write) -> Result<Replayed, ReplayError> {
    let mut brain = Brain::default();
    let mut replayed = Replayed::default();
    let mut last: Option<Step> = None;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let read = record.read_until(b'\n', &mut text);
        if read.map_err(|source| ReplayError::Io { line, source })? == 0 {
            break;
        }
        let read = match serde_json::from_slice(&text) {
            // The process was killed while it wrote, perhaps within a letter.
            Err(_) if !text.ends_with(b"\n") => break,
            read => read.map_err(|source| ReplayError::Line { line, source })?,
        };
        if (line == 1) != matches!(read, Line::Record(FORMAT)) {
            return Err(ReplayError::Format {
                given: match read {
                    Line::Record(given) => given,
                    Line::Input(_) | Line::Decided { .. } | Line::Full => 0,
                },
            });
        }
        match read {
            Line::Record(_) => {}
            Line::Full => replayed.is_cut = true,
            Line::Input(input) => {
                let taken = brain.take(input);
                let step = taken.map_err(|source| ReplayError::Intent { line, source })?;
                last = step.or(last);
            }
            Line::Decided { sha256, new } => {
                let step = last.as_ref().ok_or(ReplayError::Order { line })?;
                replayed.steps += 1;
                let is_same = digest(step) == sha256;
                replayed.different += u64::from(!is_same);
                tell(step, is_same, (line, &new), out).map_err(ReplayError::Output)?;
            }
        }
    }
    if replayed.steps == 0 {
        return Err(ReplayError::Nothing);
    }
    Ok(replayed)
}

fn tell(
    step: &Step,
    is_same: bool,
    (line, new): (u64, &[String]),
    out: &mut dyn Write,
) -> io::Result<()> {
    new.iter().try_for_each(|one| writeln!(out, "{one}"))?;
    if !is_same {
        writeln!(out, "line {line}: this program decides otherwise:")?;
        for decided in &step.decisions {
            let because = &decided.decision.because;
            writeln!(
                out,
                "  {} ({:?}): {because}",
                decided.intent.0, decided.stage
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
