//! Processor time in the place of time: what other programs take meanwhile is not in it.

use core::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Time that this thread ran, to a few milliseconds. Linux alone says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor;

impl Processor {
    /// The first number in the file is nanoseconds on a processor.
    fn ran() -> Duration {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let ran = told.split_whitespace().next().unwrap();
        Duration::from_nanos(ran.parse().unwrap())
    }
}

impl Measurement for Processor {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::ran()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::ran().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
