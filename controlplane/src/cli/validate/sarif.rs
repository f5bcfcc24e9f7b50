//! Findings as SARIF, the format that editors and code hosts annotate files by.
//!
//! Static Analysis Results Interchange Format 2.1.0
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>); paragraphs
//! below are of that document. Of it only what viewers show: a message, how bad
//! it is, the file with line and column, and the field.

use serde::Serialize;

use crate::documents::{Loaded, Remark};

/// The schema that the log follows.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A log of one run (3.13).
#[derive(Debug, Serialize)]
pub(super) struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    /// Columns count characters (3.14.17).
    column_kind: &'static str,
    results: Vec<Found<'a>>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: [Rule; 2],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text<'static>,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    text: &'a str,
}

/// One result (3.27).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text<'a>,
    locations: [Location<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: Physical,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical<'a> {
    fully_qualified_name: &'a str,
}

const RULES: [(&str, &str, &str); 2] = [
    ("invalid", "error", "Nothing of the file takes effect."),
    ("note", "note", "Accepted, and worth knowing."),
];

/// What was found in `loaded`.
pub(super) fn log(loaded: &Loaded) -> Log<'_> {
    let problems = loaded.problems.iter().map(|remark| found(0, remark));
    let notes = loaded.notes.iter().map(|remark| found(1, remark));
    Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "sloop",
                    version: env!("CARGO_PKG_VERSION"),
                    rules: RULES.map(|(id, _, text)| Rule {
                        id,
                        short_description: Text { text },
                    }),
                },
            },
            column_kind: "unicodeCodePoints",
            results: problems.chain(notes).collect(),
        }],
    }
}

fn found(rule_index: usize, remark: &Remark) -> Found<'_> {
    let (rule_id, level, _) = RULES.get(rule_index).copied().unwrap_or_default();
    let fields = (!remark.path.is_empty()).then_some(Logical {
        fully_qualified_name: &remark.path,
    });
    Found {
        rule_id,
        rule_index,
        level,
        message: Text {
            text: &remark.message,
        },
        locations: [Location {
            physical_location: Physical {
                artifact_location: Artifact {
                    uri: uri(&remark.file),
                },
                // Lines begin with 1 (3.30.5); what is about the whole file has none.
                region: (remark.line != 0).then_some(Region {
                    start_line: remark.line,
                    start_column: remark.column.max(1),
                }),
            },
            logical_locations: fields.into_iter().collect(),
        }],
    }
}

/// A path as a URI reference (RFC 3986, 4.1): relative ones stay relative, so that viewers find them.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn remark(file: &str, line: u32) -> Remark {
        Remark {
            file: file.to_owned(),
            line,
            column: line,
            document: 1,
            path: "spec.target".to_owned(),
            message: "is wrong".to_owned(),
        }
    }

    #[test]
    fn a_finding_has_its_place_and_level() {
        let loaded = Loaded {
            problems: vec![remark("slos/a b.yaml", 7)],
            notes: vec![Remark {
                path: String::new(),
                ..remark("<stdin>", 0)
            }],
            ..Loaded::default()
        };
        let log = serde_json::to_value(log(&loaded)).unwrap();
        let results = &log["runs"][0]["results"];
        assert_eq!(
            results[0],
            json!({
                "ruleId": "invalid", "ruleIndex": 0, "level": "error", "message": {"text": "is wrong"},
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {"uri": "slos/a%20b.yaml"},
                        "region": {"startLine": 7, "startColumn": 7},
                    },
                    "logicalLocations": [{"fullyQualifiedName": "spec.target"}],
                }],
            })
        );
        assert_eq!(results[1]["level"], "note");
        assert_eq!(
            results[1]["locations"],
            json!([{"physicalLocation": {"artifactLocation": {"uri": "%3Cstdin%3E"}}}]),
            "of the whole file"
        );
    }
}
