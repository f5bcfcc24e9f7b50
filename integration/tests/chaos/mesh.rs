//! Two sidecars that speak only mTLS with each other and know their versions from Istio's labels, a service that answers HTTP/1.1, HTTP/2 and gRPC, and a control plane.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};
use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::{Bootstrap, Inbound, Outbound, Upstream};
use sloop_integration::demo::{Admin, Programs, stage};
use sloop_integration::envoy::Envoy;
use sloop_integration::eventually::eventually;
use sloop_integration::ports::free_address;
use sloop_integration::process::Guarded;
use sloop_model::ServiceName;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::SOON;

/// All of it. Dropping it ends it.
pub(crate) struct Mesh {
    /// Where users of `payments` ask: the outbound listener of the sidecar of `checkout`.
    pub(crate) entry: SocketAddr,
    /// Where the sidecar of `payments` listens for mTLS.
    pub(crate) inbound: SocketAddr,
    pub(crate) admin: Admin,
    pub(crate) checkout: Envoy,
    pub(crate) payments: Envoy,
    _control_plane: Guarded,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Mesh {
    pub(crate) async fn start(documents: &str, programs: &Programs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("mesh");
        stage::prepare(&place, documents).unwrap();
        let [discovery, api, entry, inbound] = [(); 4].map(|()| free_address().unwrap());
        let control_plane = programs.control_plane(&place, discovery, api).unwrap();
        let admin = Admin::new(api).unwrap();
        let is_ready = async || admin.is_ready().await.then_some(());
        let ready = eventually(SOON, "the control plane is ready", is_ready).await;
        ready.unwrap();
        let (app, serving) = app().await;
        let authority = Authority::new();
        let sidecar = |name: &str| Bootstrap {
            node: format!("{name}-1"),
            service: ServiceName::try_from(name).unwrap(),
            locality: sloop_xds::Locality::default(),
            metadata: std::collections::BTreeMap::new(),
            admin: "127.0.0.1:0".parse().unwrap(),
            control_plane: discovery.into(),
            variant: Variant::Delta,
            module: programs.module.to_str().unwrap().to_owned(),
            report_interval_ms: 1_000,
            collector: None,
            tls: None,
            inbound: None,
            outbound: None,
        };
        let payments = Bootstrap {
            inbound: Some(Inbound {
                listen: inbound,
                app: app.into(),
            }),
            ..sidecar("payments")
        };
        let checkout = Bootstrap {
            outbound: Some(Outbound {
                listen: entry,
                upstreams: vec![Upstream {
                    service: ServiceName::try_from("payments").unwrap(),
                    authorities: vec!["payments".to_owned()],
                    address: inbound.into(),
                }],
            }),
            ..sidecar("checkout")
        };
        let payments = with_tls(
            &with_labels(&payments, r#"{"app.kubernetes.io/version": v2}"#),
            "filter_chains:\n    - ",
            6,
            &authority.downstream("payments", "checkout"),
        );
        let checkout = with_tls(
            &with_labels(&checkout, r#"{"service.istio.io/canonical-revision": v7}"#),
            "- name: \"to_payments\"\n",
            4,
            &authority.upstream("checkout", "payments"),
        );
        let (payments, checkout) =
            tokio::try_join!(Envoy::start(&payments), Envoy::start(&checkout)).unwrap();
        Self {
            entry,
            inbound,
            admin,
            checkout,
            payments,
            _control_plane: control_plane,
            serving,
            _folder: folder,
        }
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The YAML with the labels that Istio has of a pod, as its agent writes them into the node's metadata.
fn with_labels(bootstrap: &Bootstrap, labels: &str) -> String {
    let node = format!("  cluster: \"{}\"\n", bootstrap.service);
    let labelled = format!("{node}  metadata: {{LABELS: {labels}}}\n");
    let yaml = bootstrap.to_yaml();
    assert!(yaml.contains(&node), "{yaml}");
    yaml.replacen(&node, &labelled, 1)
}

/// The YAML with a transport socket at the first place that ends with `after`.
fn with_tls(yaml: &str, after: &str, indent: usize, socket: &Value) -> String {
    let (before, rest) = yaml.split_once(after).unwrap();
    let spaces = " ".repeat(indent);
    if after.ends_with("- ") {
        format!("{before}{after}transport_socket: {socket}\n{spaces}{rest}")
    } else {
        format!("{before}{after}{spaces}transport_socket: {socket}\n{rest}")
    }
}

/// Who vouches for the services of the mesh.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        // With the name of what it signs, it would look as if that signed itself.
        params.distinguished_name.push(DnType::CommonName, "mesh");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The transport socket of a listener of `own`, which takes nobody but `peer`.
    fn downstream(&self, own: &str, peer: &str) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "common_tls_context": self.context(own, peer),
            },
        })
    }

    /// The transport socket of a cluster that `own` asks, which must be `peer`.
    fn upstream(&self, own: &str, peer: &str) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": self.context(own, peer),
            },
        })
    }

    fn context(&self, own: &str, peer: &str) -> Value {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, own);
        let name = Ia5String::try_from(identity(own)).unwrap();
        params.subject_alt_names = vec![SanType::URI(name)];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        json!({
            "tls_certificates": [{
                "certificate_chain": {"inline_string": certificate.pem()},
                "private_key": {"inline_string": key.serialize_pem()},
            }],
            "validation_context": {
                "trusted_ca": {"inline_string": self.0.pem()},
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"exact": identity(peer)}},
                ],
            },
        })
    }
}

fn identity(service: &str) -> String {
    format!("spiffe://mesh.test/{service}")
}

/// A service that answers every request well, in the protocol that it comes in.
async fn app() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // A broken connection is the other side's business.
                let io = TokioIo::new(connection);
                server.serve_connection(io, service).await.ok();
            });
        }
    });
    (address, serving)
}

fn answer(request: &Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    if content_type != Some(&HeaderValue::from_static("application/grpc")) {
        return Response::new(Full::from("charged\n").boxed());
    }
    let trailers = HeaderMap::from_iter([(
        http::header::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    // An empty message, and that all went well.
    let frames = [
        Frame::data(Bytes::from_static(&[0; 5])),
        Frame::trailers(trailers),
    ];
    let body = StreamBody::new(tokio_stream::iter(frames.map(Ok)));
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}
