//! Bytes on the wire, for what no HTTP library would send.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than any answer that a test waits for.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A `GET` of `path` with these header lines, on a connection of its own.
pub fn get(path: &[u8], lines: &[(&str, &[u8])]) -> Vec<u8> {
    request("GET", path, lines)
}

/// As [`get`], by another method.
pub fn request(method: &str, path: &[u8], lines: &[(&str, &[u8])]) -> Vec<u8> {
    let mut request = [
        method.as_bytes(),
        b" ",
        path,
        b" HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n",
    ]
    .concat();
    for (name, value) in lines {
        request.extend([name.as_bytes(), b": ", *value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request
}

/// Sends `request` and returns all that comes until the other side closes.
pub async fn ask(to: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(to).await.unwrap();
    let mut answer = Vec::new();
    let exchange = async {
        // Who refuses a request may close before it is sent whole.
        let _ = connection.write_all(request).await;
        let _ = connection.read_to_end(&mut answer).await;
    };
    timeout(ANSWER_WITHIN, exchange).await.expect("an answer");
    answer
}

/// The status of an answer; none where nothing came.
pub fn status(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A service that reads heads of requests, however large or odd, and answers with the same bytes each.
pub struct RawApp {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<Vec<u8>>>>,
    accepting: tokio::task::JoinHandle<()>,
}

/// How one request is answered.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// With these bytes.
    Say(&'static [u8]),
    /// Not at all, and the connection stays open.
    Ignore,
    /// With these bytes, and the connection is closed then.
    Close(&'static [u8]),
}

/// Answers "ok".
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl RawApp {
    /// Answers each request with `answer`, and closes the connection then if that `is_last`.
    pub async fn start(answer: &'static [u8], is_last: bool) -> Self {
        let turn = if is_last {
            Turn::Close(answer)
        } else {
            Turn::Say(answer)
        };
        Self::start_in_turn(vec![turn]).await
    }

    /// Answers requests in their order, whatever connections they come on; after the last turn comes the first.
    pub async fn start_in_turn(turns: Vec<Turn>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let kept = Arc::clone(&heads);
        let turns = Arc::new(Mutex::new(turns.into_iter().cycle()));
        let accepting = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (kept, turns) = (Arc::clone(&kept), Arc::clone(&turns));
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    while let Some(head) = head(&mut connection, &mut bytes).await {
                        kept.lock().unwrap().push(head);
                        let turn = turns.lock().unwrap().next().unwrap();
                        let (answer, is_last) = match turn {
                            Turn::Say(answer) => (answer, false),
                            Turn::Ignore => (&b""[..], false),
                            Turn::Close(answer) => (answer, true),
                        };
                        if connection.write_all(answer).await.is_err() || is_last {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            address,
            heads,
            accepting,
        }
    }

    /// How many requests came since the last call of [`Self::take`].
    pub fn seen(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    /// The heads of the requests that came since the last call.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

impl Drop for RawApp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The next head. `bytes` is what was read beyond the one before.
async fn head(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut searched = 0;
    loop {
        let found = bytes[searched..]
            .windows(END.len())
            .position(|it| it == END);
        if let Some(at) = found {
            let rest = bytes.split_off(searched + at + END.len());
            return Some(std::mem::replace(bytes, rest));
        }
        searched = bytes.len().saturating_sub(END.len());
        if connection.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
