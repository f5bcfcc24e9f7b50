//! Pieces of YAML.

use std::net::SocketAddr;

use super::Address;

/// A text as a YAML scalar: JSON's quotes are YAML's.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `block` with every line moved to the right.
pub(super) fn indented(by: usize, block: &str) -> String {
    let mut moved = String::with_capacity(block.len() * 2);
    for line in block.lines() {
        if !line.is_empty() {
            moved.extend(std::iter::repeat_n(' ', by));
            moved.push_str(line);
        }
        moved.push('\n');
    }
    moved
}

/// Where Envoy listens.
pub(super) fn socket_address(address: &SocketAddr) -> String {
    block(&address.ip().to_string(), address.port())
}

/// Where Envoy connects to.
pub(super) fn upstream_address(address: &Address) -> String {
    block(address.host(), address.port())
}

fn block(host: &str, port: u16) -> String {
    let host = quoted(host);
    format!("socket_address:\n  address: {host}\n  port_value: {port}\n")
}
