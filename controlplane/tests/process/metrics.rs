//! `/metrics` as Prometheus reads it.
use std::collections::BTreeMap;

use crate::support::{Home, ROUTES, Sloop, eventually, report, slo};

/// Where operators read what there is.
const README: &str = include_str!("../../README.md");

/// Samples by name and labels, after checking each line.
async fn samples(sloop: &Sloop) -> BTreeMap<String, f64> {
    let (status, body) = sloop.get("/metrics").await;
    assert_eq!(status, 200);
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut kind = ("", "");
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').expect("a text for people");
            match word {
                "HELP" => assert!(value.ends_with('.'), "{line}"),
                "TYPE" => {
                    let short = name.strip_prefix("sloop_controlplane_").unwrap();
                    let quoted = [format!("`{short}`"), format!("`{short}{{")];
                    let is_documented = quoted.iter().any(|it| README.contains(it));
                    assert!(is_documented, "{short} is not in README.md");
                    kind = (name, value);
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let bare = name.split('{').next().unwrap();
        let suffix = bare.strip_prefix(kind.0).expect("its type comes before it");
        let suffixes: &[&str] = match kind.1 {
            "histogram" => &["_bucket", "_sum", "_count"],
            "counter" | "gauge" => &[""],
            other => panic!("{other}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(kind.1 != "counter" || bare.ends_with("_total"), "{line}");
        let before = samples.insert(name.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "{line}");
    }
    samples
}

#[tokio::test]
async fn an_slo_is_shown_while_it_is_declared() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let mut client = sloop.reports();
    client.report(report(7, 1, 1_000, 4)).await.unwrap();
    let gauge = |name: &str, labels: &str| format!("sloop_controlplane_{name}{{{labels}}}");
    let bad = r#"objective="0",result="bad",slo="pay""#;
    let found = eventually("the SLO counts it", async || {
        let found = samples(&sloop).await;
        (found.get(&gauge("slo_window_requests", bad)) == Some(&4.0)).then_some(found)
    })
    .await;
    let labels = r#"objective="0",slo="pay""#;
    let day = r#"objective="0",slo="pay",window="22h24m""#;
    for (name, expected) in [
        (gauge("slo_mode", r#"mode="actionable",slo="pay""#), 1.0),
        (gauge("slo_target", labels), 0.99),
        (gauge("slo_budget_left", labels), 0.6),
        (gauge("slo_burn_rate", day), 0.4),
    ] {
        let value = found.get(&name).unwrap_or_else(|| panic!("{name}"));
        assert!((value - expected).abs() < 1e-9, "{name} is {value}");
    }
    assert_eq!(found["sloop_controlplane_nodes_connected"], 0.0);
    std::fs::remove_file(home.document("slo.yaml")).unwrap();
    eventually("it is not shown any more", async || {
        let found = samples(&sloop).await;
        let mut names = found.keys();
        (!names.any(|name| name.contains("_slo_"))).then_some(())
    })
    .await;
}
