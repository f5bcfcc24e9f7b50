//! A part of the filter's configuration inside a document, read by the filter's own reader.
//!
//! So a document may say whatever the filter obeys, with the same names and
//! bounds, and nothing that the filter would refuse. On top of that a share may
//! be written as `12.5%`, and `null` is the same as leaving a field out.
//!
//! The filter's reader stops at the first thing that is wrong. Here the field
//! that has it is put aside and the rest is read again, so that complaints come
//! all at once; what only the whole part can be blamed for is then left unsaid.

use serde_json::{Map, Number, Value as Json, json};
use sloop_model::{
    BreakerRule, ConfigError, FILTER_CONFIG_VERSION, FilterConfig, InvalidBreaker, InvalidDeny,
    InvalidFault, InvalidJson, InvalidRetries, InvalidShed,
};

use super::super::reader::{At, Sink, Spot};
use super::super::suggest;
use super::super::tree::Value;
use super::target::read_share;

/// Which part of a configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One of a scope's `faults`.
    Fault,
    /// The `limits` of a scope's breaker.
    Breaker,
    /// The `limits` of a scope's shedding.
    Shed,
    /// The `limits` of a scope's retry budget.
    Retries,
    /// One of the rules that deny requests.
    Deny,
    /// `trace.context`.
    Context,
    /// `spans`.
    Spans,
    /// `dimensions`.
    Dimensions,
    /// `stats`.
    Stats,
}

/// The fields of a part as JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    fields: Map<String, Json>,
    /// Fields that were complained about, and what else only follows from that is not.
    put_aside: Vec<String>,
}

/// Fields that are shares, wherever they are.
const SHARES: &[&str] = &[
    "active_share_max",
    "control",
    "corrupt",
    "critical",
    "critical_plus",
    "failed_max",
    "floor",
    "sampling",
    "share",
    "share_max",
    "share_min",
    "sheddable",
    "sheddable_plus",
    "sidecars",
    "slow_max",
];

/// Pairs of which the first is a share.
const QUANTILES: &str = "quantiles";

/// The fields of the mapping at `at`. `None` after a complaint.
pub(super) fn given(at: &At<'_>) -> Option<Given> {
    let mut given = Given {
        fields: Map::new(),
        put_aside: Vec::new(),
    };
    for (name, at) in at.any_fields()?.all() {
        match field(name, &at) {
            Some((_, Json::Null)) => {}
            Some((name, value)) => drop(given.fields.insert(name, value)),
            None => given.put_aside.push(name.to_owned()),
        }
    }
    Some(given)
}

impl Given {
    /// The fields.
    pub(super) const fn fields(&self) -> &Map<String, Json> {
        &self.fields
    }

    /// Whether there is a field `name`, or was one that was complained about.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.put_aside.iter().any(|field| field == name)
    }

    /// The same with the field `name`.
    pub(super) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// The same with the field `name`, if that is not there.
    pub(super) fn or(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.fields.entry(name).or_insert_with(|| value.into());
        self
    }

    /// The same without the field `name`, which only the kind of document knows.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.remove(name);
        self.put_aside.retain(|other| other != name);
        self
    }
}

/// The smallest configuration with the part at `at`, which has what is `given`. `None` after complaints.
pub(super) fn read(at: &At<'_>, part: Part, given: Given) -> Option<FilterConfig> {
    let Given {
        mut fields,
        mut put_aside,
    } = given;
    let mut is_known = put_aside.is_empty();
    loop {
        let json = part.inside(Json::Object(fields.clone())).to_string();
        let error = match FilterConfig::parse(json.as_bytes()) {
            Ok(config) => return is_known.then_some(config),
            Err(error) => error,
        };
        is_known = false;
        let wrong = Wrong::of(&error, part);
        wrong.say(at, &put_aside);
        let blamed = wrong.field()?;
        fields.remove(blamed)?;
        // Nothing follows from a field that nobody knows.
        if !matches!(wrong.what, What::Unknown(..)) {
            put_aside.push(blamed.to_owned());
        }
    }
}

/// The breaker with these limits, of which not all are written at `spot`. `None` after a complaint.
pub(super) fn breaker(fields: Map<String, Json>, spot: &Spot, sink: &Sink) -> Option<BreakerRule> {
    let part = Part::Breaker;
    let json = part.inside(Json::Object(fields)).to_string();
    match FilterConfig::parse(json.as_bytes()) {
        Ok(config) => Some(config.scopes.into_iter().next()?.breaker?.limits),
        Err(error) => {
            let text = error.to_string();
            let message = text.strip_prefix(part.path()).unwrap_or(&text);
            let message = message.trim_start_matches(['.', ':', ' ']);
            sink.refuse(spot.says(format!("together with what SLOs imply: {message}")));
            None
        }
    }
}

impl Part {
    /// Where it is in a configuration.
    const fn path(self) -> &'static str {
        match self {
            Self::Fault => "scopes[0].faults[0]",
            Self::Breaker => "scopes[0].breaker.limits",
            Self::Shed => "scopes[0].shed.limits",
            Self::Retries => "scopes[0].retries.limits",
            Self::Deny => "deny[0]",
            Self::Context => "trace.context",
            Self::Spans => "spans",
            Self::Dimensions => "dimensions",
            Self::Stats => "stats",
        }
    }

    /// The smallest configuration that has it.
    fn inside(self, part: Json) -> Json {
        let scope =
            |field: &str, value: Json| json!([{"service": "any", "route": "any", field: value}]);
        let (field, value) = match self {
            Self::Fault => ("scopes", scope("faults", json!([part]))),
            Self::Breaker => ("scopes", scope("breaker", json!({"limits": part}))),
            Self::Shed => ("scopes", scope("shed", json!({"limits": part}))),
            Self::Retries => ("scopes", scope("retries", json!({"limits": part}))),
            Self::Deny => ("deny", json!([part])),
            Self::Context => ("trace", json!({"context": part})),
            Self::Spans => ("spans", part),
            Self::Dimensions => ("dimensions", part),
            Self::Stats => ("stats", part),
        };
        json!({"version": FILTER_CONFIG_VERSION, "service": "any", "side": "server", field: value})
    }
}

/// What is wrong with a part.
#[derive(Debug)]
struct Wrong<'a> {
    /// Below the part; empty for the part as a whole.
    path: String,
    what: What<'a>,
}

#[derive(Debug)]
enum What<'a> {
    /// A field is not there.
    Missing(&'a str),
    /// A field that nobody knows, and those that are known.
    Unknown(&'a str, &'a [&'static str]),
    /// A value that should be something else.
    Kind(&'a str),
    /// What several fields break together, in words.
    Rule(String),
    /// Anything else, in words.
    Else(String),
}

impl<'a> Wrong<'a> {
    fn of(error: &'a ConfigError, part: Part) -> Self {
        let text = error.to_string();
        let (path, message) = match text.strip_prefix(part.path()) {
            Some(rest) => rest.split_once(": ").unwrap_or(("", rest)),
            None => ("", text.as_str()),
        };
        let mut path = path.trim_start_matches('.').to_owned();
        let problem = if let ConfigError::Unreadable(problem) = error {
            Some(&problem.what)
        } else {
            None
        };
        let what = match problem {
            Some(InvalidJson::Missing { name }) => What::Missing(name),
            Some(InvalidJson::Unknown { name, known }) => What::Unknown(name, known),
            Some(InvalidJson::Kind { wanted, .. }) => What::Kind(wanted),
            Some(what) if path.is_empty() => {
                blamed(what).unwrap_or_default().clone_into(&mut path);
                What::Rule(message.to_owned())
            }
            Some(_) | None => What::Else(message.to_owned()),
        };
        Self { path, what }
    }

    /// Complains at the right place, unless it only follows from what was said about the fields `put_aside`.
    fn say(&self, at: &At<'_>, put_aside: &[String]) {
        let place = at.below(&self.path);
        match &self.what {
            What::Missing(name) if put_aside.iter().any(|field| field == name) => {}
            What::Missing(name) => {
                let missing = place.spot().field(name);
                place.sink().refuse(missing.says("is required"));
            }
            What::Unknown(name, known) => place
                .key(name)
                .refuse(format!("unknown field; {}", suggest::hint(name, known))),
            What::Kind(wanted) => place.mismatch(wanted),
            What::Rule(_) if !put_aside.is_empty() => {}
            What::Rule(message) | What::Else(message) => place.refuse(message),
        }
    }

    /// The field of the part that is to blame, if it is one.
    fn field(&self) -> Option<&str> {
        match (&self.what, self.path.as_str()) {
            (What::Unknown(name, _), "") => Some(name),
            (_, path) => path
                .split(['.', '['])
                .next()
                .filter(|field| !field.is_empty()),
        }
    }
}

/// The field that a rule of the whole part is about.
fn blamed(what: &InvalidJson) -> Option<&'static str> {
    let InvalidJson::Value(error) = what else {
        return None;
    };
    if let Some(fault) = error.downcast_ref::<InvalidFault>() {
        return fault.field();
    }
    if let Some(shed) = error.downcast_ref::<InvalidShed>() {
        return match *shed {
            InvalidShed::OutOfRange { field, .. } => Some(field),
            InvalidShed::HalfSlow { given } => Some(given),
            InvalidShed::NoObjective => None,
        };
    }
    if error.downcast_ref::<InvalidRetries>().is_some() {
        return Some("least");
    }
    if let Some(deny) = error.downcast_ref::<InvalidDeny>() {
        return match *deny {
            InvalidDeny::Id { .. } => Some("id"),
            InvalidDeny::NoCondition => None,
            InvalidDeny::Match { .. } => Some("match"),
            InvalidDeny::Caller { .. } => Some("caller"),
            InvalidDeny::Status { .. } => Some("status"),
            InvalidDeny::ShareMax => Some("share_max"),
        };
    }
    let field = match *error.downcast_ref::<InvalidBreaker>()? {
        InvalidBreaker::OutOfRange { field, .. }
        | InvalidBreaker::Window { field, .. }
        | InvalidBreaker::NeverOpens { field }
        | InvalidBreaker::AlwaysOpens { field } => field,
        InvalidBreaker::HalfSlow { given } => given,
    };
    Some(field)
}

/// The value at `at`; one that `is_share` may be written as a percentage. `None` after a complaint.
fn to_json(at: &At<'_>, is_share: bool) -> Option<Json> {
    Some(match &at.node().value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(_) => Number::from_f64(at.number()?)?.into(),
        Value::Text(_) if is_share => u16::from(read_share(at)?).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(_) => {
            let items = at.items(usize::MAX)?;
            let read: Vec<_> = items.iter().map(|item| to_json(item, false)).collect();
            Json::Array(read.into_iter().collect::<Option<_>>()?)
        }
        Value::Map(_) => {
            let fields = at.any_fields()?;
            let read: Vec<_> = fields.all().map(|(name, at)| field(name, &at)).collect();
            let read: Option<Vec<(String, Json)>> = read.into_iter().collect();
            let given = read?.into_iter().filter(|(_, value)| !value.is_null());
            Json::Object(given.collect())
        }
    })
}

fn field(name: &str, at: &At<'_>) -> Option<(String, Json)> {
    let is_list = matches!(at.node().value, Value::List(_));
    let value = if name == QUANTILES && is_list {
        let pairs = at.items(usize::MAX)?;
        Json::Array(pairs.iter().map(pair).collect::<Option<_>>()?)
    } else {
        to_json(at, SHARES.contains(&name))?
    };
    Some((name.to_owned(), value))
}

/// A share and something else.
fn pair(at: &At<'_>) -> Option<Json> {
    let Value::List(_) = &at.node().value else {
        return to_json(at, false);
    };
    let items = at.items(usize::MAX)?;
    let read = items.iter().enumerate();
    let read = read.map(|(index, item)| to_json(item, index == 0));
    Some(Json::Array(read.collect::<Option<_>>()?))
}
