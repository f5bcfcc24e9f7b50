//! Calls of the filter to the control plane.

use std::time::Duration;

use wasmtime::{Linker, Result};

use super::{Host, Status, hostcall};
use crate::wasm_host::GrpcCall;

pub(super) fn add(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_grpc_call",
        |call,
         cluster: u32,
         cluster_size: u32,
         service: u32,
         service_size: u32,
         method: u32,
         method_size: u32,
         _metadata: u32,
         _metadata_size: u32,
         message: u32,
         message_size: u32,
         timeout_ms: u32,
         token_at: u32| {
            let cluster = call.text((cluster, cluster_size))?;
            let service = call.text((service, service_size))?;
            let method = call.text((method, method_size))?;
            let message = call.bytes((message, message_size))?;
            let host = call.host();
            if host.clusters_gone.contains(&cluster) {
                return Ok(Status::ParseFailure);
            }
            host.last_token += 1;
            let made = GrpcCall {
                token: host.last_token,
                cluster,
                service,
                method,
                message,
                timeout: Duration::from_millis(timeout_ms.into()),
                context: host.root_id(),
            };
            let token = made.token;
            host.calls.insert(token, made);
            call.put(token_at, &token.to_le_bytes())
                .map(|()| Status::Ok)
        }
    );
    hostcall!(linker, "proxy_grpc_cancel", |call, token: u32| {
        let known = call.host().calls.remove(&token);
        Ok(if known.is_some() {
            Status::Ok
        } else {
            Status::NotFound
        })
    });
    hostcall!(linker, "proxy_grpc_close", |call, token: u32| {
        let known = call.host().calls.remove(&token);
        Ok(if known.is_some() {
            Status::Ok
        } else {
            Status::NotFound
        })
    });
    hostcall!(
        linker,
        "proxy_get_status",
        |call, code: u32, value: u32, size: u32| {
            let status = call.host().grpc_status;
            call.put(code, &status.to_le_bytes())?;
            call.give(b"", (value, size))
        }
    );
    Ok(())
}
