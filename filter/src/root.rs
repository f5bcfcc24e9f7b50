//! One configuration of the filter: reads it, ticks, reports.
//!
//! Envoy makes a new root context for each push and keeps the old one until its
//! last request has ended. Everything that must outlive it is in [`vm`].

use core::cell::Cell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use sloop_dataplane::{Release, Released};
use sloop_model::{FilterConfig, Side};

use crate::http::Http;
use crate::report::Reporter;
use crate::ticker::Ticker;
use crate::{host, reply, vm};

/// What a root context and its requests share.
pub(crate) struct Shared {
    /// Which side it serves; none before it is configured.
    pub(crate) side: Cell<Option<Side>>,
    pub(crate) ticker: Ticker,
}

/// The root context.
pub(crate) struct Root {
    context: u32,
    shared: Rc<Shared>,
    reporter: Reporter,
}

impl Root {
    pub(crate) fn new(context: u32) -> Self {
        Self {
            context,
            shared: Rc::new(Shared {
                side: Cell::new(None),
                ticker: Ticker::new(),
            }),
            reporter: Reporter::new(context),
        }
    }

    fn release(&self, released: &[Released]) {
        for request in released {
            // One that is gone ended meanwhile; nothing is left to do for it.
            if host::set_effective_context(request.context).is_err() {
                continue;
            }
            match request.release {
                Release::Continue => {
                    vm::count(host::resume_request());
                }
                Release::Abort { status } => reply::abort(status),
            }
        }
        if !released.is_empty() {
            vm::count(host::set_effective_context(self.context));
        }
    }
}

impl Context for Root {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, _size: usize) {
        let now = host::now();
        self.reporter.answered(token, status, now);
        self.shared
            .ticker
            .aim(vm::with(|plane| plane.wake_at()).flatten(), now);
    }

    fn on_done(&mut self) -> bool {
        self.shared.ticker.stop();
        let now = host::now();
        vm::with(|plane| plane.lose_sender(self.context, now));
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = vm::count(host::configuration()).unwrap_or_default();
        let config = match FilterConfig::parse(&bytes) {
            Ok(config) => config,
            Err(error) => {
                host::log(LogLevel::Error, &format!("configuration refused: {error}"));
                vm::with(|plane| plane.trouble().configs_refused += 1);
                return false;
            }
        };
        let now = host::now();
        let wall = host::wall();
        let wake = vm::with(|plane| {
            plane.sync(now, wall);
            plane.configure(&config, now);
            plane.wake_at()
        });
        self.shared.side.set(Some(config.side));
        self.shared.ticker.aim(wake.flatten(), now);
        true
    }

    fn on_tick(&mut self) {
        let now = host::now();
        let wall = host::wall();
        vm::with(|plane| plane.sync(now, wall));
        self.reporter.send(now);
        let released = vm::with(|plane| plane.release(now)).unwrap_or_default();
        self.release(&released);
        self.shared
            .ticker
            .fired(vm::with(|plane| plane.wake_at()).flatten(), now);
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(context, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
