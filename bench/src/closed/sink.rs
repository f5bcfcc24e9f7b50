//! The service behind what is measured: answers always the same, at once or after delays that are known.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a path ends with whose answer is the head of the request, for looking at what arrives.
pub const ECHO: &str = "?echo";

/// Far above the head of a request that is measured.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";

/// A running sink, with a thread for each connection. Dropping it ends the accepting; connections end with their peers.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    served: AtomicU64,
    is_over: AtomicBool,
    /// For one request after the other, for ever; empty for none.
    delays: Vec<Duration>,
}

impl Sink {
    /// A sink on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start() -> io::Result<Self> {
        Self::delaying(Vec::new())
    }

    /// As [`Self::start`], but it waits before it answers: by `delays`, for one request after the other in the order in which
    /// they arrive, and from the beginning again.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn delaying(delays: Vec<Duration>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            delays,
            ..Shared::default()
        });
        let for_thread = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accept(&listener, &for_thread));
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that it answered.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Counts a request, and says how long it has to wait.
    fn serves(&self) -> Duration {
        let before = self.served.fetch_add(1, Ordering::Relaxed);
        let before = usize::try_from(before).unwrap_or(0);
        let index = before.checked_rem(self.delays.len()).unwrap_or(0);
        self.delays.get(index).copied().unwrap_or_default()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts. When nobody accepts, it has ended.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        // A peer that went away between its call and our answer is no reason to stop.
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A connection that breaks has a peer that notices.
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

/// Answers until the peer ends the connection, or sends what has a body.
fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; HEAD_BYTES_MAX];
    let mut filled = 0;
    loop {
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let more = stream.read(free)?;
        if more == 0 {
            return Ok(());
        }
        filled += more;
        let head = buffer.get(..filled).unwrap_or_default();
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let Some(rest) = head.strip_prefix(b"GET ") else {
            return Ok(());
        };
        let delay = shared.serves();
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let path = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
        if path.ends_with(ECHO.as_bytes()) {
            let begin = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
            stream.write_all(begin.as_bytes())?;
            stream.write_all(head)?;
        } else {
            stream.write_all(ANSWER)?;
        }
        filled = 0;
    }
}
