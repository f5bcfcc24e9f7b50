//! Time, chance, logs, properties and configurations.

use wasmtime::{Caller, Linker, Result};

use super::{Call, Host, Status, hostcall};
use crate::wasm_host::abi::{
    BUFFER_GRPC, BUFFER_PLUGIN, BUFFER_REQUEST, BUFFER_RESPONSE, BUFFER_VM,
};
use crate::wasm_host::way::Half;
use std::time::Duration;

/// Level 2 of the ABI is `info`.
const LOG_LEVEL_INFO: u32 = 2;
/// The names of the ABI's log levels.
const LOG_LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];

pub(super) fn add(linker: &mut Linker<Host>) -> Result<()> {
    add_time(linker)?;
    add_log(linker)?;
    add_buffers(linker)?;
    hostcall!(
        linker,
        "proxy_get_property",
        |call, path: u32, path_size: u32, value: u32, size: u32| {
            let path = call.bytes((path, path_size))?;
            match call.host().property(&path) {
                Some(found) => call.give(&found, (value, size)),
                None => Ok(Status::NotFound),
            }
        }
    );
    hostcall!(
        linker,
        "proxy_set_effective_context",
        |call, context: u32| {
            let host = call.host();
            if host.streams.contains_key(&context) || host.roots.contains_key(&context) {
                host.effective = context;
                return Ok(Status::Ok);
            }
            Ok(Status::BadArgument)
        }
    );
    hostcall!(
        linker,
        "proxy_set_tick_period_milliseconds",
        |call, period: u32| {
            let host = call.host();
            let now = host.since_start;
            let id = host.root_id();
            let Some(root) = host.roots.get_mut(&id) else {
                return Ok(Status::BadArgument);
            };
            root.period = Duration::from_millis(period.into());
            root.due = now + root.period;
            Ok(Status::Ok)
        }
    );
    Ok(())
}

fn add_buffers(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_get_buffer_bytes",
        |call, kind: u32, start: u32, most: u32, value: u32, size: u32| {
            let host = call.host();
            let whole = match kind {
                BUFFER_GRPC => host.grpc_answer.clone(),
                BUFFER_REQUEST | BUFFER_RESPONSE => match body(host, kind) {
                    Some(body) => body.clone(),
                    None => return Ok(Status::NotFound),
                },
                BUFFER_VM => Vec::new(),
                BUFFER_PLUGIN => {
                    let root = host.roots.get(&host.root_id());
                    root.map(|root| root.configuration.clone())
                        .unwrap_or_default()
                }
                _ => return Ok(Status::BadArgument),
            };
            let start = usize::try_from(start)?;
            let end = start
                .saturating_add(usize::try_from(most)?)
                .min(whole.len());
            match whole.get(start..end) {
                Some(part) => call.give(part, (value, size)),
                None => Ok(Status::BadArgument),
            }
        }
    );
    hostcall!(
        linker,
        "proxy_set_buffer_bytes",
        |call, kind: u32, start: u32, most: u32, bytes: u32, size: u32| {
            let bytes = call.bytes((bytes, size))?;
            let Some(body) = body(call.host(), kind) else {
                return Ok(Status::NotFound);
            };
            // The host replaces a beginning or adds to the end.
            let start = usize::try_from(start)?;
            if start == 0 {
                let count = usize::try_from(most)?.min(body.len());
                body.splice(..count, bytes);
            } else if body.len() <= start {
                body.extend(bytes);
            } else {
                return Ok(Status::BadArgument);
            }
            Ok(Status::Ok)
        }
    );
    Ok(())
}

/// What is visible of a body.
fn body(host: &mut Host, kind: u32) -> Option<&mut Vec<u8>> {
    let half = match kind {
        BUFFER_REQUEST => Half::Request,
        BUFFER_RESPONSE => Half::Response,
        _ => return None,
    };
    Some(host.stream_mut()?.way(half).visible())
}

fn add_time(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_get_current_time_nanoseconds",
        |call, at: u32| {
            let now = call.host().wall();
            call.put(at, &now.to_le_bytes()).map(|()| Status::Ok)
        }
    );
    let wasi = "wasi_snapshot_preview1";
    linker.func_wrap(
        wasi,
        "clock_time_get",
        |caller: Caller<'_, Host>, clock: u32, _precision: u64, at: u32| {
            let mut call = Call::begin(caller, "clock_time_get");
            let now = match clock {
                0 => call.host().wall(),
                _ => call.host().monotonic(),
            };
            call.put(at, &now.to_le_bytes()).map(|()| 0_u32)
        },
    )?;
    linker.func_wrap(
        wasi,
        "random_get",
        |caller: Caller<'_, Host>, at: u32, size: u32| {
            let mut call = Call::begin(caller, "random_get");
            let mut bytes = Vec::new();
            while bytes.len() < usize::try_from(size)? {
                bytes.extend(call.host().draw().to_le_bytes());
            }
            bytes.truncate(usize::try_from(size)?);
            call.put(at, &bytes).map(|()| 0_u32)
        },
    )?;
    Ok(())
}

fn add_log(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_log",
        |call, level: u32, text: u32, size: u32| {
            let bytes = call.bytes((text, size))?;
            let level = LOG_LEVELS.get(usize::try_from(level)?).unwrap_or(&"?");
            let line = format!("{level}: {}", String::from_utf8_lossy(&bytes));
            call.host().log.push(line);
            Ok(Status::Ok)
        }
    );
    hostcall!(linker, "proxy_get_log_level", |call, at: u32| {
        call.put(at, &LOG_LEVEL_INFO.to_le_bytes())
            .map(|()| Status::Ok)
    });
    Ok(())
}
