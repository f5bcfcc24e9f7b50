//! When the windows of the calendar began that SLOs are in.

use super::World;
use crate::SloIntent;

impl World {
    /// Lets each objective of `wanted` know when its window began. Once per step: later than six hours after that it is not
    /// known to the minute any more what was counted before it.
    pub(crate) fn note_beginnings<'a>(&mut self, wanted: impl Iterator<Item = &'a SloIntent>) {
        for intent in wanted {
            let Some(start) = intent.window.begun(self.now) else {
                continue;
            };
            for (index, ..) in intent.counted() {
                if let Some(series) = self.series.get_mut(&intent.objective_id(index)) {
                    series.note_beginning(start);
                }
            }
        }
    }
}
