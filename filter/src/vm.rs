//! The memory of this VM. It lives as long as the VM, and so outlives configurations.

use std::cell::RefCell;

use sloop_dataplane::{Heard, Plane, Table};

use crate::host;
use crate::http::{Created, Underway};
use crate::report::Reporter;
use crate::root::Roots;
use crate::telemetry::Exporter;
use crate::ticker::Ticker;

/// Everything that this VM remembers.
pub(crate) struct Vm {
    pub(crate) plane: Plane,
    pub(crate) roots: Roots,
    pub(crate) ticker: Ticker,
    pub(crate) reporter: Reporter,
    pub(crate) exporter: Exporter,
    /// The request whose context was made last, until its headers come.
    pub(crate) created: Option<Created>,
    /// What was heard of the answer that last moved.
    pub(crate) heard: Heard,
    /// Requests by the number of their context.
    pub(crate) underway: Table<Underway>,
    /// The place in `underway` that is looked at next.
    pub(crate) looked_at: usize,
}

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// Uses the memory. None while it is in use, which cannot be: Envoy's callbacks do not nest.
pub(crate) fn with<T>(use_it: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    VM.with(|vm| {
        let mut vm = vm.try_borrow_mut().ok()?;
        let vm = match &mut *vm {
            Some(vm) => vm,
            none @ None => begin(none),
        };
        Some(use_it(vm))
    })
}

#[cold]
fn begin(memory: &mut Option<Vm>) -> &mut Vm {
    memory.insert(Vm::new())
}

impl Vm {
    fn new() -> Self {
        Self {
            plane: Plane::new(seed()),
            roots: Roots::default(),
            ticker: Ticker::new(),
            reporter: Reporter::default(),
            exporter: Exporter::default(),
            created: None,
            heard: Heard::default(),
            underway: Table::default(),
            looked_at: 0,
        }
    }

    /// Counts a call into Envoy that failed.
    pub(crate) fn count<T>(&mut self, result: Result<T, host::Failed>) -> Option<T> {
        if result.is_err() {
            self.plane.trouble().hostcalls_failed += 1;
        }
        result.ok()
    }
}

/// Randomness from the host; else the time, which at least differs between VMs that start one by one.
fn seed() -> [u64; 5] {
    host::random().unwrap_or_else(|_| {
        [
            host::now().as_nanos(),
            host::wall().as_millis(),
            0x5106,
            0,
            0,
        ]
    })
}
