//! Sloop's features one at a time: the configuration of `sloop`, without everything else.

use anyhow::Context;
use serde_json::{Map, Value, json};
use sloop_bench::variants::SLOOP;

/// Sloop with one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// A filter's configuration.
    pub(super) config: String,
}

/// What a variant keeps of the whole configuration, beside what no filter is without.
struct Kept {
    name: &'static str,
    about: &'static str,
    top: &'static [&'static str],
    scope: &'static [&'static str],
}

const fn kept(
    name: &'static str,
    about: &'static str,
    top: &'static [&'static str],
    scope: &'static [&'static str],
) -> Kept {
    Kept {
        name,
        about,
        top,
        scope,
    }
}

/// What says who a filter is, and for what.
const ALWAYS: [&str; 3] = ["version", "service", "side"];
/// What says which requests a scope is for.
const SCOPE_ALWAYS: [&str; 3] = ["service", "route", "match"];
const SHADOW: &str = "sloop_shadow";

const FEATURES: [Kept; 10] = [
    kept("sloop_report", "counts and reports", &["report"], &[]),
    kept(
        "sloop_slos",
        "scopes and objectives",
        &["scopes"],
        &["objectives"],
    ),
    kept(
        "sloop_breaker",
        "scopes and a breaker",
        &["scopes"],
        &["breaker"],
    ),
    kept("sloop_shed", "scopes and shedding", &["scopes"], &["shed"]),
    kept(
        "sloop_faults",
        "scopes and faults, not drawn",
        &["scopes"],
        &["faults"],
    ),
    kept(
        "sloop_deny",
        "a deny rule that fits nothing",
        &["deny"],
        &[],
    ),
    kept(
        "sloop_dimensions",
        "caller, origin, journey, version",
        &["dimensions"],
        &[],
    ),
    kept("sloop_context", "deadlines enforced", &["trace"], &[]),
    kept("sloop_spans", "spans at 1 %", &["spans"], &[]),
    kept("sloop_stats", "Envoy's own metrics", &["stats"], &[]),
];

/// Each feature alone, and everything in shadow.
///
/// # Errors
///
/// When the whole configuration has not what a feature is.
pub(super) fn all() -> anyhow::Result<Vec<Feature>> {
    let whole: Map<String, Value> = serde_json::from_str(SLOOP)?;
    let mut features = Vec::with_capacity(FEATURES.len() + 1);
    for kept in &FEATURES {
        let config = part(&whole, kept).with_context(|| format!("making {}", kept.name))?;
        features.push(Feature {
            name: kept.name,
            about: kept.about,
            config: Value::from(config).to_string(),
        });
    }
    features.push(Feature {
        name: SHADOW,
        about: "everything on, in shadow",
        config: in_shadow(whole).to_string(),
    });
    Ok(features)
}

fn part(whole: &Map<String, Value>, kept: &Kept) -> anyhow::Result<Map<String, Value>> {
    let top = ALWAYS.iter().chain(kept.top);
    let mut config = pick(whole, top)?;
    let scopes = config.get_mut("scopes").and_then(Value::as_array_mut);
    for scope in scopes.into_iter().flatten() {
        let Value::Object(fields) = scope else {
            continue;
        };
        // Not every scope has a breaker.
        let wanted = SCOPE_ALWAYS.iter().chain(kept.scope);
        let there = wanted.filter(|name| fields.contains_key(**name));
        *scope = pick(fields, there)?.into();
    }
    Ok(config)
}

fn pick<'a>(
    from: &Map<String, Value>,
    names: impl Iterator<Item = &'a &'static str>,
) -> anyhow::Result<Map<String, Value>> {
    let pick = |name: &&str| {
        let value = from
            .get(*name)
            .with_context(|| format!("there is no {name:?}"))?;
        anyhow::Ok(((*name).to_owned(), value.clone()))
    };
    names.map(pick).collect()
}

/// Whatever has a mode decides as ever, and acts on nothing. Faults have none; what they have is a control arm.
fn in_shadow(mut whole: Map<String, Value>) -> Value {
    let shadow = |rule: &mut Value| {
        if let Value::Object(rule) = rule {
            rule.insert("mode".to_owned(), json!("shadow"));
        }
    };
    let rules = whole.get_mut("deny").and_then(Value::as_array_mut);
    rules.into_iter().flatten().for_each(shadow);
    let scopes = whole.get_mut("scopes").and_then(Value::as_array_mut);
    for scope in scopes.into_iter().flatten() {
        for name in ["breaker", "shed"] {
            scope.get_mut(name).into_iter().for_each(shadow);
        }
    }
    whole.into()
}

#[cfg(test)]
mod tests {
    use sloop_model::FilterConfig;

    use super::*;

    fn config(name: &str) -> FilterConfig {
        let features = all().unwrap();
        let it = features.iter().find(|one| one.name == name).unwrap();
        FilterConfig::parse(it.config.as_bytes()).unwrap()
    }

    #[test]
    fn each_feature_is_alone() {
        for feature in all().unwrap() {
            let config = config(feature.name);
            let has = |it: fn(&sloop_model::ScopeConfig) -> bool| config.scopes.iter().any(it);
            let on = [
                ("sloop_report", config.report.is_some()),
                ("sloop_slos", has(|it| !it.objectives.is_empty())),
                ("sloop_breaker", has(|it| it.breaker.is_some())),
                ("sloop_shed", has(|it| it.shed.is_some())),
                ("sloop_faults", has(|it| !it.faults.is_empty())),
                ("sloop_deny", !config.deny.is_empty()),
                ("sloop_dimensions", config.dimensions.is_some()),
                ("sloop_spans", config.spans.is_some()),
                ("sloop_stats", config.stats.enabled),
            ];
            for (name, is_on) in on {
                let is_wanted = feature.name == name || feature.name == SHADOW;
                assert_eq!(is_on, is_wanted, "{name} in {}", feature.name);
            }
        }
    }

    #[test]
    fn in_shadow_nothing_is_enforced() {
        let text = serde_json::to_string(&config(SHADOW)).unwrap();
        assert!(!text.contains(r#""mode":"enforce""#), "{text}");
        assert!(3 <= text.matches(r#""mode":"shadow""#).count(), "{text}");
    }
}
