//! Lists of Envoy's HTTP filters, in YAML.

use std::path::Path;

use serde_json::json;

/// A Wasm filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wasm<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// Which of the module's root contexts it uses.
    pub(super) root_id: &'a str,
    /// Filters of the same module with the same id share a VM in each worker.
    pub(super) vm_id: &'a str,
    /// The module.
    pub(super) module: &'a Path,
    /// Its configuration, as text.
    pub(super) configuration: &'a str,
}

impl Wasm<'_> {
    /// A list with this filter alone. A crash is a failure of the measurement, so it must not pass unseen.
    pub(super) fn list(self) -> String {
        let filter = json!({
            "name": self.name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": self.name,
                    "root_id": self.root_id,
                    "failure_policy": "FAIL_CLOSED",
                    "vm_config": {
                        "vm_id": self.vm_id,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": self.module}},
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": self.configuration,
                    },
                },
            },
        });
        format!("- {filter}\n")
    }
}

/// A list of filters in YAML, from a list or from one filter. `None` when there is nothing in it.
pub(super) fn as_list(text: &str) -> Option<String> {
    let is_content = |line: &&str| {
        let line = line.trim();
        !(line.is_empty() || line.starts_with('#') || line == "---")
    };
    let lines: Vec<&str> = text.lines().skip_while(|line| !is_content(line)).collect();
    let first = *lines.first()?;
    let is_list = first.trim_start().starts_with("- ");
    let mut list = String::new();
    for (index, line) in lines.into_iter().enumerate() {
        match (is_list, index) {
            (true, _) => {}
            (false, 0) => list.push_str("- "),
            (false, _) => list.push_str("  "),
        }
        list.push_str(line);
        list.push('\n');
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_filter_and_a_list_of_them_are_both_lists() {
        let one = as_list("# mine\n---\nname: a\ntyped_config:\n  x: 1\n").unwrap();
        assert_eq!(one, "- name: a\n  typed_config:\n    x: 1\n");
        let list = "- name: a\n- name: b\n";
        assert_eq!(as_list(list).unwrap(), list);
        assert_eq!(as_list("# nothing\n\n"), None);
    }
}
