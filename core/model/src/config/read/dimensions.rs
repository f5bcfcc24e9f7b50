//! By what requests are told apart, and statistics of Envoy.

use crate::json::{Fields, FromJson, Reader};
use crate::{BaggageSource, CallerSource, DimensionSettings, DimensionValue, StatsSettings, Yes};

impl FromJson for DimensionSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let settings = Self {
            caller: fields.optional("caller"),
            origin: fields.optional("origin"),
            journey: fields.optional("journey"),
            version: fields.optional("version"),
            values_max: fields.or("values_max", Self::values_default()),
            attempts: fields.or_default("attempts"),
        };
        fields.end();
        settings
    }
}

impl FromJson for CallerSource {
    fn from_json(reader: Reader<'_>) -> Self {
        let wanted = "one of header and xfcc";
        match reader.variant(&["header", "xfcc"], wanted) {
            (1, xfcc) => Self::Xfcc(Yes::from_json(xfcc)),
            (_, header) => Self::Header(String::from_json(header)),
        }
    }
}

impl FromJson for Yes {
    fn from_json(reader: Reader<'_>) -> Self {
        if !bool::from_json(reader) {
            reader.wants("true, or left out");
        }
        Self
    }
}

impl FromJson for BaggageSource {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let source = Self {
            baggage: fields.required("baggage"),
        };
        fields.end();
        source
    }
}

impl FromJson for DimensionValue {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.valid(Self::try_from(reader.text().to_owned()), Self::unread)
    }
}

impl FromJson for StatsSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let settings = Self {
            enabled: fields.or_default("enabled"),
            metrics_max: fields.or("metrics_max", Self::metrics_default()),
        };
        fields.end();
        settings
    }
}
