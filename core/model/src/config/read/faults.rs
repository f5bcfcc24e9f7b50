//! Faults.

use crate::json::{Fields, FromJson, Reader};
use crate::{
    BodyFault, Delay, DelaySpread, ExchangeSide, FaultRule, FaultWritten, HeaderChanges, Shape,
    Share,
};

impl FromJson for FaultRule {
    fn from_json(reader: Reader<'_>) -> Self {
        let written = FaultWritten::from_json(reader);
        reader.valid(written.try_into(), Self::unread)
    }
}

impl FromJson for FaultWritten {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let written = Self {
            id: fields.required("id"),
            seed: fields.or_default("seed"),
            share: fields.required("share"),
            control: fields.or("control", Share::NONE),
            requests: fields.optional("match"),
            caller: fields.or_default("caller"),
            criticality: fields.or_default("criticality"),
            version: fields.or_default("version"),
            sidecars: fields.or("sidecars", Share::WHOLE),
            side_of_exchange: fields.or_default("side_of_exchange"),
            delay_ms: fields.optional("delay_ms"),
            delay: fields.optional("delay"),
            abort_status: fields.optional("abort_status"),
            abort_grpc_status: fields.optional("abort_grpc_status"),
            reset: fields.or_default("reset"),
            body: fields.optional("body"),
            headers: fields.or_default("headers"),
            by_header: fields.or_default("by_header"),
            active_max: fields.optional("active_max"),
            active_share_max: fields.optional("active_share_max"),
            expires_at_ms: fields.required("expires_at_ms"),
        };
        fields.end();
        written
    }
}

impl FromJson for BodyFault {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let fault = Self {
            bytes_per_second: fields.optional("bytes_per_second"),
            truncate_after_bytes: fields.optional("truncate_after_bytes"),
            cut_after_bytes: fields.optional("cut_after_bytes"),
            corrupt: fields.optional("corrupt"),
        };
        fields.end();
        fault
    }
}

impl FromJson for HeaderChanges {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let changes = Self {
            set: fields.or_default("set"),
            remove: fields.or_default("remove"),
        };
        fields.end();
        changes
    }
}

impl FromJson for DelaySpread {
    fn from_json(reader: Reader<'_>) -> Self {
        const NAMES: [&str; 6] = [
            "fixed_ms",
            "uniform",
            "exponential",
            "pareto",
            "quantiles",
            "histogram",
        ];
        match reader.variant(&NAMES, "one spread of delays") {
            (1, spread) => uniform(spread),
            (2, spread) => exponential(spread),
            (3, spread) => pareto(spread),
            (4, table) => Self::Quantiles(Vec::from_json(table)),
            (5, table) => Self::Histogram(Vec::from_json(table)),
            (_, delay) => Self::Fixed(Delay::from_json(delay)),
        }
    }
}

/// [`DelaySpread::Uniform`].
fn uniform(reader: Reader<'_>) -> DelaySpread {
    let mut fields = Fields::of(reader);
    let spread = DelaySpread::Uniform {
        min_ms: fields.required("min_ms"),
        max_ms: fields.required("max_ms"),
    };
    fields.end();
    spread
}

/// [`DelaySpread::Exponential`].
fn exponential(reader: Reader<'_>) -> DelaySpread {
    let mut fields = Fields::of(reader);
    let spread = DelaySpread::Exponential {
        mean_ms: fields.required("mean_ms"),
    };
    fields.end();
    spread
}

/// [`DelaySpread::Pareto`].
fn pareto(reader: Reader<'_>) -> DelaySpread {
    let mut fields = Fields::of(reader);
    let spread = DelaySpread::Pareto {
        scale_ms: fields.required("scale_ms"),
        shape: fields.required("shape"),
    };
    fields.end();
    spread
}

impl FromJson for Delay {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.valid(Self::try_from(u64::from_json(reader)), Self::unread)
    }
}

impl FromJson for Shape {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.valid(Self::try_from(f64::from_json(reader)), Self::unread)
    }
}

words! {
    ExchangeSide: "request" => Request, "response" => Response;
}
