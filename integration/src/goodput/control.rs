//! The control plane of a rival that has one: a process, as in production, with the SLO of the stories as a document.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::demo::stage::{prepare, wait_for_control_plane, wait_for_policies};
use crate::demo::{Admin, Programs};
use crate::ports::free_address;
use crate::process::Guarded;

/// What `declared` of the rivals in virtual time says, as a person writes it.
const DOCUMENTS: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata:
  name: pay
  annotations:
    sloop.dev/mode: actionable
spec:
  service: payments
  budgetingMethod: Occurrences
  timeWindow:
    - duration: 28d
      isRolling: true
  indicator:
    metadata:
      name: pay
    spec:
      thresholdMetric:
        metricSource:
          type: sloop
          spec: {service: payments, route: "*", side: server}
  objectives:
    - target: 0.99
      op: lte
      value: 0.25
"#;

/// A running control plane. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Control {
    discovery: SocketAddr,
    admin: Admin,
    _process: Guarded,
    // After the process that writes into it.
    _folder: TempDir,
}

impl Control {
    /// Starts it, and waits until it answers.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        prepare(folder.path(), DOCUMENTS)?;
        let (discovery, api) = (free_address()?, free_address()?);
        let mut process = Programs::find()?.control_plane(folder.path(), discovery, api)?;
        let admin = Admin::new(api)?;
        wait_for_control_plane(&admin, Some(&mut process)).await?;
        Ok(Self {
            discovery,
            admin,
            _process: process,
            _folder: folder,
        })
    }

    /// Where Envoys ask what they are to do, and filters report.
    pub(super) const fn discovery(&self) -> SocketAddr {
        self.discovery
    }

    /// Waits until the Envoy has accepted what it is to do.
    pub(super) async fn is_obeyed(&self) -> anyhow::Result<()> {
        wait_for_policies(&self.admin, 1).await
    }
}
