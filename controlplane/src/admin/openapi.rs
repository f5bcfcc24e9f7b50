//! The HTTP API as an OpenAPI 3.1 document: for people who read, and for programs that make clients.
//!
//! Shapes come from the types that are answered with; what stands here is which
//! operation answers with which. Tests hold it against the routes that there are.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use sloop_controllers::{ExperimentStatus, JourneyStatus, SloStatus};

use super::api::{
    AlertShown, DecisionExplained, DecisionTaken, DenialStatus, DocumentFile, DocumentText,
    DocumentsChanged, Event, NodeStatus, Problem, PushStatus, ScopeStatus, SpendingStatus,
};
use super::documents::TEXTS_TYPE;
use super::experiments::AskedFor;

/// Makes the schema of a type.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What can be asked for, and what is answered when all is well.
#[derive(Clone, Copy, Debug)]
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Query parameters: name, type, meaning.
    query: &'static [(&'static str, &'static str, &'static str)],
    takes: Takes,
    answers: Answers,
}

/// What a body is.
#[derive(Clone, Copy, Debug)]
enum Takes {
    Nothing,
    /// Documents, YAML or JSON, or several texts with their names.
    Texts,
}

/// What an answer is.
#[derive(Clone, Copy, Debug)]
enum Answers {
    /// Text.
    Text,
    /// The document itself.
    Whatever,
    One(SchemaOf),
    /// A list and its moment.
    List(SchemaOf),
    /// The same, of what will happen.
    Accepted(SchemaOf),
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn read(path: &'static str, answers: Answers, summary: &'static str) -> Operation {
    Operation {
        method: "get",
        path,
        summary,
        query: &[],
        takes: Takes::Nothing,
        answers,
    }
}

const DRY_RUN: (&str, &str, &str) = ("dry_run", "boolean", "Only say what it would do.");

const OPERATIONS: [Operation; 24] = [
    read("/healthz", Answers::Text, "Whether the process runs."),
    read(
        "/readyz",
        Answers::Text,
        "Whether the store and the documents are loaded, and whether nothing can be stored.",
    ),
    read(
        "/metrics",
        Answers::Text,
        "Metrics in Prometheus' text format.",
    ),
    read("/v1/openapi.json", Answers::Whatever, "This document."),
    read(
        "/v1/slos",
        Answers::List(of::<SloStatus>),
        "Objectives, budgets, burn per window, policies in force, and why.",
    ),
    read("/v1/slos/{name}", Answers::One(of::<SloStatus>), "One SLO."),
    Operation {
        query: &[(
            "window_s",
            "integer",
            "The last so many seconds; the SLO's own window when left out.",
        )],
        ..read(
            "/v1/slos/{name}/spending",
            Answers::List(of::<SpendingStatus>),
            "Who spent the budgets.",
        )
    },
    read(
        "/v1/scopes",
        Answers::List(of::<ScopeStatus>),
        "Routes of services: requests, outcomes, latency, breakers, and what was done on purpose.",
    ),
    read("/v1/nodes", Answers::List(of::<NodeStatus>), "Sidecars."),
    read(
        "/v1/pushes",
        Answers::List(of::<PushStatus>),
        "How changes to the sidecars of groups stand.",
    ),
    Operation {
        query: &[("since", "integer", "Only events after this one.")],
        ..read(
            "/v1/events",
            Answers::List(of::<Event>),
            "What happened lately.",
        )
    },
    read(
        "/v1/alerts",
        Answers::List(of::<AlertShown>),
        "Alerts of policies, who is told, and who knows.",
    ),
    read(
        "/v1/decisions",
        Answers::List(of::<DecisionTaken>),
        "When a controller changed its mind, and why.",
    ),
    read(
        "/v1/denials",
        Answers::List(of::<DenialStatus>),
        "What deny rules did.",
    ),
    read(
        "/v1/decisions/{id}",
        Answers::One(of::<DecisionExplained>),
        "One decision, what it was made by, and what became of it.",
    ),
    read(
        "/v1/documents",
        Answers::List(of::<DocumentFile>),
        "Files, and documents that were handed in, what is wrong with them, and what one should know of them.",
    ),
    Operation {
        method: "post",
        query: &[DRY_RUN],
        takes: Takes::Texts,
        ..read(
            "/v1/documents",
            Answers::One(of::<DocumentsChanged>),
            "Hands in documents, all or none.",
        )
    },
    Operation {
        method: "delete",
        query: &[DRY_RUN],
        ..read(
            "/v1/documents/{kind}/{name}",
            Answers::One(of::<DocumentsChanged>),
            "Takes back a document that was handed in.",
        )
    },
    read(
        "/v1/experiments",
        Answers::List(of::<ExperimentStatus>),
        "Runs of experiments, the newest first.",
    ),
    Operation {
        method: "post",
        takes: Takes::Texts,
        query: &[DRY_RUN],
        ..read(
            "/v1/experiments",
            Answers::Accepted(of::<AskedFor>),
            "Runs the experiments of the body at once, all or none. With dry_run a run says what it would take, or why it may not begin, and is over.",
        )
    },
    Operation {
        query: &[(
            "due_at",
            "integer",
            "When the run was due; the newest when left out.",
        )],
        ..read(
            "/v1/experiments/{name}",
            Answers::One(of::<ExperimentStatus>),
            "One run of an experiment.",
        )
    },
    Operation {
        method: "post",
        query: &[DRY_RUN],
        ..read(
            "/v1/experiments/{name}/run",
            Answers::Accepted(of::<AskedFor>),
            "Runs an experiment that is declared.",
        )
    },
    Operation {
        method: "post",
        ..read(
            "/v1/experiments/{name}/stop",
            Answers::Accepted(of::<AskedFor>),
            "Ends a run of an experiment.",
        )
    },
    read(
        "/v1/journeys",
        Answers::List(of::<JourneyStatus>),
        "Where the time of journeys went in the last minutes: the share of each service.",
    ),
];

/// The document, as text that ends with a line break.
#[must_use]
pub fn openapi() -> String {
    let settings = sloop_model::schema_settings()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            // A part of the document says no version of the language.
            settings.meta_schema = None;
        });
    let mut generator = settings.into_generator();
    let problem = of::<Problem>(&mut generator);
    let mut paths: Map<String, Value> = Map::new();
    for operation in &OPERATIONS {
        let described = operation.describe(&mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(operation.method.to_owned(), described);
        }
    }
    let document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Sloop",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a control plane of Sloop knows and takes. Times are milliseconds since the Unix epoch. \
                            Fields are only ever added; ignore those that you do not know.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        // Nothing, or a token where the control plane wants one.
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"problem": {
                "description": "What is wrong (RFC 9457).",
                "content": {"application/problem+json": {"schema": problem}},
            }},
            "schemas": generator.take_definitions(true),
        },
    });
    format!("{document:#}\n")
}

/// Answers with it.
pub(super) async fn serve() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, DOCUMENT.as_str())
}

impl Operation {
    fn describe(&self, generator: &mut SchemaGenerator) -> Value {
        let (status, kind, schema) = match self.answers {
            Answers::Text => ("200", "text/plain", json!({"type": "string"})),
            Answers::Whatever => ("200", "application/json", json!({"type": "object"})),
            Answers::One(of) => ("200", "application/json", of(generator).to_value()),
            Answers::List(of) => ("200", "application/json", list(of(generator))),
            Answers::Accepted(of) => ("202", "application/json", list(of(generator))),
        };
        let mut described = json!({
            "summary": self.summary,
            "responses": {
                status: {"description": "Done.", "content": {kind: {"schema": schema}}},
                "default": {"$ref": "#/components/responses/problem"},
            },
        });
        let parameters = self.parameters();
        if let Some(fields) = described.as_object_mut() {
            if !parameters.is_empty() {
                fields.insert("parameters".to_owned(), parameters.into());
            }
            if let Some(body) = self.body(generator) {
                fields.insert("requestBody".to_owned(), body);
            }
        }
        described
    }

    fn parameters(&self) -> Vec<Value> {
        let in_path = self.path.split('/').filter_map(|segment| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            Some(
                json!({"in": "path", "name": name, "required": true, "schema": {"type": "string"}}),
            )
        });
        let in_query = self.query.iter().map(|(name, kind, description)| {
            json!({"in": "query", "name": name, "description": description, "schema": {"type": kind}})
        });
        in_path.chain(in_query).collect()
    }

    fn body(&self, generator: &mut SchemaGenerator) -> Option<Value> {
        let documents =
            || json!({"schema": {"type": "string", "description": "Documents, YAML or JSON."}});
        let content = match self.takes {
            Takes::Nothing => return None,
            Takes::Texts => {
                let texts = of::<Vec<DocumentText>>(generator);
                json!({"text/plain": documents(), TEXTS_TYPE: {"schema": texts}})
            }
        };
        Some(json!({"required": true, "content": content}))
    }
}

fn list(items: Schema) -> Value {
    json!({
        "type": "object",
        "properties": {
            "at_ms": {"type": "integer", "minimum": 0, "description": "When it was true."},
            "items": {"type": "array", "items": items},
        },
        "required": ["at_ms", "items"],
    })
}

#[cfg(test)]
mod tests;
