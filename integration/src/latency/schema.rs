//! The JSON Schema of `latency.json`, from the types that it is written from.

use super::result::Report;

/// The schema, as it is checked in at `bench/latency.schema.json`.
///
/// # Errors
///
/// When it cannot be written as JSON, which does not happen.
pub fn schema() -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Report))?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED_IN: &str = include_str!("../../../bench/latency.schema.json");

    #[test]
    fn the_schema_that_is_checked_in_is_that_of_the_types() {
        let schema = schema().unwrap();
        if let Some(path) = std::env::var_os("SLOOP_WRITE_SCHEMA") {
            std::fs::write(path, &schema).unwrap();
        }
        assert!(
            CHECKED_IN == schema,
            "run this test with SLOOP_WRITE_SCHEMA=bench/latency.schema.json as an absolute path"
        );
    }

    #[test]
    fn a_report_is_what_the_schema_says() {
        let schema: serde_json::Value = serde_json::from_str(CHECKED_IN).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let report = serde_json::to_value(super::super::shown::tests::report()).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&report)
            .map(|it| it.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        let mut other = report;
        other["baseline_ns"] = "fast".into();
        assert!(!validator.is_valid(&other));
    }
}
