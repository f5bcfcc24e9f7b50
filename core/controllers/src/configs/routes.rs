//! Which requests the routes of a service are.

use sloop_model::{FilterConfig, RequestMatch, RouteName, ServiceName, Side};

use crate::RouteSet;

/// The routes of one service as one side sees them.
#[derive(Debug)]
pub(super) struct Routes {
    /// Routes and their matches, in the order in which they are tried.
    pub(super) named: Vec<(RouteName, Vec<RequestMatch>)>,
    /// What none of them claims but is still for the service. On the server side that needs no match.
    pub(super) rest: Vec<RequestMatch>,
}

impl Routes {
    /// The routes that `route_sets` give to `service`. Adds to `left_out` what cannot be.
    pub(super) fn of(
        service: &ServiceName,
        side: Side,
        route_sets: &[RouteSet],
        left_out: &mut Vec<String>,
    ) -> Self {
        let mut sets: Vec<&RouteSet> = route_sets
            .iter()
            .filter(|set| set.service == *service)
            .collect();
        sets.sort();
        let mut routes = Self {
            named: Vec::new(),
            rest: Vec::new(),
        };
        let mut authorities: Vec<String> = Vec::new();
        for set in sets {
            let own = if set.authorities.is_empty() {
                vec![service.as_str().to_owned()]
            } else {
                set.authorities.clone()
            };
            for route in &set.routes {
                if route.name.is_any() {
                    left_out.push(format!(
                        "RouteSet {}: a route cannot be called *, which means all of them",
                        set.name
                    ));
                    continue;
                }
                let matches = match side {
                    Side::Server => route.matches.clone(),
                    Side::Client => with_authorities(&route.matches, &own),
                };
                routes.add(&route.name, matches);
            }
            authorities.extend(own);
        }
        if side == Side::Client {
            if authorities.is_empty() {
                authorities.push(service.as_str().to_owned());
            }
            authorities.sort();
            authorities.dedup();
            routes.rest = with_authorities(&[RequestMatch::default()], &authorities);
        }
        let all = routes.named.iter_mut().map(|(name, list)| (&*name, list));
        for (route, matches) in all {
            keep_valid(&format!("{service} {route}"), matches, left_out);
        }
        keep_valid(&format!("{service} other"), &mut routes.rest, left_out);
        routes
    }

    /// A route that several sets name has the matches of all of them.
    fn add(&mut self, name: &RouteName, mut matches: Vec<RequestMatch>) {
        if let Some((_, known)) = self.named.iter_mut().find(|(known, _)| known == name) {
            known.append(&mut matches);
        } else {
            self.named.push((name.clone(), matches));
        }
    }
}

/// Adds the service's authorities to every match that has none; a route without a match has only them.
fn with_authorities(matches: &[RequestMatch], authorities: &[String]) -> Vec<RequestMatch> {
    let anything = [RequestMatch::default()];
    let matches = if matches.is_empty() {
        &anything
    } else {
        matches
    };
    let mut with = Vec::new();
    for one in matches {
        if !one.authority.is_empty() {
            with.push(one.clone());
            continue;
        }
        for some in authorities.chunks(RequestMatch::VALUES_MAX) {
            with.push(RequestMatch {
                authority: some.to_vec(),
                ..one.clone()
            });
        }
    }
    with
}

fn keep_valid(route: &str, matches: &mut Vec<RequestMatch>, left_out: &mut Vec<String>) {
    matches.retain(|one| match one.check() {
        Ok(()) => true,
        Err(error) => {
            left_out.push(format!("a match of {route}: {error}"));
            false
        }
    });
    if FilterConfig::MATCHES_MAX < matches.len() {
        let surplus = matches.len() - FilterConfig::MATCHES_MAX;
        left_out.push(format!(
            "{surplus} matches of {route}: it may have {}",
            FilterConfig::MATCHES_MAX
        ));
        matches.truncate(FilterConfig::MATCHES_MAX);
    }
}
