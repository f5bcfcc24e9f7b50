//! Several SLOs about one scope.

use super::*;

/// The seconds of 100 in which the breakers are given an order that they do not know, when all is bad from these seconds on
/// for SLOs that are about the same route.
fn orders_of(begins: &[u64]) -> Vec<u64> {
    let names: Vec<String> = (0..begins.len())
        .map(|number| format!("slo-{number}"))
        .collect();
    let mut controllers = Controllers::with_all();
    for name in &names {
        let mut intent = slo(SloMode::Actionable, 0.999);
        intent.name = SloName::try_from(name.as_str()).unwrap();
        let body = serde_json::to_string(&intent).unwrap();
        let id = IntentId(format!("SLO/{name}"));
        controllers.put(&id, Slo::KIND, &body).unwrap();
    }
    let mut world = World::default();
    controllers.tell_sources(&mut world);
    let (mut newest, mut given) = (0, Vec::new());
    for second in 1..=100 {
        world.begin_step(at(second));
        for node in ["a", "b"] {
            let mut seen = saw(node, second, (20, 0));
            let counted = seen.scopes[0].objectives[0].clone();
            let objectives = names.iter().zip(begins).map(|(name, begin)| {
                let mut counted = counted.clone();
                counted.id.slo = SloName::try_from(name.as_str()).unwrap();
                counted.good = if second < *begin { 20 } else { 0 };
                counted
            });
            seen.scopes[0].objectives = objectives.collect();
            world.observe(seen);
        }
        let step = controllers.step(&mut world);
        let trips = step.policies.iter().filter_map(|policy| match policy.rule {
            Rule::Trip(trip) => Some(trip.id),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        });
        let id = trips.max().unwrap_or(0);
        if newest < id {
            given.push(second);
            newest = id;
        }
    }
    given
}

#[test]
fn orders_of_several_slos_are_as_far_apart_as_those_of_one() {
    let alone = orders_of(&[10]);
    assert_eq!(alone.len(), 4, "{alone:?}");
    assert_eq!(orders_of(&[10, 10]), alone);
    for begin in [11, 14, 17, 25, 90] {
        assert_eq!(orders_of(&[10, begin]), alone, "{begin}");
        assert_eq!(orders_of(&[begin, 10]), alone, "{begin}");
    }
}

proptest! {
    #[test]
    fn orders_never_flap_however_many_are_missed(begins in prop::collection::vec(1_u64..120, 1..6)) {
        let given = orders_of(&begins);
        for pair in given.windows(2) {
            prop_assert!(10 <= pair[1] - pair[0], "{:?}", given);
        }
        for minute in given.windows(7) {
            prop_assert!(60 <= minute[6] - minute[0], "{:?}", given);
        }
    }
}
