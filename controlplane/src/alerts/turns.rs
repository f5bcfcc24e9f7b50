//! Whose turn it is to be told.

use std::collections::{BTreeMap, VecDeque};

use super::Delivery;

/// Webhooks that are asked at a time.
const UNDER_WAY_MAX: usize = 16;

/// Of one target: one that never answers leaves room for the others, and is not what pages wait for.
const OF_ONE_MAX: usize = 4;

/// What waits to be sent, and what is on its way. It is the turn of the target with the fewest on their way, among equals of
/// the one that was asked longest ago, and then first come, first served.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: VecDeque<Delivery>,
    /// How many are on their way, by the address of the target.
    under_way: BTreeMap<String, usize>,
    /// When who waits was last asked, by the address: as a number that grows.
    asked: BTreeMap<String, u64>,
    count: u64,
}

impl Turns {
    /// Lets more wait.
    pub(super) fn add(&mut self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.waiting.extend(deliveries);
    }

    /// Takes the next one that may be sent now. It is on its way until [`Turns::ended`] is told.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        if UNDER_WAY_MAX <= self.under_way.values().sum() {
            return None;
        }
        let turn = |one: &Delivery| {
            let url = &one.target.url;
            let under_way = self.under_way.get(url).copied().unwrap_or(0);
            (under_way, self.asked.get(url).copied().unwrap_or(0))
        };
        let waiting = self.waiting.iter().map(turn).enumerate();
        let with_room = waiting.filter(|(_, (under_way, _))| *under_way < OF_ONE_MAX);
        let (next, _) = with_room.min_by_key(|(_, turn)| *turn)?;
        let delivery = self.waiting.remove(next)?;
        self.count += 1;
        self.asked.insert(delivery.target.url.clone(), self.count);
        let count = self.under_way.entry(delivery.target.url.clone());
        *count.or_default() += 1;
        Some(delivery)
    }

    /// Notes that one is not on its way any more.
    pub(super) fn ended(&mut self, delivery: &Delivery) {
        if let Some(count) = self.under_way.get_mut(&delivery.target.url) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&delivery.target.url);
            }
        }
        if self.waiting.is_empty() && self.under_way.is_empty() {
            // Targets come and go.
            self.asked.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str, number: usize) -> Delivery {
        Delivery::to(url, &format!("{url}-{number}"))
    }

    fn taken(turns: &mut Turns) -> Vec<Delivery> {
        std::iter::from_fn(|| turns.next()).collect()
    }

    #[test]
    fn one_that_never_answers_does_not_keep_the_others_waiting() {
        let mut turns = Turns::default();
        turns.add((0..300).map(|number| to("dead", number)));
        turns.add([to("pager", 0)]);
        let keys: Vec<_> = taken(&mut turns)
            .into_iter()
            .map(|delivery| delivery.idempotency_key)
            .collect();
        assert_eq!(keys, ["dead-0", "pager-0", "dead-1", "dead-2", "dead-3"]);
        turns.ended(&to("dead", 2));
        assert_eq!(turns.next().unwrap().idempotency_key, "dead-4");
        assert!(turns.next().is_none());
    }

    #[test]
    fn nor_do_many() {
        let mut turns = Turns::default();
        turns.add((0..300).map(|number| to(&format!("dead{}", number % 20), number)));
        let first = taken(&mut turns);
        assert_eq!(first.len(), UNDER_WAY_MAX);
        turns.add([to("pager", 0)]);
        let next = first.iter().map(|one| {
            turns.ended(one);
            turns.next().unwrap().target.url
        });
        let next: Vec<_> = next.take(5).collect();
        // After those that have never been asked either.
        assert_eq!(next, ["dead16", "dead17", "dead18", "dead19", "pager"]);
    }

    #[test]
    fn so_many_are_asked_at_a_time() {
        let mut turns = Turns::default();
        turns.add((0..40).map(|number| to(&format!("t{}", number % 10), number)));
        let first = taken(&mut turns);
        assert_eq!(first.len(), UNDER_WAY_MAX);
        for delivery in &first {
            turns.ended(delivery);
        }
        assert!(turns.under_way.is_empty());
        assert_eq!(taken(&mut turns).len(), UNDER_WAY_MAX);
    }
}
