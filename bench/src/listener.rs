//! Which process listens on an address of this machine.
//!
//! `/proc/net/tcp` has the sockets of this machine with their inodes, `/proc/PID/fd` the
//! inodes that a process holds (`man 5 proc`). Of one's own processes anybody may know it, of all the administrator.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Nobody on this machine.
    #[error("nobody on this machine listens on {address}")]
    Nobody {
        /// The address.
        address: SocketAddr,
    },
    /// Somebody, but whose files are not to be seen.
    #[error(
        "the process that listens on {address} is not to be seen; run this as its user or as root"
    )]
    Hidden {
        /// The address.
        address: SocketAddr,
    },
}

/// The process that listens on `address`, or on its port of all interfaces.
///
/// # Errors
///
/// When there is none, or this user may not know it.
pub fn process(address: SocketAddr) -> Result<u32, ListenerError> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().find_map(|table| inode(table, address));
    let inode = inode.ok_or(ListenerError::Nobody { address })?;
    holder(&format!("socket:[{inode}]")).ok_or(ListenerError::Hidden { address })
}

/// The inode of the socket that listens there, from a table: (number, local address, remote address, state, .. inode at 9).
fn inode(table: &str, address: SocketAddr) -> Option<&str> {
    const LISTENS: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (ip, port) = columns.get(1)?.split_once(':')?;
        let is_there = u16::from_str_radix(port, 16) == Ok(address.port())
            && (is_any(ip) || ip.eq_ignore_ascii_case(&hex(address.ip())));
        (is_there && columns.get(3) == Some(&LISTENS)).then(|| columns.get(9).copied())?
    })
}

fn is_any(ip: &str) -> bool {
    ip.bytes().all(|digit| digit == b'0')
}

/// As the kernel writes it: each word of four bytes in the order of this machine.
fn hex(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok());
    words
        .map(|word| format!("{:08X}", u32::from_ne_bytes(word)))
        .collect()
}

/// The process one of whose open files is this.
fn holder(file: &str) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|id: &u32| {
            let files = std::fs::read_dir(Path::new("/proc").join(id.to_string()).join("fd"));
            let mut links = files.into_iter().flatten().flatten();
            links.any(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == file))
        })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_process_that_listens_is_found_by_each_of_its_addresses() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            let found = process(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
            assert_eq!(found, std::process::id());
        }
    }

    #[test]
    fn nobody_is_an_error_that_says_where() {
        // Reserved: nobody can listen there.
        let error = process("127.0.0.1:0".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nobody on this machine listens on 127.0.0.1:0"
        );
    }
}
