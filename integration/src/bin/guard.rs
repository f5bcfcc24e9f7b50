//! Starts a program that dies with this one's parent; for tests, which have no `main` of their own.

use sloop_integration::process::become_guard_if_asked;

fn main() {
    become_guard_if_asked();
    eprintln!("guard: only for use by sloop_integration::process");
    std::process::exit(2);
}
