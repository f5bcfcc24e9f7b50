//! Every route answers as the OpenAPI document says, whatever it is asked.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::lively::{EXPERIMENT, Lively};
use crate::support::{Home, ROUTES, Sloop, eventually};

const PROBLEM: &str = "application/problem+json";
const TEXTS: &str = "application/vnd.sloop.documents+json";

/// A request, and the status that it should be answered with.
struct Ask {
    method: &'static str,
    /// The path as the document writes it.
    template: &'static str,
    path: String,
    headers: Vec<(http::HeaderName, String)>,
    body: Vec<u8>,
    status: u16,
}

/// Asks for what the template says, of things that are there.
fn ask(method: &'static str, template: &'static str, status: u16) -> Ask {
    Ask {
        method,
        template,
        path: template.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        status,
    }
}

impl Ask {
    /// At this path.
    fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// With this body.
    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn header(mut self, name: http::HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    async fn of(&self, sloop: &Sloop) -> Answer {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(format!("http://{}{}", sloop.http, self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(self.body.clone()));
        let response = client.request(request.body(body).unwrap()).await.unwrap();
        let kind = response.headers().get(CONTENT_TYPE);
        let allow = response.headers().get(ALLOW);
        Answer {
            status: response.status().as_u16(),
            kind: kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned()),
            allow: allow.map_or_else(String::new, |it| it.to_str().unwrap().to_owned()),
            body: response.into_body().collect().await.unwrap().to_bytes(),
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    kind: String,
    /// The methods that there are, where there is not the one that was asked with.
    allow: String,
    body: Bytes,
}

/// The document that the program answers with.
struct Api(Value);

impl Api {
    async fn of(sloop: &Sloop) -> Self {
        let (status, body) = sloop.get("/v1/openapi.json").await;
        assert_eq!(status, 200);
        let mut document: Value = serde_json::from_slice(&body).unwrap();
        // Clients must ignore what they do not know; but what is answered is to be described.
        for schema in document["components"]["schemas"]
            .as_object_mut()
            .unwrap()
            .values_mut()
        {
            let fields = schema.as_object_mut().unwrap();
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("unevaluatedProperties".to_owned(), false.into());
            }
        }
        Self(document)
    }

    /// Method and path of everything that can be asked for.
    fn operations(&self) -> BTreeSet<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        });
        operations.collect()
    }

    /// Where the document says what the answer `status` is: one kind of content, and its schema.
    fn described(&self, method: &str, template: &str, status: u16) -> Option<(String, String)> {
        let path = template.replace('/', "~1");
        let responses = format!("/paths/{path}/{}/responses", method.to_lowercase());
        let known = self.0.pointer(&responses)?;
        let mut place = match known.get(status.to_string()) {
            Some(_) => format!("{responses}/{status}"),
            None => format!("{responses}/default"),
        };
        if let Some(elsewhere) = self.0.pointer(&place)?.get("$ref") {
            place = elsewhere.as_str()?.strip_prefix('#')?.to_owned();
        }
        let content = self.0.pointer(&place)?["content"].as_object()?;
        assert_eq!(content.len(), 1, "{place}");
        let kind = content.keys().next()?;
        let schema = format!("#{place}/content/{}/schema", kind.replace('/', "~1"));
        Some((kind.clone(), schema))
    }

    fn validator(&self, schema: &str) -> Validator {
        let mut whole = self.0.clone();
        // As a part of an address.
        whole["$ref"] = schema.replace('{', "%7B").replace('}', "%7D").into();
        jsonschema::draft202012::new(&whole).unwrap()
    }

    fn check(&self, asked: &Ask, answer: &Answer) {
        let what = format!("{} {}: {answer:?}", asked.method, asked.path);
        assert_eq!(answer.status, asked.status, "{what}");
        // A method or a path that nobody described is answered like all errors.
        let (kind, schema) = self
            .described(asked.method, asked.template, answer.status)
            .unwrap_or_else(|| {
                (
                    PROBLEM.to_owned(),
                    "#/components/schemas/Problem".to_owned(),
                )
            });
        let sent = answer.kind.split(';').next().unwrap();
        assert_eq!(sent, kind, "{what}");
        let is_error = 400 <= answer.status;
        assert_eq!(is_error, kind == PROBLEM, "{what}");
        if kind.starts_with("text/") {
            return;
        }
        let body: Value = serde_json::from_slice(&answer.body).expect(&what);
        let validator = self.validator(&schema);
        let errors: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}");
        if is_error {
            assert_eq!(body["status"], answer.status, "{what}");
            assert!(!body["title"].as_str().unwrap().is_empty(), "{what}");
            assert!(!body["detail"].as_str().unwrap().is_empty(), "{what}");
        }
    }
}

/// What is only looked at.
fn looks() -> Vec<Ask> {
    let get = |template| ask("GET", template, 200);
    let slo = "/v1/slos/{name}";
    let spending = "/v1/slos/{name}/spending";
    let decision = "/v1/decisions/{id}";
    vec![
        get("/healthz"),
        get("/readyz"),
        get("/metrics"),
        get("/v1/openapi.json"),
        get("/v1/slos"),
        get(slo).at("/v1/slos/pay"),
        ask("GET", slo, 404).at("/v1/slos/none"),
        ask("GET", slo, 400).at("/v1/slos/%ff"),
        get(spending).at("/v1/slos/pay/spending"),
        get(spending).at("/v1/slos/pay/spending?window_s=60"),
        ask("GET", spending, 400).at("/v1/slos/pay/spending?window_s=-1"),
        ask("GET", spending, 400).at("/v1/slos/pay/spending?window=60"),
        ask("GET", spending, 404).at("/v1/slos/none/spending"),
        get("/v1/scopes"),
        get("/v1/journeys"),
        get("/v1/nodes"),
        get("/v1/pushes"),
        get("/v1/events"),
        get("/v1/events").at("/v1/events?since=1"),
        ask("GET", "/v1/events", 400).at("/v1/events?since=yesterday"),
        get("/v1/alerts"),
        get("/v1/decisions"),
        get(decision).at("/v1/decisions/1"),
        ask("GET", decision, 404).at("/v1/decisions/999999"),
        ask("GET", decision, 404).at("/v1/decisions/first"),
        get("/v1/denials"),
        get("/v1/documents"),
        get("/v1/experiments"),
        ask("GET", "/", 404),
        ask("GET", "/v2/slos", 404),
    ]
}

/// What changes documents, in this order.
fn changes() -> Vec<Ask> {
    let routes = ROUTES.replace("checkout", "shop");
    let texts = json!([{"file": "shop.yaml", "text": routes}]).to_string();
    let apply = |status| ask("POST", "/v1/documents", status);
    let delete = |status| ask("DELETE", "/v1/documents/{kind}/{name}", status);
    vec![
        apply(200)
            .at("/v1/documents?dry_run=true")
            .body(routes.clone()),
        apply(200).body(routes.clone()),
        apply(200).body(texts).header(CONTENT_TYPE, TEXTS),
        apply(400).body("[{}]").header(CONTENT_TYPE, TEXTS),
        apply(400).at("/v1/documents?dry_run=maybe").body(routes),
        apply(400).body(*b"\xff"),
        apply(422).body("kind: SLO"),
        apply(422).body(""),
        delete(200).at("/v1/documents/RouteSet/shop?dry_run=true"),
        delete(200).at("/v1/documents/RouteSet/shop"),
        delete(404).at("/v1/documents/RouteSet/shop"),
        delete(409).at("/v1/documents/SLO/pay"),
    ]
}

const RUN: &str = "/v1/experiments/{name}/run";
const ONE_RUN: &str = "/v1/experiments/{name}";

/// What is ordered while `aborts` runs, in this order.
fn orders() -> Vec<Ask> {
    let experiments = "/v1/experiments";
    let stop = "/v1/experiments/{name}/stop";
    let other = EXPERIMENT.replace("aborts", "others");
    vec![
        ask("GET", experiments, 200),
        ask("GET", ONE_RUN, 200).at("/v1/experiments/aborts"),
        ask("GET", ONE_RUN, 404).at("/v1/experiments/none"),
        ask("GET", ONE_RUN, 400).at("/v1/experiments/aborts?due_at=soon"),
        ask("POST", RUN, 404).at("/v1/experiments/none/run"),
        ask("POST", RUN, 409).at("/v1/experiments/aborts/run"),
        ask("POST", stop, 202).at("/v1/experiments/aborts/stop"),
        ask("POST", stop, 409).at("/v1/experiments/none/stop"),
        ask("POST", experiments, 202).body(other),
        ask("POST", experiments, 422).body(ROUTES),
        ask("POST", experiments, 413).body(vec![b' '; (256 << 10) + 1]),
    ]
}

#[tokio::test]
async fn every_route_answers_as_its_description_says() {
    let mut all = Lively::start().await;
    all.report().await;
    all.report().await;
    eventually("something was decided, and somebody is told", async || {
        let alerts = all.sloop.items("/v1/alerts").await;
        let decisions = all.sloop.items("/v1/decisions").await;
        (!alerts.is_empty() && !decisions.is_empty()).then_some(())
    })
    .await;
    let api = Api::of(&all.sloop).await;
    let mut answered = BTreeSet::new();
    let mut all_are_right = async |asks: Vec<Ask>| {
        for asked in asks {
            let answer = asked.of(&all.sloop).await;
            api.check(&asked, &answer);
            if answer.status < 400 {
                answered.insert((asked.method.to_owned(), asked.template.to_owned()));
            }
        }
    };
    all_are_right(looks()).await;
    all_are_right(changes()).await;
    all_are_right(vec![ask("POST", RUN, 202).at("/v1/experiments/aborts/run")]).await;
    // A run is there from the next step on.
    eventually("the run is known", async || {
        let (status, _) = all.sloop.get("/v1/experiments/aborts").await;
        (status == 200).then_some(())
    })
    .await;
    all_are_right(orders()).await;
    assert_eq!(answered, api.operations(), "all of them, and no other");
    for list in [
        "slos",
        "scopes",
        "journeys",
        "nodes",
        "pushes",
        "events",
        "denials",
        "documents",
        "experiments",
    ] {
        let items = all.sloop.items(&format!("/v1/{list}")).await;
        assert!(!items.is_empty(), "of nothing {list} nothing is shown");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_a_problem_that_names_those_that_it_has() {
    let sloop = Home::new().start();
    let api = Api::of(&sloop).await;
    for (method, path) in api.operations() {
        let asked = ask("PATCH", "", 405).at(path.replace(['{', '}'], ""));
        let answer = asked.of(&sloop).await;
        api.check(&asked, &answer);
        let mut named = answer.allow.split(',');
        assert!(named.any(|it| it.trim() == method), "{method}: {answer:?}");
    }
}

#[tokio::test]
async fn a_stranger_is_answered_with_a_problem_everywhere() {
    let token = "4f1c9a0be2d3457786a1b2c3d4e5f607";
    let home = Home::new();
    let file = home.document("../tokens");
    std::fs::write(&file, token).unwrap();
    let sloop = home.start_with(&["--admin-token-file", file.to_str().unwrap()]);
    let show = |asked: Ask| asked.header(AUTHORIZATION, &format!("Bearer {token}"));
    let document = show(ask("GET", "/v1/openapi.json", 200)).of(&sloop).await;
    let api = Api(serde_json::from_slice(&document.body).unwrap());
    for (method, path) in api.operations() {
        if path == "/healthz" || path == "/readyz" {
            continue;
        }
        let path = path.replace(['{', '}'], "");
        let mut asked = ask("GET", "", 401).at(path);
        asked.method = match method.as_str() {
            "GET" => "GET",
            "DELETE" => "DELETE",
            _ => "POST",
        };
        api.check(&asked, &asked.of(&sloop).await);
    }
}
