//! The whole control plane in this process, with a folder of documents.

use std::net::SocketAddr;
use std::time::Duration;

use sloop_controllers::ConfigSettings;
use sloop_controlplane::admin::api::{Event, FilterInForce, Happened, List, NodeStatus};
use sloop_controlplane::ads::LoadSettings;
use sloop_controlplane::limits::Limits;
use sloop_controlplane::publish::PublishSettings;
use sloop_controlplane::serve::{ApiSettings, ServeSettings, serve};
use sloop_integration::demo::admin::Client;
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_model::{ReportSettings, TraceSettings};
use sloop_xds::rollout::RolloutPace;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::SOON;

/// Of an Envoy; each has a VM, and in it a filter of each side.
const WORKERS: usize = 2;

/// What `sloop serve` runs, and where it is asked.
pub struct Control {
    folder: TempDir,
    /// Discovery and reports.
    pub grpc: SocketAddr,
    api: Client,
    stop: Option<oneshot::Sender<()>>,
}

impl Control {
    /// Sidecars run `module`.
    pub async fn start(module: String) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("documents")).unwrap();
        let (grpc, admin) = (
            ports::free_address().unwrap(),
            ports::free_address().unwrap(),
        );
        let settings = ServeSettings {
            documents: folder.path().join("documents"),
            listen: grpc,
            admin,
            store: folder.path().join("store"),
            publish: PublishSettings {
                config: ConfigSettings {
                    report: Some(ReportSettings {
                        cluster: "sloop_xds".to_owned(),
                        interval_ms: 100,
                    }),
                    trace: TraceSettings::default(),
                },
                module,
                ttl: None,
            },
            record: None,
            tls: None,
            limits: Limits::default(),
            api: ApiSettings::default(),
            otlp: None,
            // Answers that fail are asked for here, and would take back what is tried.
            rollout: RolloutPace::NONE,
            loads: LoadSettings::default(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            serve(settings, stopped).await.unwrap();
        });
        let api = Client::new(admin).unwrap();
        let control = Self {
            folder,
            grpc,
            api,
            stop: Some(stop),
        };
        eventually(SOON, "the control plane is ready", async || {
            control.list::<Event>("/v1/events").await
        })
        .await
        .unwrap();
        control
    }

    /// Puts `documents` in the place of those that were there.
    pub fn declare(&self, documents: &str) {
        let file = self.folder.path().join("documents/all.yaml");
        std::fs::write(file, documents).unwrap();
    }

    /// The items at `path` of the HTTP API; nothing when it does not answer.
    pub async fn list<T: serde::de::DeserializeOwned>(&self, path: &str) -> Option<Vec<T>> {
        let list: List<T> = self.api.get(path).await.ok()?;
        Some(list.items)
    }

    /// Whether every worker of the only sidecar runs with what its Envoy accepted last. One that no request came to says
    /// nothing of itself.
    ///
    /// A worker that is still busy with that accepts no connection: however many requests find the new, they may all
    /// have met the others.
    pub async fn is_everywhere(&self) -> bool {
        let nodes: Vec<NodeStatus> = self.list("/v1/nodes").await.unwrap_or_default();
        let filters: Vec<_> = nodes.iter().flat_map(|it| &it.filters).collect();
        let has = |it: &&FilterInForce| it.accepted == Some(it.generation);
        filters.len() == 2 * WORKERS && filters.iter().all(has)
    }

    /// Waits for an event.
    pub async fn happened(&self, what: &str, is_it: impl Fn(&Happened) -> bool) {
        eventually(SOON, what, async || {
            let events: Vec<Event> = self.list("/v1/events").await?;
            events
                .iter()
                .any(|event| is_it(&event.happened))
                .then_some(())
        })
        .await
        .unwrap();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// An hour from now, for `expires_at_ms`.
pub fn expiry() -> u64 {
    let hour = Duration::from_secs(3_600);
    sloop_controlplane::clock::wall().after(hour).as_millis()
}
