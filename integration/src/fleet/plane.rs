//! The control plane that is measured: the real program, as a process of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sloop_bench::fleet::Secured;
use sloop_bench::{memory, schedstat};
use sloop_controlplane::admin::api::{Event, Happened};
use sloop_model::Side;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::documents::{access, documents};
use crate::demo::Admin;
use crate::demo::stage::{prepare, wait_for_control_plane};
use crate::ports::free_address;
use crate::process::{Guarded, Program};

/// What is needed to start it.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The control plane.
    pub sloop: PathBuf,
    /// Further arguments of `sloop serve`.
    pub arguments: Vec<String>,
    /// The filter, as real Envoys see it.
    pub module: PathBuf,
}

/// A running control plane. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Plane {
    process: Guarded,
    pub(super) discovery: SocketAddr,
    pub(super) admin: Admin,
    api: SocketAddr,
    folder: PathBuf,
    /// Who may be whose sidecar, as documents.
    rules: String,
    /// Of the documents.
    number: u64,
    handle: Handle,
}

impl Plane {
    /// Starts it in `folder`, which is made anew, and waits until it answers.
    pub(super) fn start(
        programs: &Programs,
        folder: PathBuf,
        secured: Option<&Secured>,
        handle: Handle,
    ) -> anyhow::Result<Self> {
        let rules = secured.map_or_else(String::new, |it| access(&it.identities));
        prepare(&folder, &(documents(0) + &rules))?;
        let (discovery, api) = (free_address()?, free_address()?);
        let mut process = Program::new("sloop", &programs.sloop)
            .arg("serve")
            .arg("--documents")
            .arg(folder.join("documents"))
            .args(["--listen", &discovery.to_string()])
            .args(["--admin", &api.to_string()])
            .arg("--store")
            .arg(folder.join("store"))
            .arg("--module")
            .arg(&programs.module)
            // What is measured is how soon all have a change, not how long few try it.
            .args(["--rollout-first", "0"])
            // All come from one address.
            .args(["--limit", "new_streams_per_identity_burst=20000"])
            // A few connections carry the reports of a whole fleet.
            .args(["--limit", "calls_per_second=1000000"])
            .args(["--limit", "calls_burst=1000000"])
            .args(secure(secured, &folder)?)
            .args(&programs.arguments)
            .start(folder.join("sloop.log"))?;
        let admin = Admin::new(api)?;
        handle.block_on(wait_for_control_plane(&admin, Some(&mut process)))?;
        Ok(Self {
            process,
            discovery,
            admin,
            api,
            folder,
            rules,
            number: 0,
            handle,
        })
    }

    /// Says something else from now on, as editors do: whole, under another name, then renamed.
    pub(super) fn change(&mut self) -> anyhow::Result<()> {
        self.number += 1;
        let draft = self.folder.join("draft");
        std::fs::write(&draft, documents(self.number) + &self.rules)
            .context("writing documents")?;
        let place = self.folder.join("documents/demo.yaml");
        std::fs::rename(draft, place).context("writing documents")
    }

    /// How long its threads have been on processors.
    pub(super) fn time(&self) -> anyhow::Result<Duration> {
        Ok(schedstat::process_time(self.process.id())?)
    }

    /// Bytes of its memory that belong to no file.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        Ok(memory::anonymous_bytes(self.process.id())?)
    }

    /// The id of the last event.
    pub(super) fn last_event(&self) -> anyhow::Result<u64> {
        let events = self.handle.block_on(self.admin.events(0))?;
        Ok(events.last().map_or(0, |event| event.id))
    }

    /// Asks, beside everything else, when what was pushed after the event `since` was decided.
    pub(super) fn ask_when(&self, since: u64) -> anyhow::Result<JoinHandle<Option<Duration>>> {
        let admin = Admin::new(self.api)?;
        Ok(self.handle.spawn(async move {
            let events = admin.events(since).await.ok()?;
            pushed_at(&events)
        }))
    }

    /// The end of its log.
    pub(super) fn log_end(&self) -> String {
        self.process.log_end()
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Puts certificates into `folder`; the arguments by which they are found.
fn secure(secured: Option<&Secured>, folder: &Path) -> anyhow::Result<Vec<OsString>> {
    let mut arguments = Vec::new();
    let files = secured.into_iter().flat_map(|it| {
        [
            ("--tls-cert", "server.pem", &it.server_cert),
            ("--tls-key", "server.key", &it.server_key),
            ("--client-ca", "roots.pem", &it.root),
        ]
    });
    for (argument, name, content) in files {
        let path = folder.join(name);
        std::fs::write(&path, content).context("writing certificates")?;
        arguments.extend([argument.into(), path.into_os_string()]);
    }
    Ok(arguments)
}

/// When the newest configuration for the service's own side was made.
fn pushed_at(events: &[Event]) -> Option<Duration> {
    let push = events.iter().rev().find(|event| {
        let side = Side::Server;
        matches!(&event.happened, Happened::Push { side: of, .. } if *of == side)
    })?;
    Some(Duration::from_millis(push.at_ms))
}
