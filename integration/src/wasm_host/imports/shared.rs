//! What VMs of one Envoy share: metrics and data.

use wasmtime::{Linker, Result};

use super::{Host, Status, hostcall};
use crate::wasm_host::host::{Metric, SharedTrouble};

/// The ABI's number of counters among the kinds of metrics.
const COUNTER: u32 = 0;

pub(super) fn add(linker: &mut Linker<Host>) -> Result<()> {
    add_metrics(linker)?;
    hostcall!(
        linker,
        "proxy_get_shared_data",
        |call, key: u32, key_size: u32, value: u32, size: u32, version_at: u32| {
            let key = call.bytes((key, key_size))?;
            if call.host().shared_trouble == SharedTrouble::Gone {
                return Ok(Status::InternalFailure);
            }
            let known = call.host().shared().get(&key).cloned();
            let Some((found, version)) = known else {
                return Ok(Status::NotFound);
            };
            call.put(version_at, &version.to_le_bytes())?;
            call.give(&found, (value, size))
        }
    );
    hostcall!(
        linker,
        "proxy_set_shared_data",
        |call, key: u32, key_size: u32, value: u32, size: u32, version: u32| {
            let key = call.bytes((key, key_size))?;
            let value = call.bytes((value, size))?;
            let host = call.host();
            match &mut host.shared_trouble {
                SharedTrouble::Gone => return Ok(Status::InternalFailure),
                SharedTrouble::Contended(times) if 0 < *times => {
                    *times -= 1;
                    return Ok(Status::CasMismatch);
                }
                SharedTrouble::None | SharedTrouble::Contended(_) => {}
            }
            let mut shared = host.shared();
            let known = shared.get(&key).map_or(0, |(_, version)| *version);
            if version != 0 && version != known {
                return Ok(Status::CasMismatch);
            }
            shared.insert(key, (value, known + 1));
            Ok(Status::Ok)
        }
    );
    Ok(())
}

fn add_metrics(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_define_metric",
        |call, kind: u32, name: u32, size: u32, id_at: u32| {
            let name = call.text((name, size))?;
            let metrics = &mut call.host().metrics;
            let known = metrics.iter().position(|metric| metric.name == name);
            let at = known.unwrap_or(metrics.len());
            if known.is_none() {
                metrics.push(Metric {
                    name,
                    is_counter: kind == COUNTER,
                    value: 0,
                });
            }
            let id = u32::try_from(at + 1)?;
            call.put(id_at, &id.to_le_bytes()).map(|()| Status::Ok)
        }
    );
    hostcall!(
        linker,
        "proxy_increment_metric",
        |call, id: u32, by: i64| {
            let Some(metric) = call.host().metric(id) else {
                return Ok(Status::NotFound);
            };
            if metric.is_counter && by <= 0 {
                return Ok(Status::BadArgument);
            }
            metric.value += by;
            Ok(Status::Ok)
        }
    );
    hostcall!(
        linker,
        "proxy_record_metric",
        |call, id: u32, value: i64| {
            let Some(metric) = call.host().metric(id) else {
                return Ok(Status::NotFound);
            };
            metric.value = value;
            Ok(Status::Ok)
        }
    );
    hostcall!(
        linker,
        "proxy_get_metric",
        |call, id: u32, value_at: u32| {
            let Some(value) = call.host().metric(id).map(|metric| metric.value) else {
                return Ok(Status::NotFound);
            };
            call.put(value_at, &value.to_le_bytes())
                .map(|()| Status::Ok)
        }
    );
    Ok(())
}
