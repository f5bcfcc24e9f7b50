//! The service behind the sidecar: answers as each request wants it to.

use std::net::SocketAddr;

use bytes::Bytes;
use clap::Args;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;

use crate::server::serve;

/// Which status a request wants.
pub(super) const WANTED: HeaderName = HeaderName::from_static("x-replay-status");

/// Where the service listens.
#[derive(Clone, Copy, Debug, Args)]
pub struct AppArgs {
    /// Where its sidecar sends requests to.
    #[arg(long)]
    pub listen: SocketAddr,
}

/// Answers until the process ends.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn app(args: AppArgs) -> std::io::Result<()> {
    let listener = TcpListener::bind(args.listen).await?;
    serve(listener, |request| async move { Ok(answer(&request)) }).await;
    Ok(())
}

fn answer(request: &Request<Bytes>) -> Response<Full<Bytes>> {
    let wanted = request.headers().get(WANTED);
    let status = wanted
        .and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok())
        .unwrap_or(StatusCode::BAD_REQUEST);
    let has_body = !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::RESET_CONTENT
    );
    let body = if has_body { "replayed\n" } else { "" };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response
}
