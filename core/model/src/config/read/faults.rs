//! Faults.

use crate::json::{Fields, FromJson, Json, Problem};
use crate::{FaultRule, FaultWritten};

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
            delay_ms: fields.optional("delay_ms")?,
            abort_status: fields.optional("abort_status")?,
            expires_at_ms: fields.required("expires_at_ms")?,
        };
        fields.end()?;
        Ok(written)
    }
}
