//! What SLOs take of memory: the world and the controllers with 400 days of history, as the process holds them.
//!
//! `cargo bench -p sloop-controllers --bench memory` prints it for 500, 1,500 and 5,000 SLOs on four scopes each, where all is
//! well and where nothing is; numbers as arguments measure others. What the process holds beside that (connections, nodes,
//! documents, what is shown of the last minute of each scope) is not in it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement"
)]

mod mesh;

use mesh::{Health, ROUTES, at, controllers, reports, world};

/// As in `sloop`, which gives memory out like this.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds that are reported on: more than what is kept of single sidecars.
const SECONDS: u64 = 40;

/// What the process holds in memory, in KiB. Linux alone says so.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn measure(slos: usize, health: Health) {
    let before = resident_kib();
    let mut controllers = controllers(slos);
    let mut world = world(slos, health);
    let kept = resident_kib();
    for second in 1..=SECONDS {
        world.begin_step(at(second));
        for report in reports(slos, second, health) {
            world.observe(report);
        }
        drop(world.take_changes());
    }
    let step = controllers.step(&mut world);
    let statuses = controllers.slo_statuses(&world, &step);
    let all = resident_kib();
    println!(
        "{slos} SLOs on {} scopes, {}: {} MiB, {} KiB each ({} KiB of it history); {} policies, {} statuses",
        slos * ROUTES,
        health.name(),
        (all - before) / 1_024,
        (all - before) / slos as u64,
        (kept - before) / slos as u64,
        step.policies.len(),
        statuses.len(),
    );
}

fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let is_bench = std::env::args().any(|it| it == "--bench");
    let sizes = match given.as_slice() {
        [] if is_bench => vec![500, 1_500, 5_000],
        // Somebody tests whether it runs.
        [] => vec![10],
        _ => given,
    };
    let is_bad = std::env::args().any(|it| it == Health::Bad.name());
    let health = if is_bad { Health::Bad } else { Health::Well };
    // Each in a process of its own: what is freed is not always given back.
    if let [slos] = sizes.as_slice() {
        return measure(*slos, health);
    }
    for slos in sizes {
        for health in Health::ALL {
            let program = std::env::current_exe().unwrap();
            let status = std::process::Command::new(program)
                .args([&slos.to_string(), health.name()])
                .status();
            assert!(status.unwrap().success());
        }
    }
}
