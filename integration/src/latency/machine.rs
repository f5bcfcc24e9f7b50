//! Where a measurement was made.

use anyhow::Context;

use super::result::Machine;
use crate::envoy::Envoy;

/// What this machine is, and which Envoy ran on it.
pub(super) async fn of(envoy: &Envoy) -> anyhow::Result<Machine> {
    with(&envoy.get("/server_info").await?)
}

/// What this machine is, with the Envoy that says this about itself.
pub(crate) fn with(server_info: &str) -> anyhow::Result<Machine> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let info: serde_json::Value =
        serde_json::from_str(server_info).context("reading what Envoy says about itself")?;
    let version = info.get("version").and_then(|it| it.as_str());
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    Ok(Machine {
        processor: processor(&cpuinfo).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        processors: processors(&cpuinfo),
        kernel: read("/proc/sys/kernel/osrelease")
            .map_or("unknown".to_owned(), |text| text.trim().to_owned()),
        envoy: version.map_or("unknown", number).to_owned(),
        shares: None,
        is_real_time: false,
        stolen: None,
        load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
    })
}

/// The first `model name : AMD ..`.
fn processor(cpuinfo: &str) -> Option<String> {
    let mut lines = cpuinfo.lines();
    let line = lines.find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// All there are, whatever this process may use: it has left one to Envoy.
fn processors(cpuinfo: &str) -> usize {
    let lines = cpuinfo.lines();
    lines.filter(|line| line.starts_with("processor")).count()
}

/// The 1.40.0 in `9e55/1.40.0/Clean/RELEASE/BoringSSL`.
fn number(version: &str) -> &str {
    version.split('/').nth(1).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_the_kernel_and_envoy_put_them() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t: a\n";
        assert_eq!(processor(cpuinfo), Some("AMD EPYC".to_owned()));
        assert_eq!(processor(""), None);
        assert_eq!(processors(&cpuinfo.repeat(3)), 3);
        assert_eq!(number("9e55/1.40.0/Clean/RELEASE/BoringSSL"), "1.40.0");
        assert_eq!(number("odd"), "odd");
    }
}
