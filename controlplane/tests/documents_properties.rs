//! Whatever a file says, reading it ends with an answer: no panic, no hang, and
//! nothing in force of a file with a problem.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use sloop_controlplane::documents::{Loaded, read_texts, tree};
use sloop_model::WallTime;

/// 2026-01-01.
const NOW: WallTime = WallTime::from_millis(1_767_225_600_000);

/// The page that teaches people; its examples are the seeds of mutation.
const README: &str = include_str!("../README.md");

fn examples() -> Vec<&'static str> {
    let blocks = README.split("```yaml\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .collect()
}

/// Reads `text` and checks what must hold for any text.
fn read(text: &str) -> Loaded {
    let loaded = read_texts(&[("a.yaml".to_owned(), text.to_owned())], NOW);
    if !loaded.problems.is_empty() {
        assert!(
            loaded.intents.is_empty() && loaded.route_sets.is_empty(),
            "{text:?}"
        );
    }
    for remark in loaded.problems.iter().chain(&loaded.notes) {
        let line = remark.to_string();
        assert!(!line.contains('\n'), "{line:?}");
        assert!(1 <= remark.line && 1 <= remark.column, "{line}");
    }
    loaded
}

/// Pieces that documents are made of, and some that break them.
const PIECES: &[&str] = &[
    "apiVersion: openslo/v1\n",
    "kind: SLO\n",
    "metadata:\n",
    "  name: a\n",
    "spec:\n",
    "---\n",
    "- ",
    "  ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "? ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "#",
    "null",
    "~",
    "1",
    "-1",
    "1e999",
    ".nan",
    "\u{feff}",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\\u",
    "%TAG ! x\n",
    "...\n",
    "@",
    "`",
    "\u{1f600}",
    "sloop.dev/mode",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_pile_of_pieces_is_survived(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)
    ) {
        read(&pieces.concat());
    }

    #[test]
    fn any_json_is_survived(text in "[\\[\\]{}\",:0-9a-z\\\\ \t\nu]{0,60}") {
        let _ = tree::parse(&text);
        read(&format!("[{text}"));
    }

    #[test]
    fn examples_with_one_piece_changed_are_survived(
        example in 0..examples().len(),
        at in any::<proptest::sample::Index>(),
        length in 0..20_usize,
        piece in proptest::sample::select(PIECES),
    ) {
        let mut letters: Vec<char> = examples()[example].chars().collect();
        let at = at.index(letters.len());
        let end = (at + length).min(letters.len());
        letters.splice(at..end, piece.chars());
        read(&letters.into_iter().collect::<String>());
    }

    #[test]
    fn examples_with_values_of_another_kind_are_survived(
        example in 0..examples().len(),
        line in any::<proptest::sample::Index>(),
        value in proptest::sample::select(vec![
            "", "~", "true", "-1", "1e300", "99999999999999999999", "''", "'*'", "[]", "{}", "[[]]",
            "{a: b}", "\"\\n\"", "0", "0.0", ".inf", "1m", "0d", "4294967295Y", "9999-12-31 23:59:59",
        ]),
    ) {
        let lines: Vec<&str> = examples()[example].lines().collect();
        let line = line.index(lines.len());
        let changed: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(index, text)| match text.split_once(": ") {
                Some((key, _)) if index == line => format!("{key}: {value}"),
                _ => (*text).to_owned(),
            })
            .collect();
        read(&changed.join("\n"));
    }

    #[test]
    fn examples_that_end_early_are_survived(
        example in 0..examples().len(),
        at in any::<proptest::sample::Index>(),
    ) {
        let letters: Vec<char> = examples()[example].chars().collect();
        let at = at.index(letters.len());
        read(&letters[..at].iter().collect::<String>());
    }
}

#[test]
fn every_example_of_the_page_is_valid() {
    let examples = examples();
    assert!(!examples.is_empty());
    for example in examples {
        let loaded = read(example);
        assert_eq!(loaded.problems, [], "{example}");
        assert_eq!(loaded.notes, [], "{example}");
        let fleet = loaded.fleet.unwrap();
        let says = loaded.intents.len() + fleet.len() + loaded.access_rules.len();
        assert!(0 < says, "{example}");
    }
}
