//! What the workers of a sidecar tell each other about their breakers.

use core::time::Duration;

use sloop_model::Time;

use super::Plane;
use crate::breaker::board::{Board, Page, Peers};

/// When the board is to be looked at next, and what was read of it before.
#[derive(Debug)]
pub(super) struct Sharing {
    peers: Option<Peers>,
    /// When this VM was first told of a breaker: what others counted since then is news to it, also before
    /// it had a request itself.
    since: Option<Time>,
    /// None: no request came since, so there is nothing to tell, and nobody here whom the others' words concern.
    due: Option<Time>,
    /// When it was last looked at.
    looked_at: Option<Time>,
}

/// Windows of a second have buckets of a tenth.
const PERIOD: Duration = Duration::from_millis(100);
/// A worker that had nothing to do knows nothing of the others, so it looks soon.
const SOON: Duration = Duration::from_millis(5);

impl Sharing {
    pub(super) const fn new() -> Self {
        Self {
            peers: None,
            since: None,
            due: None,
            looked_at: None,
        }
    }

    /// There may be breakers from `now` on.
    pub(super) fn begin(&mut self, now: Time) {
        self.since.get_or_insert(now);
    }

    /// A request met a breaker, or one that did has ended. Whether that is the first since the board was looked at.
    pub(super) fn has_news(&mut self, now: Time) -> bool {
        let is_first = self.due.is_none();
        if is_first {
            let soon = now.after(SOON);
            let due = self.looked_at.map_or(soon, |at| at.after(PERIOD).max(soon));
            self.due = Some(due);
        }
        is_first
    }

    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }
}

impl Plane {
    /// Whether the board is to be read and written now. Calls of [`Plane::exchange_board`] follow.
    pub fn shares(&mut self, now: Time) -> bool {
        let is_due = self.sharing.due.is_some_and(|due| due <= now);
        if is_due {
            self.sharing.due = None;
            self.sharing.looked_at = Some(now);
        }
        is_due
    }

    /// The board could not be written, as others always came between: it is tried again soon, whether or not a
    /// request comes.
    pub fn board_contended(&mut self, now: Time) {
        self.trouble.boards_contended += 1;
        self.sharing.has_news(now);
    }

    /// Hears what is on the board, and says what is to be there instead: to be set if nobody else did
    /// meanwhile, else to be called again with what is there then. None: leave it.
    pub fn exchange_board(&mut self, board: &[u8], now: Time) -> Option<Vec<u8>> {
        let vm = self.outbox.incarnation();
        let since = self.sharing.since.unwrap_or(now);
        let peers = self
            .sharing
            .peers
            .get_or_insert_with(|| Peers::new(vm, since));
        let board = Board::read(board, now);
        let heard = peers.hear(&board, now);
        let mut has_changed = false;
        let mut lines = Vec::new();
        for side in [&mut self.server, &mut self.client] {
            has_changed |= side.hear(&heard, now);
            side.tell(&mut lines, now);
        }
        if has_changed {
            self.outbox.hurry(now);
        }
        let page = Page { vm, at: now, lines };
        (!page.lines.is_empty()).then(|| board.with(page))
    }
}
