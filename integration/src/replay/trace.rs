//! Requests of another day, from a table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::csv::{self, InvalidCsv};

/// Recorded requests, earliest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The requests.
    pub requests: Vec<Recorded>,
}

/// One recorded request.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When, after the first one.
    pub at: Duration,
    /// Its method.
    pub method: http::Method,
    /// Its path and query.
    pub path: String,
    /// The route that it belongs to: a path, or the beginning of one with `*` behind.
    pub route: String,
    /// How it was answered.
    pub status: u16,
}

/// Why a table cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrace {
    /// Not a table.
    #[error(transparent)]
    Csv(#[from] InvalidCsv),
    /// No request in it.
    #[error("there is no request in it")]
    Empty,
    /// A column is missing.
    #[error(
        "there is no column {name}; the first line must name t_s, method and path, and may name route and status"
    )]
    NoColumn {
        /// The column.
        name: &'static str,
    },
    /// A value cannot be used.
    #[error("row {row}: {column} is {given:?}; it must be {must_be}")]
    Value {
        /// Which row; the first after the names is 1.
        row: usize,
        /// Which column.
        column: &'static str,
        /// What it says.
        given: String,
        /// What it should say.
        must_be: &'static str,
    },
}

struct Columns {
    at: usize,
    method: usize,
    path: usize,
    route: Option<usize>,
    status: Option<usize>,
}

impl Columns {
    fn of(names: &[String]) -> Result<Self, InvalidTrace> {
        let find = |name: &'static str| names.iter().position(|given| given.trim() == name);
        let need = |name| find(name).ok_or(InvalidTrace::NoColumn { name });
        Ok(Self {
            at: need("t_s")?,
            method: need("method")?,
            path: need("path")?,
            route: find("route"),
            status: find("status"),
        })
    }

    fn read(&self, row: usize, fields: &[String]) -> Result<Recorded, InvalidTrace> {
        let text = |index: usize| fields.get(index).map_or("", |field| field.trim());
        let wrong = |column, given: &str, must_be| InvalidTrace::Value {
            row,
            column,
            given: given.to_owned(),
            must_be,
        };
        let at = text(self.at);
        let at = at
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| wrong("t_s", at, "seconds, not negative"))?;
        let method = text(self.method);
        let method = method
            .parse()
            .map_err(|_invalid| wrong("method", method, "a method of HTTP"))?;
        let path = text(self.path);
        let is_path = path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok();
        if !is_path {
            return Err(wrong("path", path, "a path that begins with a slash"));
        }
        let status = self.status.map_or("200", text);
        let status = status
            .parse()
            .ok()
            .filter(|status| (200..=599).contains(status))
            .ok_or_else(|| wrong("status", status, "a status from 200 to 599"))?;
        let route = self
            .route
            .map_or_else(|| route_of(path), |index| text(index).to_owned());
        if !covers(&route, path) {
            return Err(wrong(
                "route",
                &route,
                "the path, or its beginning with * behind",
            ));
        }
        Ok(Recorded {
            at,
            method,
            path: path.to_owned(),
            route,
            status,
        })
    }
}

impl Trace {
    /// Reads a table with a line of names.
    ///
    /// # Errors
    ///
    /// Names the first row and column that cannot be used.
    pub fn parse(text: &str) -> Result<Self, InvalidTrace> {
        let mut rows = csv::rows(text)?.into_iter();
        let columns = Columns::of(&rows.next().unwrap_or_default())?;
        let mut requests = rows
            .enumerate()
            .map(|(index, fields)| columns.read(index + 1, &fields))
            .collect::<Result<Vec<Recorded>, InvalidTrace>>()?;
        requests.sort_by_key(|request| request.at);
        let first = requests.first().ok_or(InvalidTrace::Empty)?.at;
        for request in &mut requests {
            request.at -= first;
        }
        Ok(Self { requests })
    }

    /// From the first request to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |last| last.at)
    }

    /// How many requests belong to each route.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            *counts.entry(request.route.clone()).or_default() += 1;
        }
        counts
    }

    /// The routes, in an order in which the first that covers a path is the right one: whole paths, then longer beginnings before shorter ones.
    #[must_use]
    pub fn routes(&self) -> Vec<String> {
        let routes: BTreeSet<String> = self.counts().into_keys().collect();
        let mut routes: Vec<String> = routes.into_iter().collect();
        routes.sort_by_key(|route| (route.ends_with('*'), std::cmp::Reverse(route.len())));
        routes
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// A path of one segment is its own route, a longer one belongs to its first segment.
fn route_of(path: &str) -> String {
    let path = without_query(path);
    match path.get(1..).and_then(|rest| rest.split_once('/')) {
        Some((segment, _)) => format!("/{segment}/*"),
        None => path.to_owned(),
    }
}

fn covers(route: &str, path: &str) -> bool {
    match route.strip_suffix('*') {
        Some(beginning) => beginning.starts_with('/') && path.starts_with(beginning),
        None => without_query(path) == route,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_come_from_the_table_or_from_the_path() {
        let given = Trace::parse("t_s,method,path,route\n1,GET,/a/b?c,/a/*\n").unwrap();
        assert_eq!(given.requests[0].route, "/a/*");
        let derived =
            Trace::parse("method,path,t_s\nGET,/a/b?c,7.5\nHEAD,/?x,9\nGET,/a,8\n").unwrap();
        let routes: Vec<&str> = derived
            .requests
            .iter()
            .map(|request| request.route.as_str())
            .collect();
        assert_eq!(routes, ["/a/*", "/a", "/"]);
        assert_eq!(derived.requests[2].at, Duration::from_millis(1_500));
        assert_eq!(derived.requests[2].status, 200);
    }

    #[test]
    fn whole_paths_come_before_beginnings_and_long_ones_before_short_ones() {
        let text = "t_s,method,path,route\n0,GET,/a/b,/a/*\n0,GET,/x,/*\n0,GET,/a,/a\n0,GET,/a/c/d,/a/c/*\n";
        let routes = Trace::parse(text).unwrap().routes();
        assert_eq!(routes, ["/a", "/a/c/*", "/a/*", "/*"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_row() {
        for (text, expected) in [
            ("method,path\n", "there is no column t_s"),
            ("t_s,method,path\n", "there is no request in it"),
            ("t_s,method,path\n-1,GET,/\n", "row 1: t_s is \"-1\""),
            ("t_s,method,path\n1,GET,/\n1,GE T,/\n", "row 2: method is"),
            ("t_s,method,path\n1,GET,a\n", "row 1: path is \"a\""),
            ("t_s,method,path,status\n1,GET,/,99\n", "row 1: status is"),
            ("t_s,method,path,route\n1,GET,/a,/b\n", "row 1: route is"),
        ] {
            let error = Trace::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
