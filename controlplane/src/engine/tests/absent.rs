//! Documents about sidecars of which there is none.

use sloop_xds::Resource;
use sloop_xds::fleet::{Cohort, Declared, Selector};

use super::*;

fn connected(services: &[&str]) -> BTreeSet<Cohort> {
    services.iter().map(|it| Cohort::of_service(it)).collect()
}

#[test]
fn of_an_slo_whose_service_has_no_sidecar_that_is_said_while_it_is_not_known() {
    let mut process = Process::begin();
    process.declare(&[slo("pay", SloMode::Monitored, 0.999)]);
    process.engine.step(NOW);
    let said = |process: &Process, services: &[&str]| {
        let mut absent = process.engine.absent(&connected(services), None).notes();
        let notes = absent.remove(&0).unwrap_or_default();
        assert!(absent.is_empty(), "{absent:?}");
        notes.join("\n")
    };
    let nobody = "no sidecar of checkout is connected or reports";
    assert_eq!(said(&process, &["payments"]), nobody);
    for other in ["checkout.shop", "chekout"] {
        let hint = format!("{nobody}; did you mean {other:?}?");
        assert_eq!(said(&process, &["payments", other]), hint);
    }
    assert_eq!(said(&process, &["checkout"]), "");
    let mut report = report(7, 1, 0, 0);
    report.scopes.clear();
    process.take(report, NOW);
    process.engine.step(NOW);
    assert_eq!(said(&process, &[]), "", "one reports");
}

#[test]
fn of_many_that_are_absent_few_names_are_compared_and_of_one_all() {
    let mut process = Process::begin();
    let many = (0..500).map(|index| {
        let mut slo = slo(&format!("slo-{index}"), SloMode::Monitored, 0.999);
        let service = ServiceName::try_from(format!("service-{index}").as_str()).unwrap();
        let source = slo.objectives[0].source.as_mut().unwrap();
        source.service = service;
        slo
    });
    process.declare(&many.collect::<Vec<_>>());
    process.engine.step(NOW);
    let others: Vec<String> = (0..500).map(|index| format!("Xservice-{index}")).collect();
    let others = connected(&others.iter().map(String::as_str).collect::<Vec<_>>());
    let said = |only| {
        let notes = process.engine.absent(&others, only).notes();
        let hints = notes.values().flatten();
        let hints = hints.filter(|note| note.contains("did you mean \"Xservice-"));
        (notes.len(), hints.count())
    };
    assert_eq!(said(None), (500, 20));
    assert_eq!(said(Some(499)), (1, 1));
}

#[test]
fn a_resource_that_chooses_no_node_is_said_to() {
    let mut process = Process::begin();
    let declared = |document: &str, clusters: &[&str]| Declared {
        document: document.to_owned(),
        selector: Selector {
            clusters: clusters.iter().map(ToString::to_string).collect(),
            ..Selector::default()
        },
        resource: Resource::new("type.googleapis.com/a.B", document, b"x"),
        references: BTreeSet::new(),
    };
    let fleet = vec![declared("all", &[]), declared("some", &["egde", "pay"])];
    let file = |document: &str| (document.to_owned(), format!("{document}.yaml"));
    let documents = Documents {
        fleet: Some(Arc::new(Declarations::new(fleet))),
        fleet_files: BTreeMap::from([file("all"), file("some")]),
        ..Documents::default()
    };
    process.engine.set_documents(documents, NOW);
    let said = |services: &[&str]| process.engine.chosen_by_nobody(&connected(services)).len();
    assert_eq!([said(&[]), said(&["edge"]), said(&["pay"])], [2, 1, 0]);
    assert_eq!(
        process.engine.chosen_by_nobody(&connected(&["edge"]))["some.yaml"],
        [
            "the selector of EnvoyResource some chooses no node that is connected; did you mean \"edge\"?"
        ]
    );
}
