//! The rules of ARCHITECTURE.md that a program can check.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that know nothing of clocks, networks, files and threads.
const PURE: [&str; 5] = [
    "sloop-model",
    "sloop-page",
    "sloop-dataplane",
    "sloop-controllers",
    "sloop-xds",
];

/// Crates that do I/O, keep time or draw random numbers.
const IMPURE: [&str; 15] = [
    "axum",
    "chrono",
    "envoy-types",
    "getrandom",
    "hyper",
    "jiff",
    "mio",
    "proxy-wasm",
    "rand",
    "redb",
    "rustix",
    "socket2",
    "tokio",
    "tonic",
    "tracing",
];

/// Which of our crates each may depend on, beside itself.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("sloop-model", &[]),
    ("sloop-page", &[]),
    ("sloop-xds-protos", &[]),
    ("sloop-dataplane", &["sloop-model"]),
    ("sloop-controllers", &["sloop-model"]),
    ("sloop-xds", &["sloop-model", "sloop-xds-protos"]),
    ("sloop-filter", &["sloop-dataplane", "sloop-model"]),
    ("sloop-bench", &["sloop-model", "sloop-xds"]),
    (
        "sloop-sim",
        &[
            "sloop-controllers",
            "sloop-dataplane",
            "sloop-model",
            "sloop-page",
        ],
    ),
    ("sloop-fixture-naive", &[]),
];

/// Lines of a file without its tests.
const LINES_MAX: usize = 400;

/// The only folder that may hold `unsafe`.
const UNSAFE: &str = "filter/src/host";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The names of everything that `package` is built from.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--prefix=none", "--edges=normal", "--package"])
        .arg(package)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Every `.rs` file of the workspace, relative to its root.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = members();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The folders of all crates.
fn members() -> Vec<PathBuf> {
    let manifest = read(Path::new("Cargo.toml"));
    let members = manifest.split_once("members = [").unwrap().1;
    let members = members.split_once(']').unwrap().0;
    let folders: Vec<_> = members
        .split('"')
        .skip(1)
        .step_by(2)
        .flat_map(member_folders)
        .collect();
    assert!(5 < folders.len(), "found only {folders:?}");
    folders
}

/// The folders that an entry of `members` stands for.
fn member_folders(member: &str) -> Vec<PathBuf> {
    match member.strip_suffix("/*") {
        None => vec![root().join(member)],
        Some(parent) => fs::read_dir(root().join(parent))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("Cargo.toml").exists())
            .collect(),
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_core_depends_on_nothing_that_does_io() {
    for package in PURE {
        for name in dependencies(package) {
            assert!(
                !IMPURE.contains(&name.as_str()),
                "{package} must not depend on {name}"
            );
        }
    }
}

#[test]
fn our_crates_depend_on_each_other_as_the_code_map_says() {
    for (package, may_use) in MAY_USE {
        for name in dependencies(package) {
            let is_ours = name.starts_with("sloop-") && name != package;
            assert!(
                !is_ours || may_use.contains(&name.as_str()),
                "{package} must not depend on {name}"
            );
        }
    }
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    for folder in members() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            folder.display()
        );
    }
}

#[test]
fn paths_in_the_architecture_exist() {
    let text = read(Path::new("ARCHITECTURE.md"));
    let paths = paths_in(&text);
    for path in &paths {
        assert!(root().join(path).exists(), "there is no {path}");
    }
    assert!(paths.contains(&"controlplane/src/documents/"), "{paths:?}");
}

#[test]
fn every_step_of_the_reading_list_names_a_file() {
    let text = read(Path::new("ARCHITECTURE.md"));
    let steps = section(&text, "## Where to begin reading");
    let steps: Vec<_> = steps.lines().filter(|line| !line.is_empty()).collect();
    assert!(!steps.is_empty(), "there is no list");
    for step in steps {
        let files = paths_in(step);
        assert!(!files.is_empty(), "no file in: {step}");
        for file in files {
            assert!(root().join(file).is_file(), "{file} is no file");
        }
    }
}

#[test]
fn every_row_of_the_code_map_is_a_folder_and_every_crate_has_one() {
    let text = read(Path::new("ARCHITECTURE.md"));
    let map = section(&text, "## Code map");
    let (map, _) = map.split_once("| a change of |").unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<_> = rows
        .map(|row| root().join(row.split('`').next().unwrap()))
        .collect();
    for folder in rows.iter().cloned().chain(members()) {
        let name = folder.display();
        assert!(folder.is_dir(), "there is no {name}");
        assert!(rows.contains(&folder), "{name} is not in the code map");
    }
}

/// What stands below a heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(heading).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// Everything in backquotes that is a path.
fn paths_in(text: &str) -> Vec<&str> {
    let is_path = |quoted: &&str| {
        let is_file = [".rs", ".toml", ".md", ".proto"]
            .iter()
            .any(|end| quoted.ends_with(end));
        // Patterns and commands are no paths.
        (quoted.contains('/') || is_file) && !quoted.contains(['<', '*', ' ', ':'])
    };
    text.split('`').skip(1).step_by(2).filter(is_path).collect()
}

#[test]
fn files_are_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| (lines_without_tests(&read(&path)), path))
        .filter(|(lines, _)| LINES_MAX < *lines)
        .collect();
    assert!(
        long.is_empty(),
        "split by subject, at most {LINES_MAX} lines without tests: {long:#?}"
    );
}

/// Whether a file holds nothing but tests.
fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap();
    name == "tests" || path.components().any(|part| part.as_os_str() == "tests")
}

/// Lines before the module with the tests; one in a file of its own ends nothing.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let is_tests = |pair: &[&str]| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    let tests = lines.windows(2).position(is_tests);
    tests.unwrap_or(lines.len())
}

#[test]
fn only_a_module_of_tests_ends_the_count() {
    let early = "#[cfg(test)]\nuse a::B;\n#[cfg(test)]\nmod tests;\nfn c() {}\n";
    assert_eq!(lines_without_tests(early), 5);
    let with_tests = format!("{early}#[cfg(test)]\nmod more {{\n}}\n");
    assert_eq!(lines_without_tests(&with_tests), 5);
}

#[test]
fn unsafe_is_in_one_folder() {
    for path in sources() {
        let is_allowed = path.starts_with(UNSAFE) || path.ends_with("tests/layout.rs");
        let text = read(&path);
        let mut code = text.lines().map(|line| line.split("//").next().unwrap());
        let words = code.any(|line| line.split_whitespace().any(|word| word == "unsafe"));
        assert!(is_allowed || !words, "{} holds unsafe", path.display());
    }
}
