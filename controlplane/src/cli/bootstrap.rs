//! `sloop bootstrap`.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use clap::Args;
use sloop_model::ServiceName;
use sloop_xds::Locality;

use super::output::CliError;
use crate::ads::Variant;
use crate::bootstrap::{
    Address, Bootstrap, ClientTls, FleetBootstrap, Inbound, Outbound, Upstream,
};

const EXAMPLE: &str = "Example:
  sloop bootstrap --node checkout-1 --service checkout --control-plane sloop:9901 \\
    --module /etc/sloop/sloop_filter.wasm --admin-port 9900 \\
    --inbound 0.0.0.0:8080=127.0.0.1:3000 \\
    --outbound 127.0.0.1:8081 --upstream payments=payments:8080 > envoy.yaml
  envoy -c envoy.yaml
  sloop bootstrap --fleet --node edge-1 --service edge --zone eu-1a --control-plane sloop:9901 --admin-port 9900";

/// Also for `sloop serve`, so where it is set it need not be meant for this.
const MODULE: &str = "SLOOP_MODULE";

/// Why a bootstrap would be none that an Envoy takes, or not what was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBootstrap {
    /// Nobody would be listened to.
    #[error(
        "a sidecar takes requests to its service (--inbound), those of its service (--outbound with --upstream), or both; \
         give one of them, or --fleet"
    )]
    Deaf,
    /// Two places for one service.
    #[error(
        "--upstream {service} is given twice; a service has one address here, and documents (EnvoyResource) can give it more"
    )]
    Repeated {
        /// The service.
        service: ServiceName,
    },
    /// What is pushed to a fleet says where its module is.
    #[error("--module means nothing with --fleet: documents say which filters there are")]
    Module,
}

/// A sidecar.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct BootstrapArgs {
    /// Envoy's node id, unique among all sidecars.
    #[arg(long, value_name = "ID")]
    node: String,
    /// The service that the sidecar belongs to.
    #[arg(long, value_name = "NAME", value_parser = service)]
    service: ServiceName,
    /// Where the control plane listens (`sloop serve --listen`).
    #[arg(long, value_name = "HOST:PORT")]
    control_plane: Address,
    /// An Envoy that gets its listeners, clusters and all from documents (`EnvoyResource`).
    #[arg(long, conflicts_with_all = ["inbound", "outbound", "upstream"])]
    fleet: bool,
    /// Where it runs, for selectors.
    #[arg(long, value_name = "NAME", default_value = "")]
    region: String,
    /// Where it runs, for selectors.
    #[arg(long, value_name = "NAME", default_value = "")]
    zone: String,
    /// Where it runs, for selectors.
    #[arg(long, value_name = "NAME", default_value = "")]
    sub_zone: String,
    /// What else selectors may ask for. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Path of the filter's module, as Envoy sees it.
    #[arg(
        long,
        value_name = "PATH",
        env = MODULE,
        required_unless_present = "fleet"
    )]
    module: Option<String>,
    /// Port of Envoy's own admin interface, on 127.0.0.1.
    #[arg(long, value_name = "PORT")]
    admin_port: u16,
    /// Where Envoy listens for requests to the service, and where the service is.
    #[arg(long, value_name = "LISTEN=APP")]
    inbound: Option<Way>,
    /// Where Envoy listens for requests of the service to others.
    #[arg(long, value_name = "LISTEN", requires = "upstream")]
    outbound: Option<SocketAddr>,
    /// A service that is asked, and where it is; its name is the authority (`Host`). May be repeated.
    #[arg(long, value_name = "NAME=HOST:PORT", requires = "outbound")]
    upstream: Vec<Named>,
    /// Ask for the state of the world each time, instead of changes.
    #[arg(long)]
    sotw: bool,
    /// Time between reports in milliseconds, until the control plane says otherwise.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=60_000), conflicts_with = "fleet")]
    report_interval: u32,
    #[command(flatten)]
    tls: ClientTlsArgs,
    /// A collector that takes OTLP over gRPC; documents turn spans on with `spans: {cluster: otel_collector}`.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "fleet")]
    collector: Option<Address>,
}

/// How the way to the control plane is secured. All three files or none.
#[derive(Args, Debug)]
#[group(requires_all = ["tls_cert", "tls_key", "tls_ca"])]
pub(super) struct ClientTlsArgs {
    /// The sidecar's certificate, PEM, as Envoy sees it. It names the workload: spiffe://...
    #[arg(long, value_name = "PATH")]
    tls_cert: Option<String>,
    /// Its private key, PEM, as Envoy sees it.
    #[arg(long, value_name = "PATH")]
    tls_key: Option<String>,
    /// Roots of the control plane's certificate, PEM, as Envoy sees them.
    #[arg(long, value_name = "PATH")]
    tls_ca: Option<String>,
    /// Name that the control plane's certificate must have, also spiffe://...; the host of --control-plane when left out.
    #[arg(long, value_name = "NAME", requires = "tls_cert")]
    tls_server_name: Option<String>,
}

impl ClientTlsArgs {
    pub(super) fn of(self, control_plane: &Address) -> Option<ClientTls> {
        let host = || control_plane.host().to_owned();
        Some(ClientTls {
            cert: self.tls_cert?,
            key: self.tls_key?,
            ca: self.tls_ca?,
            server_name: self.tls_server_name.unwrap_or_else(host),
        })
    }
}

/// Where to listen and where to send.
#[derive(Clone, Debug)]
struct Way {
    listen: SocketAddr,
    app: Address,
}

/// A service and where it is.
#[derive(Clone, Debug)]
struct Named {
    service: ServiceName,
    address: Address,
}

impl FromStr for Way {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let (listen, app) = parts(given, "LISTEN=APP, as 0.0.0.0:8080=127.0.0.1:3000")?;
        Ok(Self {
            listen: listen
                .parse()
                .map_err(|error| format!("{listen:?} is no IP address with a port: {error}"))?,
            app: address(app)?,
        })
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let (name, place) = parts(given, "NAME=HOST:PORT, as payments=payments:8080")?;
        Ok(Self {
            service: service(name)?,
            address: address(place)?,
        })
    }
}

fn parts<'a>(given: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    given
        .split_once('=')
        .ok_or_else(|| format!("{given:?} has no '='; write {form}"))
}

fn pair(given: &str) -> Result<(String, String), String> {
    let (name, value) = parts(given, "NAME=VALUE, as tier=gold")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn service(name: &str) -> Result<ServiceName, String> {
    ServiceName::try_from(name).map_err(|error| error.to_string())
}

fn address(given: &str) -> Result<Address, String> {
    Address::from_str(given).map_err(|error| error.to_string())
}

impl From<BootstrapArgs> for FleetBootstrap {
    fn from(args: BootstrapArgs) -> Self {
        Self {
            variant: args.variant(),
            locality: args.locality(),
            node: args.node,
            service: args.service,
            metadata: args.metadata.into_iter().collect(),
            admin: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.admin_port),
            tls: args.tls.of(&args.control_plane),
            control_plane: args.control_plane,
        }
    }
}

impl BootstrapArgs {
    /// Checks what flags say together, where the environment says that the module is at `module`.
    fn check(&self, module: Option<&str>) -> Result<(), InvalidBootstrap> {
        if self.fleet {
            let is_meant = self.module.is_some() && self.module.as_deref() != module;
            return if is_meant {
                Err(InvalidBootstrap::Module)
            } else {
                Ok(())
            };
        }
        if self.inbound.is_none() && self.outbound.is_none() {
            return Err(InvalidBootstrap::Deaf);
        }
        let mut seen = BTreeSet::new();
        for Named { service, .. } in &self.upstream {
            // Envoy compares authorities without case.
            if !seen.insert(service.as_str().to_ascii_lowercase()) {
                let service = service.clone();
                return Err(InvalidBootstrap::Repeated { service });
            }
        }
        Ok(())
    }

    fn locality(&self) -> Locality {
        Locality {
            region: self.region.clone(),
            zone: self.zone.clone(),
            sub_zone: self.sub_zone.clone(),
        }
    }

    const fn variant(&self) -> Variant {
        if self.sotw {
            Variant::Sotw
        } else {
            Variant::Delta
        }
    }
}

impl From<BootstrapArgs> for Bootstrap {
    fn from(args: BootstrapArgs) -> Self {
        let upstream = |named: Named| Upstream {
            authorities: vec![named.service.as_str().to_owned()],
            service: named.service,
            address: named.address,
        };
        let (variant, locality) = (args.variant(), args.locality());
        let upstreams = args.upstream.into_iter().map(upstream).collect();
        Self {
            node: args.node,
            service: args.service,
            locality,
            metadata: args.metadata.into_iter().collect(),
            admin: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.admin_port),
            tls: args.tls.of(&args.control_plane),
            control_plane: args.control_plane,
            variant,
            module: args.module.unwrap_or_default(),
            report_interval_ms: args.report_interval,
            collector: args.collector,
            inbound: args.inbound.map(|way| Inbound {
                listen: way.listen,
                app: way.app,
            }),
            outbound: args.outbound.map(|listen| Outbound { listen, upstreams }),
        }
    }
}

pub(super) fn run(args: BootstrapArgs, out: &mut dyn Write) -> Result<(), CliError> {
    args.check(std::env::var(MODULE).ok().as_deref())?;
    let yaml = if args.fleet {
        FleetBootstrap::from(args).to_yaml()
    } else {
        Bootstrap::from(args).to_yaml()
    };
    Ok(out.write_all(yaml.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        bootstrap: BootstrapArgs,
    }

    /// What is wrong with these flags. The environment may have a module.
    fn wrong(flags: &str) -> String {
        let required = "sloop --node n --service s --control-plane c:1 --admin-port 1";
        let given = required.split(' ').chain(flags.split(' '));
        match Program::try_parse_from(given) {
            Ok(program) => {
                let named = std::env::var(MODULE).ok();
                let checked = program.bootstrap.check(named.as_deref());
                checked.err().map(|it| it.to_string()).unwrap_or_default()
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_no_envoy_would_take_is_refused() {
        let inbound = "--module m --inbound 127.0.0.1:1=127.0.0.1:2";
        let outbound = "--module m --outbound 127.0.0.1:1 --upstream p=p:1 --upstream q=p:1";
        for fine in [inbound, outbound, "--fleet"] {
            assert_eq!(wrong(fine), "", "{fine}");
        }
        assert!(wrong("--module m").contains("--inbound"));
        let twice = wrong(&format!("{outbound} --upstream P=p:2"));
        assert!(twice.starts_with("--upstream P is given twice"), "{twice}");
    }

    #[test]
    fn what_means_nothing_to_a_fleet_is_refused() {
        assert!(wrong("--fleet --report-interval 500").contains("cannot be used with"));
        assert!(wrong("--fleet --module m").starts_with("--module means nothing"));
        let given =
            "sloop --fleet --node n --service s --control-plane c:1 --admin-port 1 --module m";
        let program = Program::try_parse_from(given.split(' ')).unwrap();
        assert_eq!(
            program.bootstrap.check(Some("m")),
            Ok(()),
            "it is for serve"
        );
    }
}
