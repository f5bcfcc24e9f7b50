//! Where spans go.

use crate::json::{Fields, FromJson, Reader};
use crate::{SampledFlag, SpanSettings};

impl FromJson for SpanSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let settings = Self {
            cluster: fields.required("cluster"),
            sampling: fields.or("sampling", Self::sampling_default()),
            sampled_flag: fields.or_default("sampled_flag"),
            interval_ms: fields.or("interval_ms", Self::interval_default()),
            queue_max: fields.or("queue_max", Self::queue_default()),
            batch_max: fields.or("batch_max", Self::batch_default()),
        };
        fields.end();
        settings
    }
}

words! {
    SampledFlag: "always" => Always, "decided" => Decided;
}
