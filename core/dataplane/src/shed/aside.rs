//! Requests that are under way, but not with the service: a fault holds them back, and so they are no load of it.

use std::cell::Cell;
use std::rc::Rc;

use super::Shedder;

/// Keeps one request set aside until it is dropped.
#[derive(Debug)]
pub struct SetAside(Rc<Cell<u32>>);

impl Shedder {
    /// Sets aside a request that passed, whose ticket was not handed back yet.
    #[must_use]
    #[cold]
    pub fn set_aside(&self) -> SetAside {
        self.aside.set(self.aside.get() + 1);
        SetAside(Rc::clone(&self.aside))
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
