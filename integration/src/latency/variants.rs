//! What is compared with what.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sloop_bench::variants::{LUA, NATIVE, NATIVE_REFUSED, SLOOP, SLOOP_PLAIN, SLOOP_REFUSED};
use sloop_model::FilterConfig;

use super::config::Service;
use super::features::{self, Feature};
use super::filters::{Wasm, as_list};

/// What everything is compared with: no filter but the router.
pub const BASELINE: &str = "none";
/// The same again: what it differs by is the error of the measurement.
pub const AGAIN: &str = "none2";
/// What Sloop's share is a share of.
pub const NAIVE: &str = "naive";
/// What no Wasm filter gets below.
pub(super) const RAW: &str = "raw";
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
    /// Envoy's own tracer; `None` where it is off.
    pub tracer: Option<Tracer>,
    /// Whether it reports every request.
    pub reports: bool,
    /// The VM that it runs in, which those of the same module share; `None` for native filters.
    pub vm: Option<String>,
}

/// How much there is for Envoy's OpenTelemetry tracer to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracer {
    /// It carries traces on that are not sampled.
    Unsampled,
    /// Of a hundred requests one comes with a trace that is sampled, and has a span made of it.
    OneIn100,
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
    /// The smallest filter there can be, from [`super::write_raw`].
    pub raw: PathBuf,
}

impl Variant {
    fn new(name: &str, about: &str, filters: String) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            filters,
            status: 200,
            trace: Trace::Kept,
            tracer: None,
            reports: false,
            vm: None,
        }
    }

    fn carrying_on(self) -> Self {
        Self {
            trace: Trace::CarriedOn,
            ..self
        }
    }

    fn tracing(self, tracer: Tracer) -> Self {
        Self {
            trace: Trace::CarriedOn,
            tracer: Some(tracer),
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

    /// The same, when this is who answers: what goes on to a service cannot be seen where there is none.
    pub(super) fn answered_by(self, service: Service) -> Self {
        match service {
            Service::Proxied => self,
            Service::Direct => Self {
                trace: Trace::Unknown,
                ..self
            },
        }
    }

    /// Somebody else's: `name=file.wasm`, or `name=file.wasm,file` with a configuration, or `name=file` with an
    /// Envoy HTTP filter or a list of them in YAML or JSON.
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
        let (file, configuration) = match file.split_once(',') {
            Some((file, configuration)) => (file, read(configuration)?),
            None => (file, String::new()),
        };
        let (filters, is_wasm) = if file.ends_with(".wasm") {
            let module = Path::new(file).canonicalize();
            let module = module.with_context(|| format!("cannot read {file}"))?;
            let filter = Wasm {
                name,
                root_id: "",
                vm_id: name,
                module: &module,
                configuration: &configuration,
            };
            (filter.list(), true)
        } else {
            let list = as_list(&read(file)?).with_context(|| format!("{file} is empty"))?;
            let is_wasm = list.contains("filters.http.wasm");
            (list, is_wasm)
        };
        Ok(Self {
            trace: Trace::Unknown,
            vm: is_wasm.then(|| name.to_owned()),
            ..Self::new(name, file, filters)
        })
    }

    /// A configuration of the module `naive`, all of which share a VM.
    fn of_naive(name: &str, about: &str, modules: &Modules) -> Self {
        let filter = Wasm {
            name,
            root_id: "",
            vm_id: NAIVE,
            module: &modules.naive,
            configuration: name,
        };
        Self {
            vm: Some(NAIVE.to_owned()),
            ..Self::new(name, about, filter.list())
        }
    }

    /// Sloop with a configuration. It has one for each direction and VM, so each variant has a VM.
    pub(super) fn of_sloop(name: &str, about: &str, module: &Path, configuration: &str) -> Self {
        let filter = Wasm {
            name,
            root_id: "sloop-inbound",
            vm_id: name,
            module,
            configuration,
        };
        Self {
            trace: Trace::CarriedOn,
            vm: Some(name.to_owned()),
            ..Self::new(name, about, filter.list())
        }
    }
}

/// Another build of ours: `name=file.wasm,file` with a configuration that this build may know nothing of.
///
/// # Errors
///
/// When it is no such thing, or a file cannot be read.
pub fn another(text: &str, report_ms: u32) -> anyhow::Result<Variant> {
    let (name, module, config) = text
        .split_once('=')
        .and_then(|(name, files)| Some((name, files.split_once(',')?)))
        .map(|(name, (module, config))| (name, module, config))
        .with_context(|| format!("{text:?} is no build; write name=filter.wasm,config.json"))?;
    // Its rules are its own; how often it reports is a rule of the measurement.
    let mut config: serde_json::Value = serde_json::from_str(&read(config)?)
        .with_context(|| format!("{config} is no configuration"))?;
    let report = config.get_mut("report").and_then(|it| it.as_object_mut());
    let reports = report.is_some();
    if let Some(report) = report {
        report.insert("interval_ms".to_owned(), report_ms.into());
    }
    let module = Path::new(module).canonicalize();
    let module = module.with_context(|| format!("{name} cannot be read"))?;
    Ok(Variant {
        reports,
        ..Variant::of_sloop(name, "another build of ours", &module, &config.to_string())
    })
}

/// Everything of ours, in the order of the table. Sloop reports each `report_ms`.
///
/// # Errors
///
/// When Sloop does not read its configurations.
pub fn all(modules: &Modules, report_ms: u32) -> anyhow::Result<Vec<Variant>> {
    let sloop = |name, about, text: &str| of_ours(name, about, text, modules, report_ms);
    let smallest = Wasm {
        name: RAW,
        root_id: "",
        vm_id: RAW,
        module: &modules.raw,
        configuration: "",
    };
    let raw = Variant {
        vm: Some(RAW.to_owned()),
        ..Variant::new(RAW, "smallest filter there can be", smallest.list())
    };
    let empty = Variant::of_naive("empty", "empty filter of the Rust SDK", modules);
    let naive = Variant::of_naive(NAIVE, "trace, 3 properties, histogram, counter", modules);
    let lua = Variant::new("lua", "the job of naive in Lua", LUA.to_owned());
    let native = "fault 0 %, admission control, rate limit";
    let native_refused = Variant::new(
        "native_refused",
        "fault 100 %: answers itself",
        NATIVE_REFUSED.to_owned(),
    );
    let mut all = baselines();
    all.extend([
        raw,
        empty,
        naive.carrying_on(),
        lua.carrying_on(),
        Variant::new("native3", native, NATIVE.to_owned()),
        native_refused.refusing(),
        Variant::new("otel", "Envoy's tracer, unsampled", String::new()).tracing(Tracer::Unsampled),
        Variant::new("otel_1", "Envoy's tracer at 1 %", String::new()).tracing(Tracer::OneIn100),
        sloop(SLOOP_ALL, "everything on", SLOOP)?,
        sloop("sloop_plain", "trace and counts", SLOOP_PLAIN)?,
        sloop("sloop_refused", "answers itself", SLOOP_REFUSED)?.refusing(),
    ]);
    Ok(all)
}

/// Sloop with the configuration `text`.
fn of_ours(
    name: &str,
    about: &str,
    text: &str,
    modules: &Modules,
    report_ms: u32,
) -> anyhow::Result<Variant> {
    let mut config = FilterConfig::parse(text.as_bytes())
        .with_context(|| format!("the configuration of {name}"))?;
    if let Some(report) = &mut config.report {
        report.interval_ms = report_ms;
    }
    let text = serde_json::to_string(&config)?;
    Ok(Variant {
        reports: config.report.is_some(),
        ..Variant::of_sloop(name, about, &modules.sloop, &text)
    })
}

/// Sloop with one feature at a time, and with all of them in shadow.
///
/// # Errors
///
/// When Sloop does not read such a configuration.
pub fn apart(modules: &Modules, report_ms: u32) -> anyhow::Result<Vec<Variant>> {
    let features = features::all()?.into_iter();
    let variant = |one: Feature| of_ours(one.name, one.about, &one.config, modules, report_ms);
    features.map(variant).collect()
}

/// What everything is compared with, twice.
pub(super) fn baselines() -> Vec<Variant> {
    vec![
        Variant::new(BASELINE, "no filter", String::new()),
        Variant::new(AGAIN, "A/A: no filter again", String::new()),
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

fn read(file: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<Variant> {
        let modules = Modules {
            sloop: "/m/sloop_filter.wasm".into(),
            naive: "/m/naive.wasm".into(),
            raw: "/m/raw.wasm".into(),
        };
        all(&modules, 500).unwrap()
    }

    fn names(variants: &[Variant]) -> Vec<&str> {
        variants.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn sloop_has_everything_on() {
        let config = FilterConfig::parse(SLOOP.as_bytes()).unwrap();
        let pay = config.scopes.iter().find(|it| it.route.as_str() == "pay");
        let pay = pay.unwrap();
        assert!(!pay.objectives.is_empty() && pay.breaker.is_some() && pay.shed.is_some());
        assert!(!pay.faults.is_empty() && !config.deny.is_empty());
        assert!(config.report.is_some() && config.spans.is_some());
        assert!(config.dimensions.is_some() && config.stats.enabled);
        // The module that sidecars load does not touch answers.
        for text in [SLOOP, SLOOP_PLAIN, SLOOP_REFUSED] {
            let config = FilterConfig::parse(text.as_bytes()).unwrap();
            assert_eq!(config.asks_for_answers(), None);
        }
    }

    #[test]
    fn sloop_reports_as_often_as_is_asked() {
        let ours = ours();
        let sloop = ours.iter().find(|one| one.name == SLOOP_ALL).unwrap();
        assert!(
            sloop.filters.contains(r#"\"interval_ms\":500"#),
            "{}",
            sloop.filters
        );
    }

    #[test]
    fn what_is_one_module_with_one_state_shares_a_vm() {
        let vms: Vec<_> = ours().into_iter().filter_map(|one| one.vm).collect();
        assert_eq!(
            vms,
            [RAW, NAIVE, NAIVE, SLOOP_ALL, "sloop_plain", "sloop_refused"]
        );
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
        assert_eq!(variant.vm, Some("mine".to_owned()));
        let config = folder.path().join("config.json");
        std::fs::write(&config, "known").unwrap();
        let both = format!("mine={},{}", module.display(), config.display());
        let variant = Variant::parse(&both).unwrap();
        assert!(variant.filters.contains(r#""value":"known""#));
        let native = folder.path().join("native.yaml");
        std::fs::write(&native, LUA).unwrap();
        let variant = Variant::parse(&format!("mine={}", native.display())).unwrap();
        assert_eq!(
            (variant.filters.as_str(), variant.vm),
            (as_list(LUA).unwrap().as_str(), None)
        );
    }
}
