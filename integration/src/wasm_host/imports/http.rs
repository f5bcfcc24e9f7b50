//! Headers of a stream, and what becomes of it.

use wasmtime::{Linker, Result};

use super::{Call, Host, Status, Text, hostcall};
use crate::wasm_host::abi::{self, Headers, Map, STREAM_REQUEST, STREAM_RESPONSE};
use crate::wasm_host::stream::{Phase, Reply};
use crate::wasm_host::way::Half;

pub(super) fn add(linker: &mut Linker<Host>) -> Result<()> {
    add_reading(linker)?;
    add_writing(linker)?;
    hostcall!(linker, "proxy_continue_stream", |call, way: u32| {
        let half = match way {
            STREAM_REQUEST => Half::Request,
            STREAM_RESPONSE => Half::Response,
            _ => return Ok(Status::BadArgument),
        };
        let host = call.host();
        let context = host.effective;
        let Some(stream) = host.stream_mut() else {
            return Ok(Status::BadArgument);
        };
        if stream.resume(half) {
            host.resumed.push((context, half));
        }
        Ok(Status::Ok)
    });
    hostcall!(linker, "proxy_close_stream", |call, _way: u32| {
        let stream = call.host().stream_mut();
        Ok(stream.map_or(Status::BadArgument, |stream| stream.close()))
    });
    hostcall!(
        linker,
        "proxy_send_local_response",
        |call,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         grpc_status: i32| {
            let reply = Reply {
                status,
                // Envoy writes details into access logs, where a space would end the field.
                details: call.text((details, details_size))?.replace(' ', "_"),
                body: call.bytes((body, body_size))?,
                grpc_status,
            };
            let Some(headers) = abi::decode(&call.bytes((headers, headers_size))?) else {
                return Ok(Status::BadArgument);
            };
            let host = call.host();
            let context = host.effective;
            let Some(stream) = host.stream_mut() else {
                return Ok(Status::BadArgument);
            };
            let is_shown = !stream.is_responding;
            stream.answer(reply, headers);
            if is_shown {
                host.replied.push(context);
            }
            Ok(Status::Ok)
        }
    );
    Ok(())
}

fn add_reading(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_get_header_map_pairs",
        |call, map: u32, value: u32, size: u32| {
            let Some(headers) = map_of(&mut call, map) else {
                return Ok(Status::BadArgument);
            };
            let encoded = abi::encode(headers);
            call.give(&encoded, (value, size))
        }
    );
    hostcall!(
        linker,
        "proxy_get_header_map_value",
        |call, map: u32, name: u32, name_size: u32, value: u32, size: u32| {
            let name = call.bytes((name, name_size))?;
            let Some(headers) = map_of(&mut call, map) else {
                // A map may be missing in `on_log` only.
                let is_log = call
                    .host()
                    .stream()
                    .is_some_and(|stream| stream.phase == Phase::Log);
                let status = if is_log {
                    Status::NotFound
                } else {
                    Status::BadArgument
                };
                return Ok(status);
            };
            let found = headers.iter().find(|(other, _)| *other == name);
            let found = found.map(|(_, value)| value.clone());
            match found {
                Some(found) => call.give(&found, (value, size)),
                None => Ok(Status::NotFound),
            }
        }
    );
    Ok(())
}

fn add_writing(linker: &mut Linker<Host>) -> Result<()> {
    hostcall!(
        linker,
        "proxy_add_header_map_value",
        |call, map: u32, name: u32, name_size: u32, value: u32, size: u32| {
            write(
                &mut call,
                map,
                (name, name_size),
                |headers, name, value| {
                    headers.push((name, value));
                },
                (value, size),
            )
        }
    );
    hostcall!(
        linker,
        "proxy_replace_header_map_value",
        |call, map: u32, name: u32, name_size: u32, value: u32, size: u32| {
            write(
                &mut call,
                map,
                (name, name_size),
                |headers, name, value| {
                    headers.retain(|(other, _)| *other != name);
                    headers.push((name, value));
                },
                (value, size),
            )
        }
    );
    hostcall!(
        linker,
        "proxy_remove_header_map_value",
        |call, map: u32, name: u32, size: u32| {
            write(
                &mut call,
                map,
                (name, size),
                |headers, name, _| {
                    headers.retain(|(other, _)| *other != name);
                },
                (0, 0),
            )
        }
    );
    Ok(())
}

fn map_of<'a>(call: &'a mut Call<'_>, map: u32) -> Option<&'a Headers> {
    call.host().stream()?.map(Map::from_number(map)?)
}

fn write(
    call: &mut Call<'_>,
    map: u32,
    name: Text,
    change: impl FnOnce(&mut Headers, Vec<u8>, Vec<u8>),
    value: Text,
) -> Result<Status> {
    let (name, value) = (call.bytes(name)?, call.bytes(value)?);
    let headers = Map::from_number(map).and_then(|map| call.host().stream_mut()?.map_mut(map));
    let Some(headers) = headers else {
        return Ok(Status::BadArgument);
    };
    change(headers, name, value);
    Ok(Status::Ok)
}
