//! Refuses requests because of what they are, until the rule expires.
//!
//! A rule is written in haste, against an attack or a caller that runs wild,
//! and may fit more than its author thought. So no rule can take a route down:
//! a route's [`DenyBudget`] counts, second by second, what came and what was
//! refused by any rule, and a rule refuses only while the refused stay within
//! its share of what came. The share is that of the route as a whole, so two
//! rules are not twice as dangerous as one, and a rule for all routes is
//! bounded on each of them. The count holds at every moment, not only at the
//! end of a second: at a share of one half the first request always passes.
//! What came and was not needed by what was refused is kept for the next second, as far as one refusal takes
//! it: else a route with few requests a second in each worker would refuse none. So a share holds over any longer time, too.
//! What a rule with a small share waits for is more than another one has use of, which then goes by what it would have kept itself.
//! What is over the share passes, and is counted.
//!
//! The first rule that fits and is in force decides; rules in shadow mode are
//! noted and passed over.

use core::time::Duration;

use sloop_model::{DenyRule, Mode, Share, Time, WallTime};

use crate::bytes::is_same;
use crate::headers::Request;
use crate::scope::{Compiled, ScopeId, without_port};

/// The deny rules of one side, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct DenyRules {
    rules: Vec<Rule>,
    /// When the first of them expires.
    expires_at: Option<Time>,
    /// Whether any asks for an authority.
    asks_host: bool,
    /// What rules that expired did, and nobody took yet. At most one per rule that there was.
    expired: Vec<(Box<str>, DenyCounts)>,
}

/// A request, as far as deny rules ask about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its headers.
    pub request: &'a Request<'a>,
    /// Its route.
    pub scope: ScopeId,
    /// Who sent it, as indicators count it; empty when that is not known.
    pub caller: &'a [u8],
}

/// What the deny rules say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The refusal; none when it may pass.
    pub refused: Option<Refusal>,
    /// Whether a rule in shadow mode would have refused it.
    pub shadow_refused: bool,
}

/// How to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which rule, for [`DenyRules::id`].
    pub rule: DenyIndex,
    /// 400 to 599.
    pub status: u16,
}

/// A rule, until the next change of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenyIndex(u8);

/// What one route received and what was refused of it in this second, and what was left of those before. One per route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DenyBudget {
    since: Time,
    /// What was left, in ten-thousandths of a request: a share of them is whole. As far as one refusal of the strictest rule takes it.
    left: u64,
    /// What came since, in ten-thousandths.
    requests: u64,
    refused: u64,
    /// As `refused`, if the rules in shadow mode were enforced.
    shadow_refused: u64,
}

/// What a rule did since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DenyCounts {
    /// Requests that it refused.
    pub refused: u64,
    /// Requests that it would have refused without the shadow mode.
    pub shadow_refused: u64,
    /// Requests that fitted and passed, because the route's share was used up.
    pub over_share: u64,
}

impl DenyCounts {
    /// Adds what was done before or after.
    pub const fn add(&mut self, more: Self) {
        self.refused += more.refused;
        self.shadow_refused += more.shadow_refused;
        self.over_share += more.over_share;
    }
}

#[derive(Debug)]
struct Rule {
    id: Box<str>,
    mode: Mode,
    /// Only requests of this scope; of any if none.
    scope: Option<ScopeId>,
    matches: Option<Compiled>,
    caller: Option<Box<[u8]>>,
    status: u16,
    share_max: Share,
    expires_at: Time,
    /// The same moment, by the wall clock.
    until: WallTime,
    counts: DenyCounts,
}

impl DenyRules {
    /// Adds a rule behind the others, for the requests of `scope` or of any. Until `expires_at`, which is the moment
    /// of [`DenyRule::expires_at`]. Whether there was room: for [`DenyRule::MAX`].
    pub fn push(&mut self, rule: &DenyRule, scope: Option<ScopeId>, expires_at: Time) -> bool {
        if DenyRule::MAX <= self.rules.len() {
            return false;
        }
        let matches = rule.matches().map(Compiled::new);
        self.asks_host |= matches.as_ref().is_some_and(Compiled::asks_host);
        self.rules.push(Rule {
            id: rule.id().into(),
            mode: rule.mode(),
            scope,
            matches,
            caller: rule.caller().map(|caller| caller.as_bytes().into()),
            status: rule.status(),
            share_max: rule.share_max(),
            expires_at,
            until: rule.expires_at(),
            counts: DenyCounts::default(),
        });
        let first = self.expires_at.map_or(expires_at, |at| at.min(expires_at));
        self.expires_at = Some(first);
        true
    }

    /// Works out again, by `time`, when the rules expire: the wall clock was set. What has expired is gone.
    pub fn reckon(&mut self, time: impl Fn(WallTime) -> Time) {
        for rule in &mut self.rules {
            rule.expires_at = time(rule.until);
        }
        self.expires_at = self.first_expiry();
    }

    /// Whether there is no rule, so that nothing need be asked or counted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Decides about a request that arrives at `now`. `budget` is that of its scope.
    pub fn decide(&mut self, asked: Asked<'_>, budget: &mut DenyBudget, now: Time) -> Denial {
        let mut denial = Denial {
            refused: None,
            shadow_refused: false,
        };
        if self.expires_at.is_some_and(|at| at <= now) {
            self.drop_expired(now);
        }
        if self.rules.is_empty() {
            return denial;
        }
        budget.arrive(&self.rules, asked.scope, now);
        let host = if self.asks_host {
            without_port(asked.request.authority)
        } else {
            b""
        };
        for (index, rule) in (0..).zip(&mut self.rules) {
            if !rule.fits(asked, host) {
                continue;
            }
            let taken = match rule.mode {
                Mode::Enforce => &mut budget.refused,
                Mode::Shadow if denial.shadow_refused => continue,
                Mode::Shadow => &mut budget.shadow_refused,
            };
            // What a stricter rule waits for is not for this one.
            let left = budget.left.min(DenyBudget::per_refusal(rule.share_max));
            let came = left + budget.requests;
            if rule
                .share_max
                .exceeded_by((*taken + 1) * DenyBudget::ONE, came)
            {
                rule.counts.over_share += 1;
                continue;
            }
            *taken += 1;
            match rule.mode {
                Mode::Shadow => {
                    rule.counts.shadow_refused += 1;
                    denial.shadow_refused = true;
                }
                Mode::Enforce => {
                    rule.counts.refused += 1;
                    denial.refused = Some(Refusal {
                        rule: DenyIndex(index),
                        status: rule.status,
                    });
                    break;
                }
            }
        }
        denial
    }

    /// The id of a rule, for logs; none when the rules changed since.
    #[must_use]
    pub fn id(&self, rule: DenyIndex) -> Option<&str> {
        self.rules.get(usize::from(rule.0)).map(|rule| &*rule.id)
    }

    /// Takes what each rule did since the last call, those that expired included: those that did something.
    pub fn take_counts(&mut self) -> Vec<(Box<str>, DenyCounts)> {
        let mut taken = core::mem::take(&mut self.expired);
        let active = self.rules.iter_mut().filter(|rule| rule.has_counts());
        taken.extend(active.map(|rule| (rule.id.clone(), core::mem::take(&mut rule.counts))));
        taken
    }

    #[cold]
    fn drop_expired(&mut self, now: Time) {
        let expired = self.rules.extract_if(.., |rule| rule.expires_at <= now);
        let active = expired.filter(Rule::has_counts);
        self.expired
            .extend(active.map(|rule| (rule.id, rule.counts)));
        self.expires_at = self.first_expiry();
    }

    fn first_expiry(&self) -> Option<Time> {
        self.rules.iter().map(|rule| rule.expires_at).min()
    }
}

impl Rule {
    fn has_counts(&self) -> bool {
        self.counts != DenyCounts::default()
    }

    fn is_on(&self, scope: ScopeId) -> bool {
        self.scope.is_none_or(|only| only == scope)
    }

    /// What is cheap to compare comes first.
    fn fits(&self, asked: Asked<'_>, host: &[u8]) -> bool {
        self.is_on(asked.scope)
            && self
                .caller
                .as_deref()
                .is_none_or(|only| is_same(only, asked.caller))
            && self
                .matches
                .as_ref()
                .is_none_or(|matches| matches.fits(asked.request, host))
    }
}

impl DenyBudget {
    /// What is refused is counted against what comes in the same second.
    const PERIOD: Duration = Duration::from_secs(1);

    /// Parts of one request.
    const ONE: u64 = 10_000;

    fn arrive(&mut self, rules: &[Rule], scope: ScopeId, now: Time) {
        if Self::PERIOD <= now.since(self.since) {
            self.begin(rules, scope, now);
        }
        self.requests += Self::ONE;
    }

    /// Begins a second with what is left of the last one, by the strictest rule on `scope`: of those that are enforced, if
    /// there are any. Where there is none, nothing is kept for one that may come.
    #[cold]
    fn begin(&mut self, rules: &[Rule], scope: ScopeId, now: Time) {
        let on_it = rules.iter().filter(|rule| rule.is_on(scope));
        let strictest = on_it.map(|rule| (rule.mode, rule.share_max)).min();
        let left = strictest.map_or(0, |(mode, share)| {
            let refused = match mode {
                Mode::Enforce => self.refused,
                Mode::Shadow => self.shadow_refused,
            };
            let per_refusal = Self::per_refusal(share);
            let came = self.left.min(per_refusal) + self.requests;
            came.saturating_sub(refused * per_refusal).min(per_refusal)
        });
        *self = Self {
            since: now,
            left,
            ..Self::default()
        };
    }

    /// What must come for one refusal, in ten-thousandths of a request. Rounded up: rather one too few.
    fn per_refusal(share: Share) -> u64 {
        (Self::ONE * Self::ONE).div_ceil(u64::from(u16::from(share)).max(1))
    }
}

#[cfg(test)]
mod tests;
