//! The kind `RouteSet`: names the routes of a service.

use std::collections::BTreeMap;

use sloop_controllers::{NamedRoute, RouteSet};
use sloop_model::{Criticality, FilterConfig, HeaderMatch, PathMatch, RequestMatch, RouteName};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};

/// Criticalities by their names.
const CLASSES: [(&str, Criticality); Criticality::ALL.len()] = [
    ("sheddable", Criticality::Sheddable),
    ("sheddable_plus", Criticality::SheddablePlus),
    ("critical", Criticality::Critical),
    ("critical_plus", Criticality::CriticalPlus),
];

/// Reads a set of routes.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<RouteSet> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["service", "authorities", "routes"])?;
    let service = fields.required("service").and_then(|at| at.parse());
    let authorities = fields.get("authorities").map(|at| texts(&at));
    let routes = fields.required("routes").and_then(|at| read_routes(&at));
    Some(RouteSet {
        name: metadata.name.clone(),
        service: service?,
        authorities: authorities.unwrap_or(Some(Vec::new()))?,
        routes: routes?,
    })
}

fn read_routes(at: &At<'_>) -> Option<Vec<NamedRoute>> {
    let mut lines: BTreeMap<RouteName, u32> = BTreeMap::new();
    let mut routes = Vec::new();
    for item in at.items(FilterConfig::SCOPES_MAX)? {
        let Some(fields) = item.fields(&["name", "match", "criticality"]) else {
            continue;
        };
        let name = fields.required("name").and_then(|at| read_name(&at));
        let matches = fields
            .required("match")
            .and_then(|at| read_some_matches(&at));
        let Some(name) = name else {
            continue;
        };
        let line = item.spot().place.line;
        if let Some(first) = lines.insert(name.clone(), line) {
            item.refuse(format!(
                "the route {name} is there already, at line {first}"
            ));
        }
        let criticality = fields.get("criticality").map(|at| at.word(&CLASSES));
        let criticality = criticality.map_or(Some(None), |read| read.map(Some));
        routes.extend(
            matches
                .zip(criticality)
                .map(|(matches, criticality)| NamedRoute {
                    name,
                    matches,
                    criticality,
                }),
        );
    }
    Some(routes)
}

fn read_name(at: &At<'_>) -> Option<RouteName> {
    if at.text()? == "*" {
        at.refuse("is \"*\", which means all routes; choose a name");
        return None;
    }
    at.parse()
}

/// As [`read_matches`], of which there must be one.
fn read_some_matches(at: &At<'_>) -> Option<Vec<RequestMatch>> {
    if at.items(usize::MAX)?.is_empty() {
        at.refuse("has 0 items; it must have at least 1");
    }
    read_matches(at)
}

/// Reads conditions on requests, any of which fits; those that are wrong are complained about and left out.
pub(super) fn read_matches(at: &At<'_>) -> Option<Vec<RequestMatch>> {
    let items = at.items(FilterConfig::MATCHES_MAX)?;
    Some(items.iter().filter_map(read_match).collect())
}

fn read_match(at: &At<'_>) -> Option<RequestMatch> {
    let fields = at.fields(&["authority", "method", "path", "headers"])?;
    let authority = fields.get("authority").map(|at| texts(&at));
    let method = fields.get("method").map(|at| texts(&at));
    let path = fields.get("path").map(|at| read_path(&at));
    let headers = fields.get("headers").map(|at| read_headers(&at));
    let written = RequestMatch {
        authority: authority.unwrap_or(Some(Vec::new()))?,
        method: method.unwrap_or(Some(Vec::new()))?,
        path: path.map_or(Some(None), |read| read.map(Some))?,
        headers: headers.unwrap_or(Some(Vec::new()))?,
    };
    at.accept(written.check())?;
    Some(written)
}

fn read_path(at: &At<'_>) -> Option<PathMatch> {
    let fields = at.fields(&["exact", "prefix", "template"])?;
    let texts = ["exact", "prefix", "template"].map(|name| fields.get(name));
    let (kind, at): (fn(String) -> PathMatch, _) = match texts {
        [Some(exact), None, None] => (PathMatch::Exact, exact),
        [None, Some(prefix), None] => (PathMatch::Prefix, prefix),
        [None, None, Some(template)] => (PathMatch::Template, template),
        _ => {
            at.refuse("needs one of exact, prefix and template");
            return None;
        }
    };
    Some(kind(at.text()?.to_owned()))
}

fn read_headers(at: &At<'_>) -> Option<Vec<HeaderMatch>> {
    let items = at.items(RequestMatch::VALUES_MAX)?;
    let read = |at: &At<'_>| {
        let fields = at.fields(&["name", "exact", "prefix"])?;
        let [exact, prefix] = ["exact", "prefix"].map(|name| {
            let text = fields.get(name).map(|at| at.text().map(str::to_owned));
            text.map_or(Some(None), |read| read.map(Some))
        });
        Some(HeaderMatch {
            name: fields.required_text("name")?.to_owned(),
            exact: exact?,
            prefix: prefix?,
        })
    };
    items.iter().map(read).collect()
}

fn texts(at: &At<'_>) -> Option<Vec<String>> {
    let items = at.items(RequestMatch::VALUES_MAX)?;
    items
        .iter()
        .map(|item| item.text().map(str::to_owned))
        .collect()
}
