//! What is counted, and what of it is good.

use crate::json::{Fields, FromJson, Json, Problem};
use crate::{Objective, ObjectiveId, Outcome, Selector, StatusRange};

impl FromJson for Objective {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let objective = Self {
            id: fields.required("id")?,
            total: fields.optional("total")?,
            good: fields.optional("good")?,
            bad: fields.optional("bad")?,
            within_us: fields.optional("within_us")?,
        };
        fields.end()?;
        Ok(objective)
    }
}

impl FromJson for ObjectiveId {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let id = Self {
            slo: fields.required("slo")?,
            index: fields.required("index")?,
        };
        fields.end()?;
        Ok(id)
    }
}

impl FromJson for Selector {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let selector = Self {
            status: fields.or_default("status")?,
            grpc_status: fields.or_default("grpc_status")?,
            outcome: fields.or_default("outcome")?,
            flags: fields.or_default("flags")?,
            slower_than_us: fields.optional("slower_than_us")?,
        };
        fields.end()?;
        Ok(selector)
    }
}

impl FromJson for StatusRange {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Self::try_from(<(u16, u16)>::from_json(json)?).map_err(Problem::invalid)
    }
}

impl FromJson for Outcome {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        const NAMES: [&str; Outcome::ALL.len()] = Outcome::names();
        let index = json.word(&NAMES)?;
        let outcome = Self::ALL.get(index);
        outcome.copied().ok_or_else(|| json.is_not("an outcome"))
    }
}
