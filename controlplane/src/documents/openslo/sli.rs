//! What an SLI measures, and by which source.

use super::super::reader::{At, Fields, Sink, Spot};
use super::super::tree::{Node, Value};
use super::super::{metadata, source};
use super::{DESCRIPTION, check_description};

/// An indicator: of its own document or inside an SLO.
#[derive(Clone, Debug)]
pub(in crate::documents) struct Sli {
    pub(in crate::documents) spot: Spot,
    pub(in crate::documents) metric: Metric,
}

/// How it measures.
#[derive(Clone, Debug)]
pub(in crate::documents) enum Metric {
    /// A value that an objective compares with a threshold.
    Threshold(Box<Source>),
    /// Good or bad events among all.
    Ratio {
        total: Box<Source>,
        good: Option<Box<Source>>,
        bad: Option<Box<Source>>,
    },
    /// A ratio that somebody else has worked out.
    Raw(Box<Source>),
}

/// Where values come from. What `spec` means depends on the type, which may stand in another file.
#[derive(Clone, Debug)]
pub(in crate::documents) struct Source {
    pub(in crate::documents) spot: Spot,
    /// The name of a `DataSource`.
    pub(in crate::documents) reference: Option<String>,
    /// As written, perhaps empty.
    pub(in crate::documents) kind: String,
    spec: Node,
    spec_spot: Spot,
}

impl Source {
    /// Where `spec` is, to read it.
    pub(in crate::documents) fn spec<'a>(&'a self, sink: &'a Sink) -> At<'a> {
        At::new(&self.spec, self.spec_spot.clone(), sink)
    }
}

/// Reads an indicator inside an SLO: metadata and spec.
pub(super) fn read_inline(at: &At<'_>) -> Option<Sli> {
    let fields = at.fields(&["metadata", "spec"])?;
    if let Some(metadata) = metadata::read(&fields) {
        metadata::refuse_ours(&metadata);
    }
    read(&fields)
}

/// Reads `spec` of an SLI.
pub(super) fn read(parent: &Fields<'_>) -> Option<Sli> {
    let spec = parent.required("spec")?;
    let fields = spec.fields(&[DESCRIPTION, "thresholdMetric", "ratioMetric"])?;
    check_description(&fields);
    let metric = match (fields.get("thresholdMetric"), fields.get("ratioMetric")) {
        (Some(metric), None) => read_source(&metric).map(Metric::Threshold),
        (None, Some(metric)) => read_ratio(&metric),
        (Some(threshold), Some(ratio)) => {
            spec.refuse("has thresholdMetric and ratioMetric; give one of them");
            read_source(&threshold);
            read_ratio(&ratio);
            None
        }
        (None, None) => {
            spec.refuse("needs thresholdMetric or ratioMetric");
            None
        }
    };
    Some(Sli {
        spot: spec.spot().clone(),
        metric: metric?,
    })
}

fn read_ratio(at: &At<'_>) -> Option<Metric> {
    let fields = at.fields(&["counter", "good", "bad", "total", "rawType", "raw"])?;
    fields.get("counter").and_then(|counter| counter.bool());
    let of = |name| fields.get(name).map(|metric| read_source(&metric));
    let (good, bad, total, raw) = (of("good"), of("bad"), of("total"), of("raw"));
    let raw_type = fields.text("rawType");
    let given: Vec<&str> = [("good", &good), ("bad", &bad), ("raw", &raw)]
        .into_iter()
        .filter_map(|(name, metric)| metric.is_some().then_some(name))
        .collect();
    if 1 < given.len() {
        at.refuse(format!("has {}; give one of them", given.join(" and ")));
    }
    match (total, raw) {
        (Some(_), Some(_)) => {
            at.refuse("has total and raw; give one of them");
            None
        }
        (None, None) => {
            at.refuse("needs total (with good or bad) or raw");
            None
        }
        (None, Some(raw)) => {
            if raw_type.is_empty() {
                fields.required("rawType");
            } else if let Some(at) = fields.get("rawType") {
                at.word(&[("success", ()), ("failure", ())]);
            }
            raw.map(Metric::Raw)
        }
        (Some(total), None) => {
            if good.is_none() && bad.is_none() {
                at.refuse("needs good or bad beside total");
            }
            Some(Metric::Ratio {
                total: total?,
                good: flat(good)?,
                bad: flat(bad)?,
            })
        }
    }
}

/// `None` when it was there and could not be read.
#[expect(clippy::option_option, reason = "left out and unreadable differ")]
fn flat<T>(metric: Option<Option<T>>) -> Option<Option<T>> {
    match metric {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

fn read_source(at: &At<'_>) -> Option<Box<Source>> {
    let metric_source = at.fields(&["metricSource"])?.required("metricSource")?;
    let fields = metric_source.fields(&["metricSourceRef", "type", "spec"])?;
    let reference = fields
        .get("metricSourceRef")
        .filter(|reference| reference.node().value != Value::Text(String::new()));
    let reference_name = reference.as_ref().and_then(metadata::read_name);
    let spec = fields.required("spec")?;
    spec.any_fields()?;
    let kind = fields.text("type");
    if kind == source::TYPE {
        // What it says is of use when all documents are known; what is wrong with it is said at once.
        source::read(&spec);
    }
    Some(Box::new(Source {
        spot: metric_source.spot().clone(),
        reference: reference_name,
        kind: kind.to_owned(),
        spec: spec.node().clone(),
        spec_spot: spec.spot().clone(),
    }))
}
