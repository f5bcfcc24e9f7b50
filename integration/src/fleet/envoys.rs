//! Real Envoys among the nodes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use sloop_controlplane::bootstrap::Inbound;

use super::documents::SERVICE;
use super::plane::Programs;
use super::result::Envoys;
use super::stage::Stage;
use crate::demo::stage::{sidecar, start_envoy};
use crate::envoy::Envoy;
use crate::eventually::eventually;
use crate::ports::free_address;

/// Envoys that run, and what the control plane took for them.
#[derive(Debug)]
pub(super) struct RealEnvoys {
    envoys: Vec<Envoy>,
    bytes: f64,
}

impl RealEnvoys {
    /// Starts `count` of them beside the fleet of `stage`; `None` for none.
    pub(super) fn start(
        count: usize,
        programs: &Programs,
        folder: &Path,
        stage: &mut Stage,
    ) -> anyhow::Result<Option<Self>> {
        if count == 0 {
            return Ok(None);
        }
        let before = stage.plane.memory()?;
        let mut envoys = Vec::new();
        for number in 0..count {
            let node = format!("envoy-{number}");
            // Nobody asks it for anything.
            let app = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
            let inbound = Inbound {
                listen: free_address()?,
                app: app.into(),
            };
            let bootstrap = sidecar(
                (SERVICE, &node),
                (free_address()?, stage.plane.discovery),
                &programs.module,
                (inbound, None),
            );
            let log = folder.join(format!("{node}.log"));
            let handle = stage.plane.handle().clone();
            envoys.push(handle.block_on(start_envoy(bootstrap, 1, log))?);
        }
        stage.pass(super::SETTLE)?;
        let bytes = stage.plane.memory()?.saturating_sub(before);
        Ok(Some(Self {
            envoys,
            bytes: bytes as f64 / count as f64,
        }))
    }

    /// Looks how they stand, and ends them.
    pub(super) fn end(self, stage: &mut Stage) -> anyhow::Result<Envoys> {
        let count = self.envoys.len();
        let admin = &stage.plane.admin;
        let current = eventually(
            super::SETTLE * 10,
            "every Envoy is up to date",
            async || {
                let nodes = admin.nodes().await.ok()?;
                let envoys = nodes.iter().filter(|node| node.node.starts_with("envoy-"));
                let current = envoys.filter(|node| {
                    let mut all = node.resources.iter();
                    node.connected
                        && all.all(|one| one.sent.is_some() && one.sent == one.acknowledged)
                });
                let current = current.count();
                (current == count).then_some(current)
            },
        );
        Ok(Envoys {
            count,
            bytes: self.bytes,
            up_to_date: stage.plane.handle().block_on(current)?,
        })
    }
}
