//! How a sidecar proves who it is to the control plane.

use super::Address;
use super::text::quoted;

/// What the way to the control plane is secured with. Files are named as Envoy sees them; it reads
/// them when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The sidecar's certificate and those that lead to a root, PEM. It names the workload: `spiffe://...`.
    pub cert: String,
    /// Its private key, PEM.
    pub key: String,
    /// Roots of the control plane's certificate, PEM.
    pub ca: String,
    /// A name that the control plane's certificate must have: one of DNS, an IP address, or a URI as `spiffe://...`.
    pub server_name: String,
}

impl ClientTls {
    /// The transport socket of the control plane's cluster.
    pub(super) fn transport_socket(&self, control_plane: &Address) -> String {
        let (cert, key, ca) = (quoted(&self.cert), quoted(&self.key), quoted(&self.ca));
        let (kind, name) = (self.kind(), quoted(&self.server_name));
        format!(
            r#"transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
{sni}    common_tls_context:
      alpn_protocols: [h2]
      # Envoy's clients would stop at 1.2.
      tls_params:
        tls_minimum_protocol_version: TLSv1_3
        tls_maximum_protocol_version: TLSv1_3
      tls_certificates:
      - certificate_chain:
          filename: {cert}
        private_key:
          filename: {key}
      validation_context:
        trusted_ca:
          filename: {ca}
        match_typed_subject_alt_names:
        - san_type: {kind}
          matcher:
            exact: {name}
"#,
            sni = sni(control_plane)
        )
    }

    fn kind(&self) -> &'static str {
        if self.server_name.contains("://") {
            "URI"
        } else if is_ip(&self.server_name) {
            "IP_ADDRESS"
        } else {
            "DNS"
        }
    }
}

/// Only names are indicated, not addresses (RFC 6066, 3).
fn sni(control_plane: &Address) -> String {
    let host = control_plane.host();
    if is_ip(host) {
        String::new()
    } else {
        format!("    sni: {}\n", quoted(host))
    }
}

fn is_ip(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(control_plane: &str, server_name: &str) -> String {
        let tls = ClientTls {
            cert: "/tls/a\"b.pem".to_owned(),
            key: "/tls/key.pem".to_owned(),
            ca: "/tls/ca.pem".to_owned(),
            server_name: server_name.to_owned(),
        };
        tls.transport_socket(&control_plane.parse().unwrap())
    }

    #[test]
    fn names_are_matched_by_their_kind() {
        let cases = [
            ("sloop", "san_type: DNS\n"),
            ("10.0.0.1", "san_type: IP_ADDRESS\n"),
            ("::1", "san_type: IP_ADDRESS\n"),
            ("spiffe://a/sloop", "san_type: URI\n"),
        ];
        for (name, kind) in cases {
            let yaml = socket("sloop:9901", name);
            assert!(yaml.contains(kind) && yaml.contains(&format!("exact: \"{name}\"\n")));
        }
    }

    #[test]
    fn a_host_is_indicated_and_an_address_is_not() {
        assert!(socket("sloop.example:9901", "sloop").contains("    sni: \"sloop.example\"\n"));
        assert!(!socket("10.0.0.1:9901", "sloop").contains("sni"));
    }

    #[test]
    fn what_comes_from_outside_is_quoted() {
        assert!(socket("sloop:1", "sloop").contains(r#"filename: "/tls/a\"b.pem""#));
    }
}
