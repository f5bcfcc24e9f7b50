use clap::Parser;

use super::*;

const NOW: WallTime = WallTime::from_millis(1_768_435_200_000);

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ValidateArgs,
}

/// What `sloop validate` prints and how it ends.
fn validate(line: &[&str]) -> (String, ExitCode) {
    let line = Line::try_parse_from(["validate"].iter().chain(line)).unwrap();
    let mut out = Vec::new();
    let code = run(&line.args, NOW, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), code)
}

fn folder(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    (folder, file)
}

const GOOD: &str = "{apiVersion: openslo/v1, kind: Service, metadata: {name: a}}";

#[test]
fn valid_documents_end_with_0() {
    let (_folder, file) = folder(GOOD);
    let (out, code) = validate(&["-f", &file]);
    assert_eq!(out, "valid: 1 document in 1 file\n");
    assert_eq!(code, ExitCode::SUCCESS);
    assert_eq!(validate(&["-f", &file, "-o", "json"]).0, "[]\n");
}

#[test]
fn problems_end_with_1_and_name_their_place() {
    let (folder, file) = folder(&GOOD.replace("name: a", "name: A"));
    let (out, code) = validate(&["-f", &folder.path().display().to_string()]);
    let first = format!("{file}:1:58: metadata.name: is \"A\"; ");
    assert!(out.starts_with(&first), "{out}");
    assert!(
        out.ends_with("invalid: 1 problem in 1 of 1 file\n"),
        "{out}"
    );
    assert_eq!(code, ExitCode::from(1));
    let (out, code) = validate(&["-f", &file, "-o", "json"]);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found[0]["severity"], "error");
    assert_eq!(found[0]["line"], 1);
    assert_eq!(found[0]["document"], 1);
    assert_eq!(found[0]["path"], "metadata.name");
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn nothing_to_check_ends_with_2() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().display().to_string();
    assert_eq!(validate(&["-f", &path]).1, ExitCode::from(2));
    assert_eq!(
        validate(&["-f", &format!("{path}/none")]).1,
        ExitCode::from(2)
    );
}

#[test]
fn editors_and_code_hosts_get_the_same_findings() {
    let (_folder, file) = folder(&GOOD.replace("name: a", "name: A"));
    let (out, code) = validate(&["-f", &file, "-o", "sarif"]);
    let log: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&place["startLine"], &place["startColumn"]),
        (&1.into(), &58.into())
    );
    assert_eq!(code, ExitCode::from(1));
    let (_folder, file) = folder(GOOD);
    let (out, code) = validate(&["-f", &file, "-o", "sarif"]);
    let log: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
    assert_eq!(code, ExitCode::SUCCESS);
}
