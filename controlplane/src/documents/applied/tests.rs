use std::fs;

use tempfile::TempDir;

use super::*;
use crate::documents::Loaded;

/// 2026-01-15.
const NOW: WallTime = WallTime::from_millis(1_768_435_200_000);

/// A folder, and what was handed in beside it.
struct Case {
    folder: TempDir,
    documents: Folder,
}

impl Case {
    fn with(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file.yaml"), file).unwrap();
        let mut documents = Folder::new(folder.path().to_owned(), Applied::default());
        documents.read(NOW);
        Self { folder, documents }
    }

    /// Hands in `text`; what became of each document, or what is wrong.
    fn apply(&mut self, text: &str) -> Result<Vec<String>, Vec<String>> {
        let texts = [("in.yaml".to_owned(), text.to_owned())];
        self.carry_out(self.documents.plan_apply(&texts, NOW))
    }

    fn delete(&mut self, kind: &str, name: &str) -> Result<Vec<String>, Vec<String>> {
        self.carry_out(self.documents.plan_delete(&id(kind, name), NOW))
    }

    fn carry_out(&mut self, plan: Result<Plan, NotPlanned>) -> Result<Vec<String>, Vec<String>> {
        let plan = plan.map_err(|error| match error {
            NotPlanned::Wrong(remarks) => remarks.iter().map(ToString::to_string).collect(),
            NotPlanned::Nothing
            | NotPlanned::TooMany { .. }
            | NotPlanned::Unknown(_)
            | NotPlanned::InFile { .. } => vec![error.to_string()],
        })?;
        self.documents.carry_out(&plan);
        self.documents.together(NOW);
        let became = plan.documents.iter();
        Ok(became
            .map(|one| format!("{} {:?}", one.id, one.became))
            .collect())
    }

    fn names(&mut self) -> Vec<String> {
        let loaded: Loaded = self.documents.together(NOW);
        loaded.intents.into_iter().map(|(id, ..)| id.0).collect()
    }
}

fn id(kind: &str, name: &str) -> DocumentId {
    DocumentId {
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn breaker(name: &str) -> String {
    format!(
        "---\napiVersion: sloop.dev/v1\nkind: CircuitBreaker\nmetadata: {{name: {name}}}\nspec: {{service: s, \
         limits: {{window_ms: 1000, calls_min: 20, failed_max: 50%, open_ms: 500, open_max_ms: 9000, probes: 5}}}}\n"
    )
}

/// Of a fleet: a cluster that has its endpoints from the other one.
fn cluster_and_endpoints() -> [String; 2] {
    let resource = |name: &str, resource: &str| {
        format!(
            "---\napiVersion: sloop.dev/v1\nkind: EnvoyResource\nmetadata: {{name: {name}}}\n\
             spec: {{resource: {{\"@type\": type.googleapis.com/envoy.config.{resource}}}}}\n"
        )
    };
    [
        resource(
            "cluster",
            "cluster.v3.Cluster, name: one, type: EDS, \
             eds_cluster_config: {eds_config: {resource_api_version: V3, ads: {}}}",
        ),
        resource(
            "endpoints",
            "endpoint.v3.ClusterLoadAssignment, cluster_name: one",
        ),
    ]
}

#[test]
fn what_is_handed_in_holds_until_it_is_deleted() {
    let mut case = Case::with(&breaker("filed"));
    let both = breaker("b") + &breaker("a");
    let created = ["CircuitBreaker/a Created", "CircuitBreaker/b Created"];
    assert_eq!(case.apply(&both).unwrap(), created);
    assert_eq!(case.names().len(), 3);
    let changed = breaker("a").replace("50%", "40%") + &breaker("b");
    let changes = ["CircuitBreaker/a Configured", "CircuitBreaker/b Unchanged"];
    assert_eq!(case.apply(&changed).unwrap(), changes);
    let deleted = case.delete("CircuitBreaker", "a").unwrap();
    assert_eq!(deleted, ["CircuitBreaker/a Deleted"]);
    assert_eq!(case.names(), ["CircuitBreaker/b", "CircuitBreaker/filed"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_is_changed() {
    let mut case = Case::with(&breaker("filed"));
    let wrong = breaker("good")
        + &breaker("bad").replace("50%", "150%")
        + &breaker("filed")
        + &breaker("twice")
        + &breaker("twice");
    let said = case.apply(&wrong).unwrap_err().join("\n");
    for part in [
        "in.yaml:10:",
        "failed_max",
        "there is a CircuitBreaker/filed in the file",
        "the CircuitBreaker twice is at line",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let dangling = case.apply(&cluster_and_endpoints()[0]).unwrap_err();
    let expected = "leads to the load assignment \"one\", which is in no document";
    assert!(dangling[0].ends_with(expected), "{dangling:?}");
    assert_eq!(case.names(), ["CircuitBreaker/filed"]);
    assert_eq!(
        case.apply("# nothing\n").unwrap_err(),
        ["there is no document in what was handed in"]
    );
}

#[test]
fn two_lenient_documents_of_one_name_cannot_both_be_kept() {
    let mut case = Case::with("");
    let service = "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: s}\n";
    let said = case.apply(&service.repeat(2)).unwrap_err();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("Service/s is handed in twice"), "{said:?}");
}

#[test]
fn a_file_wins_against_what_was_handed_in_before() {
    let mut case = Case::with("");
    case.apply(&breaker("a")).unwrap();
    let file = case.folder.path().join("file.yaml");
    fs::write(&file, breaker("a").replace("50%", "20%")).unwrap();
    let loaded = case.documents.read(NOW);
    assert_eq!(loaded.intents.len(), 1);
    assert!(loaded.intents[0].2.contains("2000"), "{loaded:?}");
    assert_eq!(loaded.problems.len(), 1);
    assert_eq!(loaded.problems[0].file, "applied:CircuitBreaker/a");
    assert!(loaded.problems[0].message.contains("which wins"));
    // Others can be handed in all the same, and the file gives way.
    assert!(case.apply(&breaker("b")).is_ok());
    fs::write(&file, "").unwrap();
    let loaded = case.documents.read(NOW);
    assert_eq!(loaded.problems, []);
    assert!(loaded.intents[0].2.contains("5000"), "{loaded:?}");
}

#[test]
fn a_broken_file_does_not_take_away_what_was_handed_in() {
    let mut case = Case::with("");
    case.apply(&breaker("a")).unwrap();
    let broken = breaker("a").replace("50%", "150%");
    fs::write(case.folder.path().join("file.yaml"), broken).unwrap();
    let loaded = case.documents.read(NOW);
    assert_eq!(loaded.intents.len(), 1);
    assert!(
        loaded
            .problems
            .iter()
            .all(|it| it.file.ends_with("file.yaml"))
    );
}

/// A set that names one route of `shop`.
fn route_set(name: &str) -> String {
    format!(
        "apiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata: {{name: {name}}}\nspec:\n  service: shop\n  \
         routes: [{{name: pay, match: [{{path: {{prefix: /{name}}}}}]}}]\n"
    )
}

#[test]
fn a_restart_does_not_drive_out_what_was_handed_in_for_a_file_that_contradicts_it() {
    let mut case = Case::with("");
    case.apply(&route_set("mine")).unwrap();
    fs::write(case.folder.path().join("later.yaml"), route_set("theirs")).unwrap();
    let path = case.folder.path().to_owned();
    let mut restarted = Folder::new(path, case.documents.applied().clone());
    for documents in [&mut case.documents, &mut restarted] {
        let loaded = documents.read(NOW);
        let sets: Vec<_> = loaded
            .route_sets
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(sets, ["mine"]);
        assert_eq!(loaded.kept, ["applied:RouteSet/mine"]);
        let said: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "each is told of the other: {said:?}");
        assert!(
            said.iter()
                .all(|it| it.contains("the route pay of shop is named at")),
            "{said:?}"
        );
    }
}

#[test]
fn what_others_refer_to_is_not_deleted() {
    let mut case = Case::with("");
    case.apply(&cluster_and_endpoints().concat()).unwrap();
    let said = case.delete("EnvoyResource", "endpoints").unwrap_err();
    assert!(
        said[0].starts_with("applied:EnvoyResource/cluster:"),
        "{said:?}"
    );
    case.delete("EnvoyResource", "cluster").unwrap();
    case.delete("EnvoyResource", "endpoints").unwrap();
    let unknown = case.delete("EnvoyResource", "endpoints").unwrap_err();
    assert_eq!(unknown, ["there is no EnvoyResource/endpoints"]);
}

/// One document of each kind that an SLO may refer to, and that SLO.
const ALERTING: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata: {name: pay}
spec:
  service: checkout
  indicatorRef: fast
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 100, target: 0.99}]
  alertPolicies: [{alertPolicyRef: wake}]
---
{apiVersion: openslo/v1, kind: SLI, metadata: {name: fast}, spec: {thresholdMetric: {metricSource: {metricSourceRef: mesh, spec: {unit: ms}}}}}
---
{apiVersion: openslo/v1, kind: DataSource, metadata: {name: mesh}, spec: {type: sloop, connectionDetails: {}}}
---
{apiVersion: openslo/v1, kind: AlertPolicy, metadata: {name: wake}, spec: {conditions: [{conditionRef: burns}], notificationTargets: [{targetRef: phone}]}}
---
{apiVersion: openslo/v1, kind: AlertCondition, metadata: {name: burns}, spec: {severity: page, condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h}}}
---
{apiVersion: openslo/v1, kind: AlertNotificationTarget, metadata: {name: phone}, spec: {target: "http://127.0.0.1:9/"}}
"#;

#[test]
fn nothing_that_an_slo_needs_for_its_alerts_is_deleted_under_it() {
    let mut case = Case::with("");
    case.apply(ALERTING).unwrap();
    let wake = "applied:AlertPolicy/wake";
    for (kind, name, by) in [
        ("AlertPolicy", "wake", "applied:SLO/pay:1:"),
        ("SLI", "fast", "applied:SLO/pay:1:"),
        ("AlertCondition", "burns", wake),
        ("AlertNotificationTarget", "phone", wake),
        ("DataSource", "mesh", "applied:SLI/fast"),
    ] {
        let said = case.delete(kind, name).unwrap_err();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(by), "{said:?}");
        let why = format!("refers to {kind}/{name}; delete or change that first");
        assert!(said[0].ends_with(&why), "{said:?}");
    }
    assert_eq!(case.names(), ["SLO/pay", "SLO/pay/AlertPolicy/wake"]);
    for (kind, name) in [
        ("SLO", "pay"),
        ("AlertPolicy", "wake"),
        ("AlertNotificationTarget", "phone"),
        ("AlertCondition", "burns"),
        ("SLI", "fast"),
        ("DataSource", "mesh"),
    ] {
        case.delete(kind, name).unwrap();
    }
}

#[test]
fn what_is_not_evaluated_is_said_to_who_hands_it_in() {
    let mut case = Case::with("");
    let slip = ALERTING.replace("alertPolicyRef: wake", "alertPolicyRef: wakee");
    let texts = [("in.yaml".to_owned(), slip)];
    for _ in 0..2 {
        let plan = case.documents.plan_apply(&texts, NOW).unwrap();
        let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
        let said = "in.yaml:11:36: spec.alertPolicies[0].alertPolicyRef: not evaluated here: there is no AlertPolicy wakee \
                    in these documents; did you mean \"wake\"?";
        assert_eq!(notes, [said]);
        case.carry_out(Ok(plan)).unwrap();
    }
    let other = [("other.yaml".to_owned(), breaker("a"))];
    let plan = case.documents.plan_apply(&other, NOW).unwrap();
    assert_eq!(plan.notes, [], "that was known before");
}

#[test]
fn what_no_set_names_any_more_is_said_to_who_takes_the_last_one_back() {
    let mut case = Case::with("");
    let set = |name: &str| {
        format!(
            "---\napiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata: {{name: {name}}}\nspec: {{service: s, \
             routes: [{{name: {name}, match: [{{path: {{exact: /{name}}}}}]}}]}}\n"
        )
    };
    case.apply(&(set("a") + &set("b"))).unwrap();
    let notes = |case: &Case, name: &str| {
        let plan = case
            .documents
            .plan_delete(&id("RouteSet", name), NOW)
            .unwrap();
        let notes = plan.notes.into_iter().map(|note| note.message);
        notes.collect::<Vec<_>>()
    };
    assert_eq!(notes(&case, "a"), [""; 0]);
    case.delete("RouteSet", "b").unwrap();
    let said = "no RouteSet names routes of s any more: inbound only names that Envoy gives hold, outbound none";
    assert_eq!(notes(&case, "a"), [said]);
}

#[test]
fn what_is_in_a_file_is_deleted_there() {
    let mut case = Case::with(&breaker("filed"));
    let said = case.delete("CircuitBreaker", "filed").unwrap_err();
    assert!(said[0].ends_with("file.yaml; delete it there"), "{said:?}");
}

#[test]
fn a_name_that_is_handed_in_may_be_that_of_a_file_in_the_folder() {
    let mut case = Case::with(&breaker("filed"));
    let file = case.folder.path().join("file.yaml").display().to_string();
    let texts = [(file, breaker("a"))];
    let plan = case.documents.plan_apply(&texts, NOW);
    case.carry_out(plan).unwrap();
    assert_eq!(case.names().len(), 2);
}

#[test]
fn what_was_handed_in_is_bounded() {
    let full = (0..Applied::DOCUMENTS_MAX).map(|number| {
        let service = format!("Service/s{number}");
        (id("Service", &service), "{}".to_owned())
    });
    let mut applied = Applied::restored(full);
    assert_eq!(applied.is_over_bounds(), None);
    let one_more = planned(&applied, id("Service", "more"), "{}".to_owned());
    applied.change(&one_more);
    let refused = applied.is_over_bounds().unwrap().to_string();
    assert!(refused.contains("at most 10000"), "{refused}");
    let long = [(id("Service", "s"), " ".repeat(Applied::BYTES_MAX + 1))];
    assert!(Applied::restored(long).is_over_bounds().is_some());
}
