//! Faults.

use crate::json::{Fields, FromJson, Json, Problem};
use crate::{
    BodyFault, Delay, DelaySpread, ExchangeSide, FaultRule, FaultWritten, HeaderChanges, Shape,
    Share,
};

impl FromJson for FaultRule {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        FaultWritten::from_json(json)?
            .try_into()
            .map_err(Problem::invalid)
    }
}

impl FromJson for FaultWritten {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let written = Self {
            id: fields.required("id")?,
            seed: fields.or_default("seed")?,
            share: fields.required("share")?,
            control: fields.or("control", Share::NONE)?,
            requests: fields.optional("match")?,
            caller: fields.or_default("caller")?,
            criticality: fields.or_default("criticality")?,
            sidecars: fields.or("sidecars", Share::WHOLE)?,
            side_of_exchange: fields.or_default("side_of_exchange")?,
            delay_ms: fields.optional("delay_ms")?,
            delay: fields.optional("delay")?,
            abort_status: fields.optional("abort_status")?,
            abort_grpc_status: fields.optional("abort_grpc_status")?,
            reset: fields.or_default("reset")?,
            body: fields.optional("body")?,
            headers: fields.or_default("headers")?,
            by_header: fields.or_default("by_header")?,
            active_max: fields.optional("active_max")?,
            active_share_max: fields.optional("active_share_max")?,
            expires_at_ms: fields.required("expires_at_ms")?,
        };
        fields.end()?;
        Ok(written)
    }
}

impl FromJson for BodyFault {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let fault = Self {
            bytes_per_second: fields.optional("bytes_per_second")?,
            truncate_after_bytes: fields.optional("truncate_after_bytes")?,
            cut_after_bytes: fields.optional("cut_after_bytes")?,
            corrupt: fields.optional("corrupt")?,
        };
        fields.end()?;
        Ok(fault)
    }
}

impl FromJson for HeaderChanges {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let changes = Self {
            set: fields.or_default("set")?,
            remove: fields.or_default("remove")?,
        };
        fields.end()?;
        Ok(changes)
    }
}

impl FromJson for DelaySpread {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let given = [
            fields.optional("fixed_ms")?.map(Self::Fixed),
            fields.optional("uniform")?.map(|Uniform(spread)| spread),
            fields
                .optional("exponential")?
                .map(|Exponential(spread)| spread),
            fields.optional("pareto")?.map(|Pareto(spread)| spread),
            fields.optional("quantiles")?.map(Self::Quantiles),
            fields.optional("histogram")?.map(Self::Histogram),
        ];
        fields.end()?;
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (None | Some(_), _) => Err(json.is_not("one spread of delays")),
        }
    }
}

/// [`DelaySpread::Uniform`].
struct Uniform(DelaySpread);

impl FromJson for Uniform {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let spread = DelaySpread::Uniform {
            min_ms: fields.required("min_ms")?,
            max_ms: fields.required("max_ms")?,
        };
        fields.end()?;
        Ok(Self(spread))
    }
}

/// [`DelaySpread::Exponential`].
struct Exponential(DelaySpread);

impl FromJson for Exponential {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let spread = DelaySpread::Exponential {
            mean_ms: fields.required("mean_ms")?,
        };
        fields.end()?;
        Ok(Self(spread))
    }
}

/// [`DelaySpread::Pareto`].
struct Pareto(DelaySpread);

impl FromJson for Pareto {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let spread = DelaySpread::Pareto {
            scale_ms: fields.required("scale_ms")?,
            shape: fields.required("shape")?,
        };
        fields.end()?;
        Ok(Self(spread))
    }
}

impl FromJson for Delay {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Self::try_from(u64::from_json(json)?).map_err(Problem::invalid)
    }
}

impl FromJson for Shape {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Self::try_from(f64::from_json(json)?).map_err(Problem::invalid)
    }
}

words! {
    ExchangeSide: "request" => Request, "response" => Response;
}
