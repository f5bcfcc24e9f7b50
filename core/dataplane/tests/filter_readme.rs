//! Every configuration that the filter's README shows is one.

use sloop_dataplane::Plane;
use sloop_model::{FilterConfig, Time};

#[test]
fn every_example_is_taken() {
    let readme = include_str!("../../../filter/README.md");
    let examples: Vec<&str> = readme
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 5, "one per feature");
    for example in examples {
        match FilterConfig::parse(example.as_bytes()) {
            Ok(config) => Plane::new([1; 4]).configure(&config, Time::from_nanos(0)),
            Err(error) => panic!("{error} in {example}"),
        }
    }
}
