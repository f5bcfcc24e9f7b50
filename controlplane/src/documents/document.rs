//! One document: what it is, who it is, and what it says.

use sloop_controllers::{
    AccessRule, ChaosIntent, DenyIntent, FaultInjectionIntent, FilterSettings, LoadSheddingIntent,
    RouteSet,
};
use sloop_model::WallTime;
use sloop_xds::fleet::Declared;

use super::openslo::{self, AlertCondition, AlertPolicy, DataSource, NotificationTarget, Sli, Slo};
use super::reader::{At, Fields, Finding, Sink, Spot};
use super::sloop::DeclaredBreaker;
use super::tree::{self, DOCUMENTS_MAX, Value};
use super::{metadata, sloop, suggest};

/// All documents of a file, each checked by itself.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) documents: Vec<Document>,
    pub(super) problems: Vec<Finding>,
    pub(super) notes: Vec<Finding>,
    /// Documents that have something in them, readable or not.
    pub(super) count: usize,
}

/// A document that could be read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Where the name is.
    pub(super) spot: Spot,
    pub(super) body: Body,
}

/// What a document says, by kind.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Slo(Box<Slo>),
    Sli(Box<Sli>),
    DataSource(DataSource),
    RouteSet(RouteSet),
    CircuitBreaker(Box<DeclaredBreaker>),
    FaultInjection(Box<FaultInjectionIntent>),
    LoadShedding(Box<LoadSheddingIntent>),
    DenyRule(Box<DenyIntent>),
    FilterSettings(Box<FilterSettings>),
    AlertPolicy(Box<AlertPolicy>),
    AlertCondition(AlertCondition),
    NotificationTarget(NotificationTarget),
    EnvoyResource(Box<Declared>),
    ChaosExperiment(Box<ChaosIntent>),
    AccessRule(AccessRule),
    /// Nothing that anybody here acts on.
    Checked,
}

impl Body {
    /// Whether a name may be there twice, as the Go SDK has it: nothing is done because of it.
    pub(super) const fn is_lenient(&self) -> bool {
        matches!(self, Self::Checked)
    }
}

/// Reads all documents of `text`, seen at `now`.
pub(super) fn read(text: &str, now: WallTime) -> Parsed {
    let sink = Sink::default();
    let mut documents = Vec::new();
    let mut count = 0;
    match tree::parse(text) {
        Ok(trees) => {
            for (number, node) in &trees {
                let spot = Spot {
                    document: *number,
                    place: node.place,
                    path: String::new(),
                };
                let root = At::new(node, spot, &sink);
                // A list of documents is what kubectl and the Go SDK read, too.
                let roots = if matches!(node.value, Value::List(_)) {
                    root.items(DOCUMENTS_MAX).unwrap_or_default()
                } else {
                    vec![root]
                };
                count += roots.len();
                documents.extend(roots.iter().filter_map(|root| read_one(root, now)));
            }
        }
        Err(unreadable) => sink.refuse(Finding {
            document: 0,
            place: unreadable.place,
            path: String::new(),
            message: unreadable.to_string(),
        }),
    }
    let (problems, notes) = sink.into_parts();
    Parsed {
        documents,
        problems,
        notes,
        count,
    }
}

fn read_one(root: &At<'_>, now: WallTime) -> Option<Document> {
    let fields = root.fields(&["apiVersion", "kind", "metadata", "spec"])?;
    let version = read_version(&fields);
    let kind = match version {
        Some(Version::OpenSlo) => read_kind(&fields, openslo::KINDS, sloop::KINDS),
        Some(Version::Sloop) => read_kind(&fields, sloop::KINDS, openslo::KINDS),
        None => None,
    };
    let (version, kind) = (version?, kind?);
    let metadata = metadata::read(&fields);
    let Some(metadata) = metadata else {
        // Without a name the rest can still be checked.
        let stand_in = metadata::nameless(root.spot());
        read_body(version, kind, &fields, stand_in, now);
        return None;
    };
    let (name, spot) = (metadata.name.clone(), metadata.name_spot.clone());
    let body = read_body(version, kind, &fields, metadata, now)?;
    Some(Document {
        kind,
        name,
        spot,
        body,
    })
}

fn read_body(
    version: Version,
    kind: &'static str,
    fields: &Fields<'_>,
    metadata: metadata::Metadata<'_>,
    now: WallTime,
) -> Option<Body> {
    match version {
        Version::OpenSlo => openslo::read(kind, fields, metadata),
        Version::Sloop => sloop::read(kind, fields, &metadata, now),
    }
}

#[derive(Clone, Copy, Debug)]
enum Version {
    OpenSlo,
    Sloop,
}

/// What `apiVersion` may be.
pub(super) const VERSIONS: &[&str] = &["openslo/v1", "sloop.dev/v1"];

fn read_version(fields: &Fields<'_>) -> Option<Version> {
    let at = fields.required("apiVersion")?;
    match at.text()? {
        "openslo/v1" => return Some(Version::OpenSlo),
        "sloop.dev/v1" => return Some(Version::Sloop),
        "openslo/v1alpha" => at.refuse(
            "openslo/v1alpha is not read; write openslo/v1: timeWindows becomes timeWindow with \
             one duration as \"28d\", ratioMetrics of objectives becomes indicator.spec.ratioMetric, \
             indicator.thresholdMetric becomes indicator.spec.thresholdMetric, incremental becomes \
             counter, and source, queryType and query become a metricSource with type and spec",
        ),
        "openslo.com/v2alpha" => at.refuse(
            "openslo.com/v2alpha is not read; write openslo/v1: serviceRef becomes service, sli and \
             sliRef become indicator and indicatorRef, dataSourceRef becomes \
             metricSource.metricSourceRef, dataSourceSpec becomes metricSource with type and spec, \
             and spec of a metric becomes metricSource.spec",
        ),
        other => {
            let hint = suggest::hint(other, VERSIONS);
            at.refuse(format!(
                "is {}; {hint}",
                super::reader::quoted(other)
            ));
        }
    }
    None
}

fn read_kind(
    fields: &Fields<'_>,
    known: &'static [&'static str],
    elsewhere: &'static [&'static str],
) -> Option<&'static str> {
    let at = fields.required("kind")?;
    let given = at.text()?;
    if let Some(kind) = known.iter().find(|kind| **kind == given) {
        return Some(kind);
    }
    let quoted = super::reader::quoted(given);
    if elsewhere.contains(&given) {
        let other = fields.text("apiVersion");
        let right = VERSIONS.iter().find(|version| **version != other);
        let right = right.copied().unwrap_or_default();
        at.refuse(format!("{quoted} is a kind of apiVersion {right}"));
    } else {
        at.refuse(format!("is {quoted}; {}", suggest::hint(given, known)));
    }
    None
}
