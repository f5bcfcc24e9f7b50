//! The memory of this VM. It lives as long as the VM, and so outlives configurations.

use std::cell::RefCell;

use sloop_dataplane::Plane;

use crate::host;

thread_local! {
    static PLANE: RefCell<Option<Plane>> = const { RefCell::new(None) };
}

/// Uses the memory. None while it is in use, which happens only if a call into
/// Envoy were made meanwhile and called back; so make none.
pub(crate) fn with<T>(use_it: impl FnOnce(&mut Plane) -> T) -> Option<T> {
    PLANE.with(|plane| {
        let mut plane = plane.try_borrow_mut().ok()?;
        Some(use_it(plane.get_or_insert_with(|| Plane::new(seed()))))
    })
}

/// Counts a call into Envoy that failed.
pub(crate) fn count<T>(result: Result<T, host::Failed>) -> Option<T> {
    if result.is_err() {
        with(|plane| plane.trouble().hostcalls_failed += 1);
    }
    result.ok()
}

/// Randomness from the host; else the time, which at least differs between VMs that start one by one.
fn seed() -> [u64; 4] {
    host::random().unwrap_or_else(|_| [host::now().as_nanos(), host::wall().as_millis(), 0x5106, 0])
}
