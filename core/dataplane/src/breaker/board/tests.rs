//! What a board promises.

use super::*;
use proptest::prelude::*;
use sloop_model::{RouteName, ServiceName};

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn line(scope: u64, total: u64) -> Line {
    Line {
        scope: ScopeKey(scope),
        told: Told {
            since: at(0),
            counted: [total, 0, 0],
            opening: None,
            under_way: None,
        },
    }
}

fn page(vm: u64, millis: u64, total: u64) -> Page {
    Page {
        vm,
        at: at(millis),
        lines: vec![line(1, total)],
    }
}

/// The bytes that `bytes` become when `mine` is put there.
fn merge(bytes: &[u8], mine: Page, now: Time) -> Vec<u8> {
    Board::read(bytes, now).with(mine)
}

fn pages(bytes: &[u8], millis: u64) -> Vec<(u64, u64)> {
    let board = Board::read(bytes, at(millis));
    let total = |page: &Page| page.lines[0].told.counted[0];
    board
        .pages
        .iter()
        .map(|page| (page.vm, total(page)))
        .collect()
}

#[test]
fn each_vm_has_one_page_the_latest() {
    let bytes = merge(&[], page(2, 10, 5), at(10));
    let bytes = merge(&bytes, page(1, 11, 7), at(11));
    let bytes = merge(&bytes, page(2, 12, 6), at(12));
    assert_eq!(pages(&bytes, 12), [(1, 7), (2, 6)]);
    let bytes = merge(&bytes, page(2, 10, 5), at(12));
    assert_eq!(pages(&bytes, 12), [(1, 7), (2, 6)], "one that is late");
}

#[test]
fn the_silent_are_left_out() {
    let bytes = merge(&[], page(1, 0, 5), at(0));
    let bytes = merge(&bytes, page(2, 29_999, 5), at(29_999));
    assert_eq!(pages(&bytes, 29_999).len(), 2);
    let bytes = merge(&bytes, page(2, 30_000, 5), at(30_000));
    assert_eq!(pages(&bytes, 30_000), [(2, 5)]);
    assert_eq!(pages(&bytes, 0), [], "written by a clock that is ahead");
}

#[test]
fn a_board_has_a_maximum_of_pages_and_a_page_of_lines() {
    let mut bytes = Vec::new();
    for vm in 0..200 {
        bytes = merge(&bytes, page(vm, vm, 1), at(vm));
    }
    let kept = pages(&bytes, 200);
    assert_eq!(kept.len(), PAGES_MAX);
    assert_eq!(kept[0].0, 200 - PAGES_MAX as u64);
    let bytes = merge(&bytes, page(0, 0, 1), at(200));
    assert_eq!(pages(&bytes, 200).len(), PAGES_MAX);
    assert_eq!(pages(&bytes, 200)[0].0, 0, "who writes is kept");

    let many = Page {
        lines: (0..1_000).map(|scope| line(scope, 1)).collect(),
        ..page(1, 0, 1)
    };
    let board = Board::read(&merge(&[], many, at(0)), at(0));
    assert_eq!(board.pages[0].lines.len(), LINES_MAX);
}

#[test]
fn a_scope_on_one_of_hundred_costs_few_bytes() {
    let mut one = page(1, 3_600_000, 1_000_000);
    one.lines[0].told.since = at(3_000_000);
    let with = merge(&[], one.clone(), one.at).len();
    one.lines.clear();
    let without = merge(&[], one.clone(), one.at).len();
    assert!(with - without <= 24, "{with} {without}");
}

#[test]
fn keys_differ_by_every_part_of_the_name() {
    let key = |service: &str, route: &str, side| {
        ScopeKey::of(&Scope {
            service: ServiceName::try_from(service.to_owned()).unwrap(),
            route: RouteName::try_from(route.to_owned()).unwrap(),
            side,
        })
    };
    let keys = [
        key("ab", "c", Side::Server),
        key("a", "bc", Side::Server),
        key("ab", "c", Side::Client),
        key("ab", "d", Side::Server),
    ];
    let different: std::collections::BTreeSet<ScopeKey> = keys.into_iter().collect();
    assert_eq!(different.len(), keys.len());
    assert_eq!(keys[0], key("ab", "c", Side::Server));
}

#[test]
fn a_line_that_was_forgotten_does_not_count_from_its_beginning() {
    let mut peers = Peers::new(9, at(0));
    let total = |peers: &mut Peers, millis, total| {
        let page = Page {
            vm: 1,
            at: at(millis),
            lines: vec![line(1, total)],
        };
        let heard = peers.hear(
            &Board::read(&merge(&[], page, at(millis)), at(millis)),
            at(millis),
        );
        heard[0].tally.total
    };
    assert_eq!(total(&mut peers, 10, 5), 5);
    assert_eq!(total(&mut peers, 20, 6), 1);
    assert_eq!(
        total(&mut peers, 59_000, 8),
        2,
        "was away, and is still known"
    );
    assert_eq!(peers.hear(&Board::default(), at(120_000)), []);
    assert_eq!(total(&mut peers, 130_000, 100), 0, "was away for too long");
    assert_eq!(total(&mut peers, 130_010, 101), 1);
    assert_eq!(
        total(&mut peers, 190_010, 500),
        0,
        "nobody listened for too long"
    );
    assert_eq!(total(&mut peers, 190_020, 501), 1);
}

/// The board as a VM has it that knows nothing of [`UnderWay`]: a line is a line.
fn of_before(board: &Board) -> Board {
    let mut board = board.clone();
    for page in &mut board.pages {
        let at = page.at;
        let lines = page.lines.drain(..).flat_map(|mut line| {
            let under_way = line.told.under_way.take();
            let told = under_way.map(|counts| wire::under_way_line(line.scope, counts, at));
            [Some(line), told].into_iter().flatten()
        });
        page.lines = lines.collect();
    }
    board
}

#[test]
fn a_vm_of_before_leaves_what_is_under_way_on_the_board() {
    let told = UnderWay([7, 2, 1]);
    let mut page = page(1, 10, 5);
    page.lines[0].told.under_way = Some(told);
    page.lines.push(line(2, 3));
    let read = Board::read(&merge(&[], page, at(10)), at(10));
    let bytes = of_before(&read).with(Page {
        vm: 2,
        at: at(11),
        lines: vec![line(1, 8)],
    });
    let mut peers = Peers::new(9, at(0));
    let heard = peers.hear(&Board::read(&bytes, at(12)), at(12));
    let scopes: Vec<u64> = heard.iter().map(|heard| heard.scope.0).collect();
    assert_eq!(scopes, [1, 2]);
    let elsewhere = Elsewhere {
        under_way: told,
        tellers: 1,
        quiet: 0,
        at: at(10),
    };
    assert_eq!((heard[0].workers, heard[0].elsewhere), (3, elsewhere));
    assert_eq!(
        (heard[1].workers, heard[1].elsewhere),
        (2, Elsewhere::NOTHING)
    );
}

#[test]
fn a_vm_of_before_hears_of_no_more_requests_and_workers() {
    let mut page = page(1, 10, 5);
    page.lines[0].told.under_way = Some(UnderWay([7, 2, 1]));
    let read = Board::read(&merge(&[], page, at(10)), at(10));
    let heard = Peers::new(9, at(0)).hear(&of_before(&read), at(12));
    let scope = heard.iter().find(|heard| heard.scope == ScopeKey(1));
    let scope = scope.unwrap();
    assert_eq!((scope.workers, scope.tally.total), (2, 5));
}

#[test]
fn what_is_under_way_is_left_out_where_there_is_no_room_and_believed_for_a_while() {
    let mut page = page(1, 0, 1);
    page.lines = (0..200).map(|scope| line(scope, 1)).collect();
    for line in &mut page.lines {
        line.told.under_way = Some(UnderWay([1, 0, 0]));
    }
    let board = Board::read(&merge(&[], page, at(0)), at(0));
    let tellers = |millis| {
        let heard = Peers::new(9, at(0)).hear(&board, at(millis));
        assert_eq!(heard.len(), 200);
        heard.iter().fold([0; 3], |[waits, tellers, quiet], one| {
            let Elsewhere { under_way, .. } = one.elsewhere;
            [
                waits + under_way.all(),
                tellers + one.elsewhere.tellers,
                quiet + one.elsewhere.quiet,
            ]
        })
    };
    assert_eq!(tellers(1_999), [56, 56, 0]);
    assert_eq!(tellers(2_000), [0, 0, 56], "of the others nothing is known");
}

fn any_page() -> impl Strategy<Value = Page> {
    let opening = prop::option::of((0u64..100, 0u64..100, any::<u32>()).prop_map(
        |(from, length, attempts)| Opening {
            at: at(from),
            until: at(from + length),
            attempts,
            cause: Cause::Slowness,
        },
    ));
    let under_way = prop::option::of(any::<[u32; 3]>().prop_map(|mut counts| {
        counts.sort_unstable_by_key(|count| core::cmp::Reverse(*count));
        UnderWay(counts)
    }));
    let counted = (any::<u64>(), any::<u64>(), any::<u64>());
    let told = (0u64..100, counted, opening, under_way);
    let lines = prop::collection::btree_map(any::<u64>(), told, 0..4);
    (0u64..4, lines).prop_flat_map(|(vm, lines)| {
        (100u64..1_000).prop_map(move |millis| Page {
            vm,
            at: at(millis),
            lines: lines
                .iter()
                .map(
                    |(scope, (since, (total, failed, slow), opening, under_way))| Line {
                        scope: ScopeKey(*scope),
                        told: Told {
                            since: at(*since),
                            counted: [*total, *failed.min(total), *slow.min(total)],
                            opening: *opening,
                            under_way: *under_way,
                        },
                    },
                )
                .collect(),
        })
    })
}

/// As pages are: a later one of the same VM has another moment.
fn any_pages() -> impl Strategy<Value = Vec<Page>> {
    prop::collection::vec(any_page(), 0..8).prop_map(|mut pages| {
        pages.sort_by_key(|page| (page.vm, page.at));
        pages.dedup_by_key(|page| (page.vm, page.at));
        pages
    })
}

fn merged(pages: &[Page]) -> Vec<u8> {
    pages.iter().fold(Vec::new(), |bytes, page| {
        merge(&bytes, page.clone(), at(1_000))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(pages in any_pages()) {
        let mut board = Board::default();
        for page in pages {
            board.put(page);
        }
        prop_assert_eq!(wire::read(&wire::written(&board)), Some(board));
    }

    /// The order never matters, nor does a repetition.
    #[test]
    fn merging_is_commutative_and_idempotent(
        pages in any_pages(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let once = merged(&pages);
        let mut again: Vec<Page> = Vec::new();
        if !pages.is_empty() {
            again.extend(order.iter().map(|index| index.get(&pages).clone()));
        }
        again.extend(pages.into_iter().rev());
        prop_assert_eq!(merged(&again), once);
    }

    /// Foreign bytes are never believed, and never panic.
    #[test]
    fn nonsense_is_an_empty_board(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Board::read(&bytes, at(0)), Board::default());
        let page = page(1, 0, 1);
        prop_assert_eq!(merge(&bytes, page.clone(), at(0)), merge(&[], page, at(0)));
    }

    /// Neither is a board with one byte changed, or cut short.
    #[test]
    fn damage_is_noticed(pages in any_pages(), place in any::<prop::sample::Index>(), other in 1u8..) {
        let mut bytes = merged(&pages);
        prop_assume!(!bytes.is_empty());
        let at_byte = place.index(bytes.len());
        bytes[at_byte] ^= other;
        prop_assert_eq!(wire::read(&bytes), None);
        bytes[at_byte] ^= other;
        bytes.pop();
        prop_assert_eq!(wire::read(&bytes), None);
    }

    /// With the right checksum nonsense is read without a panic, and what is believed can be written again.
    #[test]
    fn nonsense_with_a_checksum_does_no_harm(rest in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&fnv(rest.iter().copied()).to_le_bytes());
        bytes.extend_from_slice(&rest);
        if let Some(board) = wire::read(&bytes) {
            prop_assert_eq!(wire::read(&wire::written(&board)), Some(board));
        }
        Peers::new(1, at(0)).hear(&Board::read(&bytes, at(0)), at(0));
    }
}
