//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context;

/// Below the range that the kernel takes for outgoing connections (32768 and up by
/// default), so that no connection takes a port between its choice and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port on which nobody listens and that this process has not handed out before.
///
/// # Errors
///
/// When there is none.
pub fn free() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different places.
    let start = std::process::id().wrapping_mul(7_919) % u32::from(COUNT);
    (0..COUNT)
        .filter_map(|_| {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            u16::try_from((start + step) % u32::from(COUNT)).ok()
        })
        .map(|offset| FIRST + offset)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port")
}

/// An address on the loopback interface with a free port.
///
/// # Errors
///
/// When there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free()?).into())
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_port_is_handed_out_twice() {
        let mut ports: Vec<u16> = (0..50).map(|_| super::free().unwrap()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
