//! The filter's configuration.
//!
//! An input is JSON.

use sloop_dataplane::Plane;
use sloop_model::{FilterConfig, Time, WallTime};

/// What is taken survives being written, is what the derived reader reads, and can be put in force; what is refused
/// is refused with the same words each time.
pub fn check(data: &[u8]) {
    let config = match FilterConfig::parse(data) {
        Ok(config) => config,
        Err(error) => {
            let again = FilterConfig::parse(data).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
            return;
        }
    };
    let written = serde_json::to_vec(&config).unwrap();
    let again = FilterConfig::parse(&written).expect("what was written is taken");
    assert_eq!(again, config);
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
    let derived: FilterConfig = serde_json::from_slice(data).expect("both readers take it");
    assert_eq!(derived, config);
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    let now = Time::from_nanos(1_000_000_000);
    plane.sync(now, WallTime::from_millis(1_600_000_000_000));
    plane.configure(&config, now);
    // A push of the same again changes nothing that could fail.
    plane.configure(&again, now);
    assert_eq!(plane.report_settings(), config.report.as_ref());
}
