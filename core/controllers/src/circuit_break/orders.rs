//! Orders to open, with hysteresis.
//!
//! Three things make an order: the fleet's counts since a sudden change
//! ([`super::watch`]) and in windows ([`Verdict`]), which see what no
//! sidecar can be sure of alone, and a [`quorum`] of sidecars whose breakers have
//! opened by themselves, which is sooner in a sudden outage, because an open
//! breaker leaves few bad requests to count.
//!
//! An order opens every breaker of a scope once, but for those that surely see the
//! service well themselves; then each probes and ramps by itself. A scope gets another order only after the last one ran out, and
//! orders of a scope that did not recover in between last twice as long each
//! time, up to a minute: at most six orders in any minute, and one per minute in
//! a long outage. Of several intents that are about a scope, one that finds the order of another one in force takes part in it.
//!
//! An order that ran out stays in the policies until the lease of the breaker is
//! renewed anyway, because withdrawing it would be a push that changes nothing.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::{Scope, Share, Trip, WallTime};

use super::derived::AllDerived;
use super::watch::Watches;
use crate::budget::{Fleet, surely_above, surely_below};
use crate::{Counts, World, lease};

/// The orders of one intent, at most one per scope, and what it watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    orders: Vec<Order>,
    /// The newest id that was given, also to an order that is no longer there.
    #[serde(default)]
    newest_id: u64,
    /// What they are based on, beside windows.
    #[serde(default)]
    pub(super) watches: Watches,
    /// What the objectives imply.
    #[serde(skip)]
    pub(super) derived: AllDerived,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    scope: Scope,
    trip: Trip,
    lasts_ms: u64,
    /// Whether the scope was surely below its level since, in a step in which no objective about it wanted it open.
    is_recovered: bool,
}

/// What the fleet's counts say about a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Surely too much was bad, in these counts of the last so long.
    Bad(Counts, Duration),
    /// Surely not too much.
    Good,
    /// Nobody knows: too few requests, or nothing reported.
    Unclear,
}

/// What became of the wish to open a scope's breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// There is a new order.
    Ordered,
    /// The last order did not run out yet.
    InForce,
    /// There is no order: too many other scopes have one.
    Full,
}

/// Windows that are judged, shortest first. One second is the interval of reports; half a
/// minute is for scopes with one request in two seconds.
const WINDOWS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// How long the first order lasts: long enough to reach every sidecar, also those that connect anew, and
/// for breakers to open, probe and ramp ([`super::derive`]: 0.05 s + probes + 0.5 s).
const LASTS_MS: u64 = 10_000;
/// How long orders last at most.
const LASTS_MAX_MS: u64 = 60_000;
/// Scopes with orders, per intent: as many as a filter can have.
const ORDERS_MAX: usize = 1_024;

/// Openings that belong together: as long as the fleet may take to open as a whole.
pub(crate) const QUORUM_WINDOW: Duration = Duration::from_secs(3);

/// How many of `callers` must have opened by themselves for all to be ordered to: a
/// fifth, and two at least. One bad sidecar does not open the fleet, and in a
/// large fleet a few bad ones do not either. Callers are all that were heard of with a request in
/// [`Fleet::heard`]'s time, at whatever interval they report; who has been silent for longer is no witness.
pub(crate) fn quorum(callers: usize) -> usize {
    callers.div_ceil(5).max(2)
}

impl Verdict {
    /// Judges what the fleet saw. More than `level` of at least `calls_min` requests is too much.
    ///
    /// - The shortest window with any request must be bad too, so that what was
    ///   bad and has healed gives no order.
    /// - It must be bad without the worst sidecar as well: one bad sidecar must
    ///   not open the fleet. Where only one sees requests, it speaks for all.
    pub(crate) fn of(fleet: &Fleet, level: Share, calls_min: u32, now: WallTime) -> Self {
        let limit = level.as_fraction();
        let newest = WINDOWS
            .into_iter()
            .map(|window| fleet.all(now, window))
            .find(|counts| 0 < counts.total);
        let Some(newest) = newest else {
            return Self::Unclear;
        };
        let is_bad = |counts: Counts| surely_above(counts.bad(), counts.total, limit);
        if level.exceeded_by(newest.bad(), newest.total) {
            // Who sees nothing bad reports less often, and may not be in any window.
            let is_alone = fleet.is_alone(now);
            for window in WINDOWS {
                let counts = fleet.all(now, window);
                if u64::from(calls_min) <= counts.total
                    && is_bad(counts)
                    && fleet.without_worst(now, window).map_or(is_alone, is_bad)
                {
                    return Self::Bad(counts, window);
                }
            }
        }
        let is_good = |window: &Duration| {
            let counts = fleet.all(now, *window);
            surely_below(counts.bad(), counts.total, limit)
        };
        if WINDOWS.iter().take(3).any(is_good) {
            Self::Good
        } else {
            Self::Unclear
        }
    }
}

impl Orders {
    /// Gives a new order for `scope` if its last one ran out, there is room, and none is in force that somebody else has `given`.
    pub(crate) fn open(&mut self, scope: &Scope, given: Option<Trip>, now: WallTime) -> Opened {
        let last = self.orders.iter().find(|order| order.scope == *scope);
        if last.is_some_and(|order| is_in_force(order.trip, now)) {
            return Opened::InForce;
        }
        if last.is_none() && ORDERS_MAX <= self.orders.len() {
            return Opened::Full;
        }
        if let Some(trip) = given.filter(|trip| is_in_force(*trip, now)) {
            // What is left of it says at least how long it lasts.
            let left = u64::try_from(trip.until_ms.since(now).as_millis()).unwrap_or(LASTS_MAX_MS);
            self.newest_id = self.newest_id.max(trip.id);
            self.put(scope, trip, left.max(LASTS_MS));
            return Opened::InForce;
        }
        let lasts_ms = match last {
            Some(order) if !order.is_recovered => (order.lasts_ms * 2).min(LASTS_MAX_MS),
            Some(_) | None => LASTS_MS,
        };
        // Times are unique ids even when the process is restarted; of one process they also never fall.
        let ids = self.orders.iter().map(|order| order.trip.id);
        let newest = ids.fold(self.newest_id, u64::max);
        self.newest_id = newest.saturating_add(1).max(now.as_millis());
        let trip = Trip {
            id: self.newest_id,
            until_ms: now.after(Duration::from_millis(lasts_ms)),
        };
        self.put(scope, trip, lasts_ms);
        Opened::Ordered
    }

    fn put(&mut self, scope: &Scope, trip: Trip, lasts_ms: u64) {
        let order = Order {
            scope: scope.clone(),
            trip,
            lasts_ms,
            is_recovered: false,
        };
        self.orders.retain(|order| order.scope != *scope);
        self.orders.push(order);
        self.orders
            .sort_by(|one, other| one.scope.cmp(&other.scope));
    }

    /// Whether an order for `scope` is remembered.
    pub(crate) fn has_any_for(&self, scope: &Scope) -> bool {
        self.orders.iter().any(|order| order.scope == *scope)
    }

    /// Notes that `scope` is well, for all objectives about it of which something is known.
    pub(crate) fn recovered(&mut self, scope: &Scope) {
        for order in &mut self.orders {
            order.is_recovered |= order.scope == *scope;
        }
    }

    /// The orders that belong into the policies at `now`, in the order of scopes. Forgets those that no longer do.
    pub(crate) fn current(&mut self, now: WallTime) -> impl Iterator<Item = (&Scope, Trip)> {
        self.orders.retain(|order| {
            is_in_force(order.trip, now) || lease::BREAKERS.is_same_period(order.trip.until_ms, now)
        });
        self.orders.iter().map(|order| (&order.scope, order.trip))
    }

    /// When the next order runs out.
    pub(crate) fn ends_at(&self, now: WallTime) -> Option<WallTime> {
        self.orders
            .iter()
            .map(|order| order.trip.until_ms)
            .filter(|until| now < *until)
            .min()
    }

    /// Whether an order holds that breakers were told in the last step, or that they may have been told where there was none.
    pub(crate) fn are_told(&self, world: &World) -> bool {
        let now = world.now();
        let mut in_force = self
            .orders
            .iter()
            .filter(|order| is_in_force(order.trip, now));
        in_force.any(|order| !world.are_orders_known() || is_told(&order.scope, world))
    }

    /// Whether an order of an earlier step holds for `scope`, and no breaker was told any.
    pub(crate) fn is_kept_back(&self, scope: &Scope, world: &World) -> bool {
        let now = world.now();
        let is_earlier = |order: &Order| {
            let lasts = Duration::from_millis(order.lasts_ms);
            order.scope == *scope
                && is_in_force(order.trip, now)
                && order.trip.until_ms < now.after(lasts)
        };
        world.are_orders_known() && !is_told(scope, world) && self.orders.iter().any(is_earlier)
    }
}

/// Whether the breakers of `scope` were told in the last step to open, by an order that holds.
fn is_told(scope: &Scope, world: &World) -> bool {
    let given = world.order_to(scope);
    given.is_some_and(|trip| is_in_force(trip, world.now()))
}

/// Not when it ends later than any order may: then the clock stepped back.
fn is_in_force(trip: Trip, now: WallTime) -> bool {
    let rest = trip.until_ms.since(now);
    !rest.is_zero() && rest <= Duration::from_millis(LASTS_MAX_MS)
}
