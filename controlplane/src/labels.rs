//! Labels of documents, as Prometheus and Alertmanager can have them.

use std::collections::BTreeMap;

/// The labels with names that Prometheus takes (`[a-zA-Z_][a-zA-Z0-9_]*`): each other letter becomes a `_`. Of two that come to
/// the same name the first by its key stays, so a name is there once.
pub(crate) fn sanitized(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in labels {
        all.entry(name(key)).or_insert_with(|| value.clone());
    }
    all
}

fn name(key: &str) -> String {
    let begins_with_digit = key.starts_with(|first: char| first.is_ascii_digit());
    let prefix = if begins_with_digit { "_" } else { "" };
    let letters = key.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    });
    prefix.chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_prometheus_takes_and_each_is_there_once() {
        let given = [
            ("a.b", "1"),
            ("a-b", "2"),
            ("team", "x"),
            ("2nd", "y"),
            ("T_9", ""),
        ];
        let labels = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let found = sanitized(&BTreeMap::from(labels));
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let expected = [("T_9", ""), ("_2nd", "y"), ("a_b", "2"), ("team", "x")];
        assert_eq!(found, expected);
    }
}
