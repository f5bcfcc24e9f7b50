//! Of which objectives a report says that no more happened than is in it.
//!
//! "None counted" and "not known" are not the same, and a report names only objectives with counts. So of the others their
//! sources tell ([`super::sources`]): inbound the sidecars of the service count, outbound those of the callers that the
//! objective names; where it names none, those that ever asked the service since the process began. A sidecar that counted for an objective
//! does not go on saying that nothing happens when the objective counts elsewhere, or when nobody wants it any more.
//!
//! An objective for which nothing was ever counted stays not known.

use sloop_model::ObjectiveId;

use super::{Vm, World};
use crate::Observed;
use crate::budget::SeenBy;

impl World {
    /// Notes that of all objectives that `vm` counts for nothing happened but what is in `observation`.
    pub(super) fn mark_known(
        &mut self,
        vm: &mut Vm,
        observation: &Observed<'_>,
        seen_by: SeenBy<'_>,
    ) {
        let sidecar = match observation.sidecar.says_nothing() {
            true => &vm.sidecar,
            false => &observation.sidecar,
        };
        for id in self.sources.counted_by(sidecar) {
            if !vm.objectives.contains(id) && self.series.contains_key(id) {
                vm.objectives.insert(id.clone());
            }
        }
        let (sources, series, asked) = (&self.sources, &mut self.series, &vm.asked);
        let routes = &self.known_routes;
        vm.objectives.retain(|id| {
            let goes_on = sources.is_counted(id, sidecar, asked, routes);
            if (goes_on || has_counts(observation, id))
                && let Some(series) = series.get_mut(id)
            {
                series.mark_known(seen_by.from, seen_by.to);
            }
            goes_on
        });
    }
}

fn has_counts(observation: &Observed<'_>, id: &ObjectiveId) -> bool {
    let mut counts = observation.scopes.iter().flat_map(|it| &it.objectives);
    counts.any(|it| it.id == *id)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use sloop_model::{Module, RouteName, Scope, ServiceName, Side, SloName, WallTime};

    use super::*;
    use crate::{
        Cell, Controllers, FilterReading, IntentId, ObjectiveCounts, Observation, ScopeCounts,
        SidecarReading,
    };

    fn at(second: u64) -> WallTime {
        WallTime::from_millis((1_699_999_200 + second) * 1_000)
    }

    fn id() -> ObjectiveId {
        ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        }
    }

    /// A world with one SLO.
    struct Mesh {
        world: World,
        /// Whether filters run with what was sent to them.
        are_configured: bool,
        controllers: Controllers,
    }

    impl Mesh {
        fn new(world: World) -> Self {
            let controllers = Controllers::with_all();
            Self {
                world,
                are_configured: true,
                controllers,
            }
        }

        /// Declares that requests to `service` count, as seen from `side`, of these callers.
        fn declare(&mut self, service: &str, side: Side, callers: &[&str]) {
            let mut indicator = serde_json::json!({});
            if !callers.is_empty() {
                indicator = serde_json::json!({"only": {"caller": callers}});
            }
            let body = serde_json::json!({
                "name": "pay", "service": service, "mode": "monitored",
                "window": {"rolling": 2_592_000_000_u64}, "budgeting": "occurrences",
                "objectives": [{"target": 999_000_000, "source": {
                    "service": service, "route": "any", "side": side, "indicator": indicator,
                }}],
            });
            let id = IntentId("SLO/pay".to_owned());
            self.controllers.put(&id, "slo", &body.to_string()).unwrap();
            self.controllers.tell_sources(&mut self.world);
        }

        /// Declares as many objectives on all requests of checkout, in an SLO called `name`.
        fn declare_many(&mut self, name: &str, count: usize) {
            let objective = serde_json::json!({"target": 999_000_000, "source": {
                "service": "checkout", "route": "any", "side": "server", "indicator": {},
            }});
            let body = serde_json::json!({
                "name": name, "service": "checkout", "mode": "monitored",
                "window": {"rolling": 2_592_000_000_u64}, "budgeting": "occurrences",
                "objectives": vec![objective; count],
            });
            let id = IntentId(format!("SLO/{name}"));
            self.controllers.put(&id, "slo", &body.to_string()).unwrap();
            self.controllers.tell_sources(&mut self.world);
        }

        /// What people are told of the SLO besides.
        fn notes(&mut self) -> Vec<String> {
            let step = self.controllers.step(&mut self.world);
            let statuses = self.controllers.slo_statuses(&self.world, &step);
            let pay = statuses.into_iter().find(|slo| slo.name.as_str() == "pay");
            pay.unwrap().notes
        }

        /// A sidecar of `service` reports at `second`, of so many requests to the server of one service.
        fn reports(&mut self, second: u64, service: &str, seen: Option<(&str, Side, u64)>) {
            self.world.begin_step(at(second));
            let scopes = seen.map(|(asked, side, requests)| ScopeCounts {
                requests,
                objectives: vec![ObjectiveCounts {
                    id: id(),
                    total: requests,
                    good: requests,
                }],
                ..ScopeCounts::nothing(Scope {
                    service: ServiceName::try_from(asked).unwrap(),
                    route: RouteName::other(),
                    side,
                })
            });
            let filters = [Side::Server, Side::Client].map(|side| FilterReading {
                side,
                module: Module::Requests,
                version: None,
                is_configured: self.are_configured,
            });
            self.world.observe(Observation {
                node: format!("{service}-1"),
                incarnation: 1,
                sidecar: SidecarReading {
                    service: service.to_owned(),
                    filters: filters.into(),
                },
                from: at(second - 1),
                at: at(second),
                scopes: scopes.into_iter().collect(),
            });
        }

        /// What was counted in the last minute, if it is known, and whether somebody watches.
        fn known(&self) -> (Option<u64>, bool) {
            let counts = self.world.counts(&id(), Duration::from_secs(60));
            let until = World::fresh_until(self.world.series(&id()));
            (counts.map(|it| it.total), self.world.now() < until)
        }

        /// The same in a process that began anew.
        fn restarted(mut self) -> Self {
            let cells = self.world.take_changes();
            let mut world = World::default();
            world.restore(cells);
            Self::new(world)
        }
    }

    #[test]
    fn a_sidecar_says_nothing_of_an_objective_that_counts_elsewhere() {
        let mut mesh = Mesh::new(World::default());
        mesh.declare("checkout", Side::Server, &[]);
        mesh.reports(10, "checkout", Some(("checkout", Side::Server, 5)));
        mesh.reports(100, "checkout", None);
        assert_eq!(mesh.known(), (Some(0), true), "it is idle");
        mesh.declare("payments", Side::Server, &[]);
        mesh.reports(200, "checkout", None);
        assert_eq!(mesh.known(), (None, false));
        mesh.reports(201, "payments", None);
        assert_eq!(mesh.known(), (Some(0), true));
        mesh.declare("payments", Side::Client, &["cart"]);
        mesh.reports(300, "payments", None);
        mesh.reports(301, "checkout", None);
        assert_eq!(mesh.known(), (None, false));
        mesh.reports(302, "cart", None);
        assert_eq!(mesh.known(), (Some(0), true));
    }

    /// Its sidecars are not told of it.
    #[test]
    fn of_an_objective_that_is_too_much_for_a_scope_nobody_says_that_nothing_happened() {
        let mut mesh = Mesh::new(World::default());
        mesh.declare("checkout", Side::Server, &[]);
        mesh.reports(10, "checkout", Some(("checkout", Side::Server, 5)));
        mesh.declare_many("a", 31);
        mesh.reports(100, "checkout", None);
        assert_eq!(mesh.known(), (Some(0), true));
        mesh.declare_many("a", 32);
        mesh.reports(200, "checkout", None);
        assert_eq!(mesh.known(), (None, false));
        let notes = mesh.notes();
        let is_said = |note: &String| note.starts_with("objective 0: not every sidecar counts it");
        assert!(notes.iter().any(is_said), "{notes:?}");
        mesh.reports(201, "checkout", Some(("checkout", Side::Server, 5)));
        assert_eq!(
            mesh.known(),
            (Some(5), true),
            "one that is told all the same"
        );
    }

    #[test]
    fn idle_sidecars_are_known_to_count_after_a_restart() {
        let mut mesh = Mesh::new(World::default());
        mesh.declare("checkout", Side::Server, &[]);
        mesh.reports(10, "checkout", Some(("checkout", Side::Server, 5)));
        let mut mesh = mesh.restarted();
        mesh.declare("checkout", Side::Server, &[]);
        mesh.reports(100, "cart", None);
        assert_eq!(mesh.known(), (None, false));
        mesh.are_configured = false;
        mesh.reports(101, "checkout", None);
        assert_eq!(mesh.known(), (None, false), "it knows of no objective");
        mesh.are_configured = true;
        mesh.reports(102, "checkout", None);
        assert_eq!(mesh.known(), (Some(0), true));
    }

    #[test]
    fn outbound_who_asked_the_service_is_known_to_count() {
        let mut mesh = Mesh::new(World::default());
        mesh.declare("checkout", Side::Client, &[]);
        mesh.reports(10, "cart", Some(("checkout", Side::Client, 5)));
        mesh.reports(100, "mail", None);
        assert_eq!(mesh.known(), (None, false), "it never asked");
        mesh.reports(101, "cart", None);
        assert_eq!(mesh.known(), (Some(0), true));
    }

    #[test]
    fn an_slo_that_is_gone_is_over_while_its_sidecars_are_there() {
        let mut mesh = Mesh::new(World::default());
        mesh.declare("checkout", Side::Server, &[]);
        mesh.reports(10, "checkout", Some(("checkout", Side::Server, 5)));
        mesh.controllers.remove(&IntentId("SLO/pay".to_owned()));
        mesh.controllers.tell_sources(&mut mesh.world);
        drop(mesh.world.take_changes());
        let hours = 1..=90 * 24 + 2;
        for hour in hours {
            mesh.reports(3_600 * hour, "checkout", None);
        }
        assert_eq!(mesh.known().0, None);
        let cells = mesh.world.take_changes();
        let is_budget = |cell: &&Cell| cell.key().starts_with("budget");
        assert_eq!(cells.iter().find(is_budget), None);
        assert!(mesh.world.series(&id()).is_none(), "it is forgotten");
    }

    #[test]
    fn what_nobody_wants_is_known_while_it_is_counted() {
        let mut mesh = Mesh::new(World::default());
        mesh.declare("checkout", Side::Server, &[]);
        mesh.controllers.remove(&IntentId("SLO/pay".to_owned()));
        mesh.controllers.tell_sources(&mut mesh.world);
        mesh.reports(10, "checkout", Some(("checkout", Side::Server, 5)));
        assert_eq!(mesh.known(), (Some(5), true));
        mesh.reports(100, "checkout", None);
        assert_eq!(mesh.known(), (None, false));
    }
}
