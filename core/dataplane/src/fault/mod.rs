//! Which fault meets a request, and what it does to it.
//!
//! The choice is a function of trace id and seed ([`arm_of`]), unless the trace
//! came with it: one trace meets the same choice at every hop, and an experiment can be
//! repeated. It goes like this:
//!
//! 1. [`Faults::choose`] draws the arm of a request in each rule: two mixing
//!    functions and a comparison per rule, nothing else for those untouched. Only what is drawn
//!    is asked whether the rule reaches it and is still in force.
//! 2. The first rule that chooses a request wins; [`Active`] may keep the fault from it, but not the request from its arm.
//! 3. [`Faults::injection`] says what happens: change headers, hold back, then end
//!    the exchange, or spoil its body by a [`BodyPlan`].
//! 4. [`Faults::counted`] says where the request counts when it is over ([`ArmCounts`]).
//!
//! Faults on the request side need no callback but that of the request's
//! headers. Those on the response side, and those on bodies, need callbacks
//! that every request pays for; a module without them cannot inject these.
//!
//! # How to tell a fault from the real thing
//!
//! An answer of ours carries `x-sloop-verdict: fault` and has the response code
//! details `sloop_fault_abort`; Envoy sets no response flags for answers of Wasm
//! filters, where its own fault filter sets `FI` and `DI` and the details `fault_filter_abort`. A
//! reset leaves the details `wasm_close_stream` and no flags. A request that was
//! only held back, or whose headers or body were changed, looks like any
//! other in the log: it is counted here, and its span says so.

mod active;
mod asked;
mod body;
mod counts;
mod draw;
mod quantiles;

use core::time::Duration;

use sloop_model::{
    Arm, Arms, BodyFault, Criticality, ExchangeSide, ExperimentKey, FaultEnding, FaultRule,
    HeaderChanges, WallTime,
};

use crate::context::TraceId;
use crate::headers::Request;
use crate::scope::{Rules, ScopeId};
pub use active::{Active, ActiveTotal};
pub use body::{BodyFlow, BodyPlan, BodyStep, Fresh};
pub use counts::{ArmCounts, ArmDelta, CallerDelta};
pub use draw::{Sidecar, arm_of};

use asked::Asked;
use draw::{ArmDraw, Purpose, word_for};
use quantiles::Quantiles;

/// The faults of one scope, compiled for one sidecar. Those that are for other sidecars are left out.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Compiled>,
}

/// What is known of a request when a fault is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its trace.
    pub trace: TraceId,
    /// Its headers. Without them, no rule with a condition on headers chooses it.
    pub request: Option<&'a Request<'a>>,
    /// Who sent it; empty when that is not known.
    pub caller: &'a [u8],
    /// How critical it is; empty when that is not known.
    pub criticality: Criticality,
    /// The arms that it came with.
    pub arms: &'a Arms,
}

/// What was chosen for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    hit: Option<Hit>,
    /// Positions of the rules that drew it for comparison, as bits; the first one of each experiment.
    controls: u16,
    /// Position of the first rule that does nothing here but drew it for the fault, as a bit.
    observed: u16,
    /// Whether faults of several experiments drew it.
    is_disputed: bool,
}

/// A fault that chose a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    position: usize,
    word: u64,
}

/// A rule among those of its scope: an experiment may have several, which expire by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultName {
    key: ExperimentKey,
    /// How many rules of the experiment come before it.
    number: usize,
}

/// What a fault does to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection<'a> {
    /// The rule.
    pub rule: &'a FaultRule,
    /// On which half of the exchange.
    pub on: ExchangeSide,
    /// What is changed in the headers, before everything else.
    pub headers: &'a HeaderChanges,
    /// How long it is held back; positive.
    pub delay: Option<Duration>,
    /// How it ends then.
    pub ending: Option<FaultEnding>,
    /// What becomes of its body.
    pub body: Option<BodyFault>,
    word: u64,
}

#[derive(Debug)]
struct Compiled {
    rule: FaultRule,
    key: ExperimentKey,
    draw: ArmDraw,
    does_nothing: bool,
    requests: Option<Rules>,
    delay: Option<Quantiles>,
}

impl Choice {
    /// The fault that is to be injected, if any.
    #[must_use]
    pub const fn hit(&self) -> Option<Hit> {
        self.hit
    }

    /// Whether no experiment has a part in the request.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.hit.is_none() && self.controls | self.observed == 0
    }
}

impl Injection<'_> {
    /// The plan for the body, if something becomes of it.
    #[must_use]
    pub fn body_plan(&self) -> Option<BodyPlan> {
        Some(BodyPlan::new(self.body?, self.word))
    }
}

impl Faults {
    /// Compiles `rules` for `sidecar`. At most 16 are taken, as many as a configuration may have.
    #[must_use]
    pub fn new(rules: &[FaultRule], sidecar: Sidecar) -> Self {
        let is_here = |rule: &&FaultRule| {
            let reach = rule.reach();
            sidecar.is_of(&reach.versions) && sidecar.is_among(reach.sidecars, rule.seed())
        };
        let rules = rules.iter().filter(is_here).take(Self::RULES_MAX);
        Self {
            rules: rules.map(Compiled::new).collect(),
        }
    }

    /// Rules of one scope: as many as bits in a [`Choice`].
    const RULES_MAX: usize = 16;

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that are for this sidecar.
    pub fn rules(&self) -> impl Iterator<Item = &FaultRule> {
        self.rules.iter().map(|compiled| &compiled.rule)
    }

    /// Chooses for a request. `wall` is asked for the time only when something was drawn.
    ///
    /// What a fault touches, here or at another hop, is no control of another, so the control arm of an
    /// experiment lacks the requests that faults of others drew. Its other arm must lack the same ones, or the two would not
    /// be alike: what several faults drew meets the first of them, and counts in no arm.
    #[must_use]
    pub fn choose(&self, facts: &Facts<'_>, wall: impl Fn() -> WallTime) -> Choice {
        let mut choice = Choice::default();
        let mut touching = None;
        for (position, rule) in self.rules.iter().enumerate() {
            let (word, arm) = rule.arm(facts);
            if arm == Arm::Untouched || !rule.holds(facts, word, &wall) {
                continue;
            }
            match arm {
                Arm::Fault => {
                    choice.is_disputed |= *touching.get_or_insert(rule.key) != rule.key;
                    if !rule.does_nothing {
                        choice.hit = choice.hit.or(Some(Hit { position, word }));
                    } else if choice.observed == 0 {
                        choice.observed = 1 << position;
                    }
                }
                // Of an experiment that has several rules here, a request is in one arm, and once.
                Arm::Control if self.has_control(choice.controls, rule.key) => {}
                Arm::Control => choice.controls |= 1 << position,
                Arm::Untouched => {}
            }
        }
        if touching.is_some() {
            choice.controls = 0;
        }
        if choice.is_disputed || choice.hit.is_some() {
            choice.observed = 0;
        }
        choice
    }

    /// Whether one of these rules, given as bits, is of the experiment.
    fn has_control(&self, controls: u16, key: ExperimentKey) -> bool {
        let mut rules = self.rules.iter().enumerate();
        rules.any(|(position, rule)| controls >> position & 1 == 1 && rule.key == key)
    }

    /// What the fault that chose a request does to it.
    #[must_use]
    pub fn injection(&self, hit: Hit, request: Option<&Request<'_>>) -> Option<Injection<'_>> {
        let compiled = self.rules.get(hit.position)?;
        let effect = compiled.rule.effect();
        let asked = match request {
            Some(request) if effect.is_asked => {
                Asked::read(request, hit.word, compiled.rule.share())
            }
            Some(_) | None => Asked {
                delay: compiled
                    .delay
                    .as_ref()
                    .map(|delay| delay.delay(word_for(Purpose::Delay, hit.word)))
                    .filter(|delay| !delay.is_zero()),
                ending: effect.ending,
            },
        };
        Some(Injection {
            rule: &compiled.rule,
            on: effect.on,
            headers: &effect.headers,
            delay: asked.delay,
            ending: asked.ending,
            body: effect.body,
            word: hit.word,
        })
    }

    /// By what the rule that chose a request is found in a later configuration.
    #[must_use]
    pub fn name(&self, hit: Hit) -> Option<FaultName> {
        let key = self.rules.get(hit.position)?.key;
        let before = self.rules.iter().take(hit.position);
        let number = before.filter(|rule| rule.key == key).count();
        Some(FaultName { key, number })
    }

    /// The rule of this name.
    #[must_use]
    pub fn named(&self, name: FaultName) -> Option<&FaultRule> {
        let mut same = self.rules.iter().filter(|rule| rule.key == name.key);
        same.nth(name.number).map(|compiled| &compiled.rule)
    }

    /// The arms with which a request goes on: those that it came with, and those that were drawn here.
    #[must_use]
    pub fn arms(&self, choice: Choice, came_with: &Arms) -> Arms {
        let mut arms = *came_with;
        for (compiled, arm) in self.drawn(choice) {
            arms.remember(compiled.key, arm);
        }
        arms
    }

    /// The arms in which a request is counted: of experiments that compare something.
    pub fn counted(&self, choice: Choice) -> impl Iterator<Item = (ExperimentKey, Arm)> {
        self.drawn(choice)
            .filter(move |(compiled, _)| compiled.rule.is_experiment() && !choice.is_disputed)
            .map(|(compiled, arm)| (compiled.key, arm))
    }

    fn drawn(&self, choice: Choice) -> impl Iterator<Item = (&Compiled, Arm)> {
        let rules = self.rules.iter().enumerate();
        rules.filter_map(move |(position, compiled)| {
            let has = |bits: u16| bits >> position & 1 == 1;
            let is_hit = choice.hit.is_some_and(|hit| hit.position == position);
            if is_hit || has(choice.observed) {
                Some((compiled, Arm::Fault))
            } else if has(choice.controls) {
                Some((compiled, Arm::Control))
            } else {
                None
            }
        })
    }
}

impl Compiled {
    fn new(rule: &FaultRule) -> Self {
        let requests = rule.reach().requests.as_ref().map(|requests| {
            let mut rules = Rules::default();
            rules.push(requests, ScopeId(0));
            rules
        });
        Self {
            key: rule.key(),
            draw: ArmDraw::new(rule.seed(), rule.shares()),
            does_nothing: rule.effect().is_nothing(),
            requests,
            delay: rule.delay().map(Quantiles::of),
            rule: rule.clone(),
        }
    }

    /// The word of a request, and its arm: that which it came with, else that which is drawn.
    fn arm(&self, facts: &Facts<'_>) -> (u64, Arm) {
        let word = self.draw.word(facts.trace);
        let came_with = if facts.arms.is_empty() {
            None
        } else {
            facts.arms.of(self.key)
        };
        (word, came_with.unwrap_or_else(|| self.draw.arm(word)))
    }

    /// Whether it reaches a request that was drawn, and is still in force.
    ///
    /// Not inlined: it would then be worked out ahead, for requests that are not drawn as well.
    #[inline(never)]
    fn holds(&self, facts: &Facts<'_>, word: u64, wall: &impl Fn() -> WallTime) -> bool {
        self.reaches(facts, word) && wall() < self.rule.expires_at()
    }

    /// Whether the rule is about a request that it has drawn. The control arm lacks whom the other arm lacks: who asks for nothing.
    fn reaches(&self, facts: &Facts<'_>, word: u64) -> bool {
        let reach = self.rule.reach();
        let is_named = |names: &[String], name: &[u8]| {
            names.is_empty() || names.iter().any(|known| known.as_bytes() == name)
        };
        let fits = is_named(&reach.callers, facts.caller)
            && (reach.criticalities.is_empty() || reach.criticalities.contains(&facts.criticality))
            && self.requests.as_ref().is_none_or(|rules| {
                let request = facts.request;
                request.is_some_and(|request| rules.find(request).is_some())
            });
        fits && (!self.rule.effect().is_asked
            || facts
                .request
                .is_some_and(|request| !Asked::read(request, word, self.rule.share()).is_nothing()))
    }
}

#[cfg(test)]
mod tests;
