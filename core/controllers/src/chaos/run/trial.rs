//! What a run would take, without one.

use sloop_model::WallTime;

use super::super::intent::ChaosSpec;
use super::super::preflight::Ready;
use super::super::status::ExperimentPlan;
use super::Run;

impl Run {
    /// Ends a trial with what the run would take.
    pub(super) fn foresee(&mut self, ready: &Ready, spec: &ChaosSpec, now: WallTime) {
        let plan = ready.plan;
        self.plan = Some(plan);
        let sample = plan.needed_to_hold.zip(plan.needed_to_break);
        let sample = sample.map_or_else(String::new, |(hold, broken)| {
            format!(
                "; {hold:.0} independent requests in the smallest arm of a fault show that it holds, {broken:.0} that it is broken if the \
                 effect is twice what is tolerated"
            )
        });
        let caps = ready.known.iter().map(|one| {
            let cap = one.left * spec.budget.as_fraction();
            format!(
                "{cap:.0} of the {:.0} requests of SLO {} that may still be bad",
                one.left, one.id.slo
            )
        });
        let caps: Vec<String> = caps.collect();
        self.refuse(
            now,
            format!(
                "it would begin: {}{sample}; {:.0} requests have a part in it if it lasts its time, and it may spend {}",
                expected(&plan),
                plan.spent_max,
                caps.join(", ")
            ),
        );
    }
}

/// When it is decided, in words.
pub(super) fn expected(plan: &ExperimentPlan) -> String {
    let expected = plan.expected_s.map_or_else(
        || "no number of requests decides it".to_owned(),
        |seconds| format!("decided in about {seconds:.0} s"),
    );
    format!("{expected} at {:.1} requests a second", plan.rate)
}
