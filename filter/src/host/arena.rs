//! Memory for what Envoy returns within one callback.
//!
//! Envoy enters the VM to ask for memory before each value that it returns.
//! A general allocator would then be the dearest thing that a request does, so
//! what is asked for is cut from one piece, and all of it is given back at once
//! when the next callback begins. [`Callback`] ties what was returned to the callback.

use core::cell::{Cell, UnsafeCell};

/// A callback of Envoy, for as long as it runs. What Envoy returns is borrowed from it.
#[derive(Debug)]
pub(crate) struct Callback(());

/// The headers of nearly all requests fit. What does not is asked of the general allocator. A multiple of [`ALIGN`].
const BYTES: usize = 16 << 10;
/// What a value's beginning is a multiple of. Values are bytes, so this is for speed alone.
const ALIGN: usize = 8;

struct Arena {
    /// At most [`BYTES`].
    used: Cell<usize>,
    large: UnsafeCell<Vec<Box<[u8]>>>,
}

thread_local! {
    static ARENA: Arena = const {
        Arena {
            used: Cell::new(0),
            large: UnsafeCell::new(Vec::new()),
        }
    };
    /// By itself: zeros alone take no room in the module.
    static PIECE: UnsafeCell<[u8; BYTES]> = const { UnsafeCell::new([0; BYTES]) };
}

impl Callback {
    /// Begins a callback: whatever an earlier one was given is gone.
    ///
    /// Callbacks do not nest: Envoy puts off what a call would call back for
    /// until the callback has returned.
    pub(super) fn enter() -> Self {
        ARENA.with(|arena| {
            arena.used.set(0);
            // SAFETY: a VM has one thread, and whatever points into the boxes was
            // borrowed from a `Callback` that has returned.
            unsafe { (*arena.large.get()).clear() };
        });
        Self(())
    }
}

/// Memory of `size` bytes that stays until the next callback begins.
pub(super) fn allocate(size: usize) -> *mut u8 {
    ARENA.with(|arena| {
        let used = arena.used.get();
        let end = used.saturating_add(size);
        if BYTES < end {
            let mut large = vec![0; size].into_boxed_slice();
            let start = large.as_mut_ptr();
            // SAFETY: a VM has one thread, and no reference to the list is alive: what is
            // lent points to the boxes' content, which does not move with them.
            unsafe { (*arena.large.get()).push(large) };
            return start;
        }
        arena.used.set(end.next_multiple_of(ALIGN));
        // SAFETY: `used` is at most BYTES, so the result lies in the piece or at its end.
        PIECE.with(|piece| unsafe { piece.get().cast::<u8>().add(used) })
    })
}
