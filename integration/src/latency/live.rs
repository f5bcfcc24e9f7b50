//! What a run looks like while it goes on.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::lanes::Lane;
use super::result;
use super::table;

/// Between two looks on a terminal.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// Between two lines where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(15);

/// Says on standard error how far it is. On a terminal, a table that is drawn again and again.
#[derive(Debug)]
pub struct Live {
    is_terminal: bool,
    begun: Instant,
    drawn_at: Option<Instant>,
    lines: usize,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            begun: Instant::now(),
            drawn_at: None,
            lines: 0,
        }
    }
}

impl Live {
    /// Says one line that stays.
    pub fn say(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
        self.lines = 0;
        self.begun = Instant::now();
    }

    /// So many of `rounds` are over.
    pub(super) fn round(&mut self, done: usize, rounds: usize, lanes: &[Lane]) {
        let every = if self.is_terminal {
            DRAW_EVERY
        } else {
            SAY_EVERY
        };
        let is_due = self.drawn_at.is_none_or(|at| every <= at.elapsed());
        if done == 0 || !(is_due || done == rounds) {
            return;
        }
        self.drawn_at = Some(Instant::now());
        let left = left(self.begun.elapsed(), done, rounds);
        let mut text = format!("  round {done} of {rounds}, {} s left\n", left.as_secs());
        if self.is_terminal
            && let Some(baseline) = result::baseline(lanes)
            && let Some(rows) = result::rows(lanes)
        {
            text.push_str(&table::rows(baseline, &rows));
        }
        self.clear();
        self.lines = if self.is_terminal {
            text.lines().count()
        } else {
            0
        };
        self.write(&text);
    }

    /// So many of `rounds` are over, of something without a table.
    pub(super) fn progress(&mut self, done: usize, rounds: usize) {
        self.round(done, rounds, &[]);
    }

    /// Takes the table away.
    pub(super) fn clear(&mut self) {
        if 0 < self.lines {
            // Up by so many lines, then erased to the end (ECMA-48: CUU, ED).
            self.write(&format!("\x1b[{}A\x1b[J", self.lines));
            self.lines = 0;
        }
    }

    fn write(&self, text: &str) {
        let mut output = std::io::stderr().lock();
        // Nobody looks when it cannot be written.
        drop(output.write_all(text.as_bytes()));
        drop(output.flush());
    }
}

fn left(elapsed: Duration, done: usize, rounds: usize) -> Duration {
    if done == 0 {
        return Duration::ZERO;
    }
    let share = rounds.saturating_sub(done) as f64 / done as f64;
    elapsed.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_per_round_as_what_was() {
        let second = Duration::from_secs(1);
        assert_eq!(left(second, 1, 10), Duration::from_secs(9));
        assert_eq!(left(second, 10, 10), Duration::ZERO);
        assert_eq!(left(second, 0, 10), Duration::ZERO);
    }
}
