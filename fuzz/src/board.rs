//! The board that the workers of a sidecar share.
//!
//! An input is a moment (eight bytes), a number that says where the second board begins, and two boards
//! without version and checksum, which are put before them: else hardly any input would get past these.

use core::time::Duration;

use sloop_dataplane::breaker::board::{
    Board, Heard, Line, PAGES_MAX, Page, Peers, SILENCE_MAX, ScopeKey, Told,
};
use sloop_dataplane::breaker::{Breaker, Opening};
use sloop_model::{FilterConfig, Time};

use crate::input::Input;

/// Who reads.
const OWN: u64 = 7;

/// Reads and rewrites both boards, one after the other.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let now = Time::from_nanos(input.number());
    let first_bytes = usize::from(input.choice(255));
    let rest = input.rest();
    let (first, second) = rest.split_at_checked(first_bytes).unwrap_or((rest, b""));
    let mut peers = Peers::new(OWN, now);
    let mut breaker = breaker(now);
    let mut at = now;
    for bytes in [first.to_vec(), with_checksum(first), with_checksum(second)] {
        check_merge(&bytes, at);
        hear(&mut peers, &mut breaker, &bytes, at);
        at = at.after(Duration::from_millis(100));
    }
}

fn with_checksum(rest: &[u8]) -> Vec<u8> {
    let checksum = rest.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    [&[1], &checksum.to_le_bytes()[..], rest].concat()
}

fn breaker(now: Time) -> Breaker {
    let json = br#"{"version": 1, "service": "a", "side": "server", "scopes": [{"service": "a", "route": "r",
        "breaker": {"limits": {"calls_min": 2, "failed_max": 2000, "open_ms": 1000, "open_max_ms": 8000, "window_ms": 1000, "probes": 2}}}]}"#;
    let config = FilterConfig::parse(json).unwrap();
    Breaker::new(config.scopes[0].breaker.unwrap().limits, now)
}

fn merge(bytes: &[u8], mine: Page, now: Time) -> Vec<u8> {
    Board::read(bytes, now).with(mine)
}

fn read(peers: &mut Peers, bytes: &[u8], now: Time) -> Vec<Heard> {
    peers.hear(&Board::read(bytes, now), now)
}

/// Merging twice is merging once, keeps within the bounds, and what was written is read.
fn check_merge(bytes: &[u8], now: Time) {
    let mine = |millis| Page {
        vm: OWN,
        at: now.after(Duration::from_millis(millis)),
        lines: vec![Line {
            scope: ScopeKey(1),
            told: Told {
                since: now,
                counted: [5, 2, 1],
                opening: None,
                under_way: None,
            },
        }],
    };
    let once = merge(bytes, mine(0), now);
    assert_eq!(merge(&once, mine(0), now), once);
    let later = merge(&once, mine(1), now);
    assert_eq!(
        merge(&later, mine(0), now),
        later,
        "the later page of a VM holds"
    );
    let mut other = Peers::new(OWN + 1, Time::from_nanos(0));
    let heard = read(&mut other, &later, now);
    assert!(heard.is_sorted_by(|one, other| one.scope < other.scope));
    assert!(heard.iter().all(|one| one.tally.failed <= one.tally.total));
}

fn hear(peers: &mut Peers, breaker: &mut Breaker, bytes: &[u8], now: Time) {
    let heard = read(peers, bytes, now);
    assert!(heard.is_sorted_by(|one, other| one.scope < other.scope));
    for one in &heard {
        let tally = one.tally;
        assert!(tally.failed <= tally.total && tally.slow <= tally.total);
        assert!((2..=u32::try_from(PAGES_MAX + 1).unwrap()).contains(&one.workers));
        breaker.hear(one, now);
        let _admit = breaker.admit(1, now);
        if let Some(told) = breaker.tell(now) {
            check_told(&told, now);
        }
    }
    // The same once more is no news.
    let again = read(peers, bytes, now);
    assert!(again.iter().all(|one| one.tally.total == 0));
    let later = now.after(SILENCE_MAX);
    let _state = breaker.state(later);
}

/// What one breaker makes of what others told can be told by it.
fn check_told(told: &Told, now: Time) {
    let page = Page {
        vm: 1,
        at: now,
        lines: vec![Line {
            scope: ScopeKey(2),
            told: *told,
        }],
    };
    let bytes = merge(&[], page, now);
    let heard = read(&mut Peers::new(2, Time::from_nanos(0)), &bytes, now);
    assert_eq!(heard.len(), 1, "{told:?} cannot be read");
    let (told, read): (Option<Opening>, _) = (told.opening, heard[0].opening);
    if told.is_some_and(|one| now < one.at) {
        // Of a worker that was an instant ahead: a page cannot say that, and says that it is now.
        return;
    }
    assert_eq!(
        told.map(|one| (one.at, one.until)),
        read.map(|one| (one.at, one.until))
    );
}
