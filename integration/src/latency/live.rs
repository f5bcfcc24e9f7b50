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

    /// What comes before the first round is over: the time until now says nothing about rounds.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// So many of `rounds` are over; after them there may be `more`, as people read it.
    pub(super) fn round(&mut self, done: usize, rounds: usize, more: &str, lanes: &[Lane]) {
        if done == 0 || !self.is_due(done == rounds) {
            return;
        }
        let left = left(self.begun.elapsed(), done, rounds).as_secs();
        self.draw(
            &format!("  round {done} of {rounds}, {left} s left{more}\n"),
            lanes,
        );
    }

    /// All planned rounds are over, and so many variants go on for about that long.
    pub(super) fn more(&mut self, unsure: usize, left: Duration, lanes: &[Lane]) {
        if self.is_due(false) {
            let left = left.as_secs();
            self.draw(
                &format!("  {unsure} of the ratios get more pairs, about {left} s left\n"),
                lanes,
            );
        }
    }

    /// So many of `rounds` are over, of something without a table.
    pub(super) fn progress(&mut self, done: usize, rounds: usize) {
        self.round(done, rounds, "", &[]);
    }

    /// Whether it is time to say something.
    fn is_due(&self, is_last: bool) -> bool {
        let every = if self.is_terminal {
            DRAW_EVERY
        } else {
            SAY_EVERY
        };
        is_last || self.drawn_at.is_none_or(|at| every <= at.elapsed())
    }

    fn draw(&mut self, head: &str, lanes: &[Lane]) {
        self.drawn_at = Some(Instant::now());
        let mut text = head.to_owned();
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
