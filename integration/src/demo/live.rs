//! What a run looks like while it goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::observed::{BreakerState, Enforcement};

/// The state of one run, for the person who watches. Clones are the same.
#[derive(Clone, Debug)]
pub struct Live(Arc<Mutex<Now>>);

#[derive(Debug)]
struct Now {
    enforcement: Enforcement,
    second: u64,
    phase: String,
    good_per_second: u64,
    total_per_second: u64,
    breakers: BTreeMap<String, BreakerState>,
}

impl Live {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(enforcement: Enforcement) -> Self {
        Self(Arc::new(Mutex::new(Now {
            enforcement,
            second: 0,
            phase: "starting".to_owned(),
            good_per_second: 0,
            total_per_second: 0,
            breakers: BTreeMap::new(),
        })))
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Another part of the story begins.
    pub fn phase(&self, name: &str) {
        self.change(|now| name.clone_into(&mut now.phase));
    }

    /// So much was good in the last second.
    pub fn rates(&self, second: u64, good: u64, total: u64) {
        self.change(|now| {
            now.second = second;
            now.good_per_second = good;
            now.total_per_second = total;
        });
    }

    /// A sidecar's breaker is in this state.
    pub fn breaker(&self, node: &str, state: BreakerState) {
        self.change(|now| {
            now.breakers.insert(node.to_owned(), state);
        });
    }

    fn line(&self) -> String {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = format!(
            "  {:<9}{:>3} s  {:<17}  good {:>3} of {:>3}/s ",
            now.enforcement.name(),
            now.second,
            now.phase,
            now.good_per_second,
            now.total_per_second
        );
        // One number, so that the line fits into 80 columns and never wraps.
        let all = now.breakers.len();
        let count = |state| now.breakers.values().filter(|one| **one == state).count();
        let worst = [
            (BreakerState::Open, "OPEN"),
            (BreakerState::Probing, "probing"),
            (BreakerState::Ramping, "ramping"),
            (BreakerState::Closed, "closed"),
        ]
        .map(|(state, name)| (count(state), name))
        .into_iter()
        .find(|(count, _)| *count != 0);
        if let Some((count, name)) = worst {
            // Writing into a string cannot fail.
            write!(line, " {count} of {all} {name}").ok();
        }
        line
    }

    fn phase_name(&self) -> String {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.phase.clone()
    }
}

/// Writes what is going on: on a terminal over the same lines again and again, else a line per part of the story.
#[derive(Debug)]
pub struct Screen {
    is_terminal: bool,
    lines_drawn: usize,
    phases: Vec<String>,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            lines_drawn: 0,
            phases: Vec::new(),
        }
    }
}

impl Screen {
    /// Writes a line that stays.
    pub fn say(&mut self, line: &str) {
        let text = self.over(&[line.to_owned()]);
        self.lines_drawn = 0;
        write(&text);
    }

    /// Shows how the runs are doing.
    pub fn draw(&mut self, runs: &[Live]) {
        if self.is_terminal {
            let lines: Vec<String> = runs.iter().map(Live::line).collect();
            let text = self.over(&lines);
            self.lines_drawn = lines.len();
            write(&text);
            return;
        }
        let phases: Vec<String> = runs.iter().map(Live::phase_name).collect();
        if phases != self.phases {
            for (run, _) in runs
                .iter()
                .zip(&phases)
                .enumerate()
                .filter(|(index, (_, phase))| self.phases.get(*index) != Some(phase))
                .map(|(_, changed)| changed)
            {
                write(&format!("{}\n", run.line().trim_end()));
            }
            self.phases = phases;
        }
    }

    /// `lines` in the place of those that were drawn last.
    fn over(&self, lines: &[String]) -> String {
        let mut text = String::new();
        if self.is_terminal && self.lines_drawn != 0 {
            // Cursor up to the first of them, then erase to the end of the screen.
            write!(text, "\x1b[{}A\x1b[J", self.lines_drawn).ok();
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Progress goes to the error output, so that the output itself is the result.
fn write(text: &str) {
    // A closed terminal is no reason to stop.
    std::io::stderr().write_all(text.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_drawn_over_and_lines_that_stay_come_above() {
        let mut screen = Screen {
            is_terminal: true,
            lines_drawn: 2,
            phases: Vec::new(),
        };
        assert_eq!(screen.over(&["a".to_owned()]), "\x1b[2A\x1b[Ja\n");
        screen.say("stays");
        assert_eq!(screen.over(&["b".to_owned()]), "b\n");
    }

    #[test]
    fn a_line_says_what_is_open() {
        let live = Live::new(Enforcement::Enforced);
        live.breaker("edge-1", BreakerState::Open);
        live.breaker("checkout-1", BreakerState::Ramping);
        live.phase("resets and hangs");
        live.rates(12, 70, 80);
        let line = live.line();
        assert!(line.contains("1 of 2 OPEN"), "{line}");
        assert!(line.len() <= 79, "{line}");
        assert!(line.contains("good  70 of  80/s"), "{line}");
    }
}
