//! Numbers of the proxy-wasm ABI 0.2.1, as many as are used.
//!
//! From the specification, <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.

/// How much a line in Envoy's log matters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogLevel {
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

/// Maps of headers.
#[derive(Clone, Copy, Debug)]
pub(super) enum MapType {
    HttpRequestHeaders = 0,
    HttpResponseHeaders = 2,
}

/// What bytes can be read from.
#[derive(Clone, Copy, Debug)]
pub(super) enum BufferType {
    #[cfg(feature = "answers")]
    HttpRequestBody = 0,
    #[cfg(feature = "answers")]
    HttpResponseBody = 1,
    GrpcReceiveBuffer = 5,
    PluginConfiguration = 7,
}

/// The halves of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StreamType {
    HttpRequest = 0,
    HttpResponse = 1,
}

/// A statistic that only grows.
pub(super) const COUNTER: u32 = 0;
