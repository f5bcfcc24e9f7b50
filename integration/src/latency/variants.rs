//! What is compared with what.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;
use sloop_bench::variants::{LUA, NATIVE, SLOOP, SLOOP_PLAIN, SLOOP_REFUSED};

/// What everything is compared with: no filter but the router.
pub const BASELINE: &str = "none";
/// The same again: what it differs by is the error of the measurement.
pub const AGAIN: &str = "none2";
/// What Sloop's share is a share of.
pub const NAIVE: &str = "naive";
/// Sloop with everything on.
pub const SLOOP_ALL: &str = "sloop";

/// One thing to measure: the HTTP filters of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// What it is called: the listener, its statistics and the row of the table.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// Its filters before the router, as a list in YAML; empty for none.
    pub filters: String,
    /// The status that its requests are answered with.
    pub status: u16,
    /// What it does to the trace of a request.
    pub trace: Trace,
}

/// What a variant does to `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Leaves it as it is.
    Kept,
    /// Carries the trace on with another span.
    CarriedOn,
    /// Nobody knows: it is somebody else's, or no request gets through.
    Unknown,
}

/// The modules that are measured.
#[derive(Clone, Debug)]
pub struct Modules {
    /// Sloop's filter.
    pub sloop: PathBuf,
    /// `bench/fixtures/naive`.
    pub naive: PathBuf,
}

impl Variant {
    fn new(name: &str, about: &str, filters: String) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            filters,
            status: 200,
            trace: Trace::Kept,
        }
    }

    fn carrying_on(self) -> Self {
        Self {
            trace: Trace::CarriedOn,
            ..self
        }
    }

    fn refusing(self) -> Self {
        Self {
            status: 503,
            trace: Trace::Unknown,
            ..self
        }
    }

    /// Somebody else's: `name=file.wasm`, or a file with an Envoy HTTP filter or a list of them in YAML or JSON.
    ///
    /// # Errors
    ///
    /// When it is no such thing, or the file cannot be read.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((name, file)) = text.split_once('=') else {
            bail!("{text:?} is no variant; write name=filter.wasm or name=filters.yaml");
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !(1..=32).contains(&name.len()) || !name.bytes().all(is_name) {
            bail!("{name:?} is no name; use 1 to 32 letters, digits, - and _");
        }
        let path = Path::new(file)
            .canonicalize()
            .with_context(|| format!("cannot read {file}"))?;
        let filters = if path.extension().is_some_and(|end| end == "wasm") {
            wasm(name, "", &path, "")
        } else {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
            as_list(&text).with_context(|| format!("{file} is empty"))?
        };
        Ok(Self {
            trace: Trace::Unknown,
            ..Self::new(name, file, filters)
        })
    }
}

/// Everything of ours, in the order of the table.
#[must_use]
pub fn all(modules: &Modules) -> Vec<Variant> {
    let naive = |name| wasm(name, "", &modules.naive, name);
    let sloop = |name, config| wasm(name, "sloop-inbound", &modules.sloop, config);
    vec![
        Variant::new(BASELINE, "no filter", String::new()),
        Variant::new(AGAIN, "A/A: no filter again", String::new()),
        Variant::new("empty", "empty filter of the Rust SDK", naive("empty")),
        Variant::new(
            NAIVE,
            "trace, 3 properties, histogram, counter",
            naive(NAIVE),
        )
        .carrying_on(),
        Variant::new("lua", "the job of naive in Lua", LUA.to_owned()).carrying_on(),
        Variant::new(
            "native3",
            "fault 0 %, admission control, rate limit",
            NATIVE.to_owned(),
        ),
        Variant::new(SLOOP_ALL, "everything on", sloop(SLOOP_ALL, SLOOP)).carrying_on(),
        Variant::new(
            "sloop_plain",
            "trace and counts",
            sloop("sloop_plain", SLOOP_PLAIN),
        )
        .carrying_on(),
        Variant::new(
            "sloop_refused",
            "answers itself",
            sloop("sloop_refused", SLOOP_REFUSED),
        )
        .refusing(),
    ]
}

/// `ours` without what nobody asked for, and `theirs`. The baseline and its double always stay.
///
/// # Errors
///
/// When `only` or `theirs` have names that there are not, or are twice.
pub fn choose(
    ours: Vec<Variant>,
    only: &[String],
    theirs: Vec<Variant>,
) -> anyhow::Result<Vec<Variant>> {
    let names: Vec<&str> = ours.iter().map(|one| one.name.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!(
            "there is no variant {unknown:?}; there are {}",
            names.join(", ")
        );
    }
    let is_wanted = |one: &Variant| {
        only.is_empty() || one.name == BASELINE || one.name == AGAIN || only.contains(&one.name)
    };
    let mut chosen: Vec<Variant> = ours.iter().filter(|one| is_wanted(one)).cloned().collect();
    for one in theirs {
        if chosen
            .iter()
            .chain(&ours)
            .any(|other| other.name == one.name)
        {
            bail!(
                "there is a variant {:?} already; call it something else",
                one.name
            );
        }
        chosen.push(one);
    }
    Ok(chosen)
}

/// A list with one Wasm filter. The name is the id of its VM too, so that each variant has one of its own,
/// but for two of the same module: they share the VM of the module.
fn wasm(name: &str, root_id: &str, module: &Path, configuration: &str) -> String {
    let vm = module.file_stem().unwrap_or_default().to_string_lossy();
    let vm_id = if root_id.is_empty() {
        vm.into_owned()
    } else {
        name.to_owned()
    };
    let filter = json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": root_id,
                "failure_policy": "FAIL_CLOSED",
                "vm_config": {
                    "vm_id": vm_id,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration,
                },
            },
        },
    });
    format!("- {filter}\n")
}

/// A list of filters in YAML, from a list or from one filter. `None` when there is nothing in it.
fn as_list(text: &str) -> Option<String> {
    let is_content = |line: &&str| {
        let line = line.trim();
        !(line.is_empty() || line.starts_with('#') || line == "---")
    };
    let lines: Vec<&str> = text.lines().skip_while(|line| !is_content(line)).collect();
    let first = *lines.first()?;
    let is_list = first.trim_start().starts_with("- ");
    let mut list = String::new();
    for (index, line) in lines.into_iter().enumerate() {
        match (is_list, index) {
            (true, _) => {}
            (false, 0) => list.push_str("- "),
            (false, _) => list.push_str("  "),
        }
        list.push_str(line);
        list.push('\n');
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use sloop_model::FilterConfig;

    use super::*;

    fn ours() -> Vec<Variant> {
        all(&Modules {
            sloop: "/m/sloop_filter.wasm".into(),
            naive: "/m/naive.wasm".into(),
        })
    }

    fn names(variants: &[Variant]) -> Vec<&str> {
        variants.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn the_configurations_of_sloop_are_read_by_sloop() {
        for text in [SLOOP, SLOOP_PLAIN, SLOOP_REFUSED] {
            FilterConfig::parse(text.as_bytes()).unwrap();
        }
        let all = FilterConfig::parse(SLOOP.as_bytes()).unwrap();
        let pay = all.scopes.iter().find(|it| it.route.as_str() == "pay");
        let pay = pay.unwrap();
        assert!(!pay.objectives.is_empty() && pay.breaker.is_some() && !pay.faults.is_empty());
        assert!(all.report.is_some());
    }

    #[test]
    fn the_baseline_and_its_double_are_always_there() {
        let chosen = choose(ours(), &["sloop".into()], vec![]).unwrap();
        assert_eq!(names(&chosen), [BASELINE, AGAIN, "sloop"]);
        assert_eq!(choose(ours(), &[], vec![]).unwrap().len(), ours().len());
    }

    #[test]
    fn an_unknown_name_is_an_error_that_says_which_there_are() {
        let error = choose(ours(), &["slop".into()], vec![]).unwrap_err();
        assert!(error.to_string().contains("sloop_plain"), "{error}");
    }

    #[test]
    fn somebody_elses_variant_is_added_and_has_a_name_of_its_own() {
        let other = |name: &str| Variant::new(name, "", String::new());
        let chosen = choose(ours(), &["naive".into()], vec![other("mine")]).unwrap();
        assert_eq!(names(&chosen), [BASELINE, AGAIN, "naive", "mine"]);
        assert!(choose(ours(), &[], vec![other("sloop")]).is_err());
        assert!(choose(ours(), &[], vec![other("a"), other("a")]).is_err());
    }

    #[test]
    fn a_variant_is_a_name_and_a_file() {
        for bad in ["mine", "=a.wasm", "a b=c.wasm", "mine=/nonexistent.wasm"] {
            assert!(Variant::parse(bad).is_err(), "{bad}");
        }
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("mine.wasm");
        std::fs::write(&module, b"\0asm").unwrap();
        let variant = Variant::parse(&format!("mine={}", module.display())).unwrap();
        assert!(variant.filters.contains("envoy.wasm.runtime.v8"));
    }

    #[test]
    fn one_filter_and_a_list_of_them_are_both_lists() {
        let one = as_list("# mine\n---\nname: a\ntyped_config:\n  x: 1\n").unwrap();
        assert_eq!(one, "- name: a\n  typed_config:\n    x: 1\n");
        let list = "- name: a\n- name: b\n";
        assert_eq!(as_list(list).unwrap(), list);
        assert_eq!(as_list("# nothing\n\n"), None);
    }
}
