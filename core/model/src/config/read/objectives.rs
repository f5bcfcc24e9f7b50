//! What is counted, and what of it is good.

use crate::json::{Fields, FromJson, Reader};
use crate::{Objective, ObjectiveId, Only, Outcome, Selector, StatusRange};

impl FromJson for Objective {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let objective = Self {
            id: fields.required("id"),
            only: fields.optional("only").map(Box::new),
            total: fields.optional("total"),
            good: fields.optional("good"),
            bad: fields.optional("bad"),
            within_us: fields.optional("within_us"),
            guards: fields.optional("guards"),
        };
        fields.end();
        objective
    }
}

impl FromJson for ObjectiveId {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let id = Self {
            slo: fields.required("slo"),
            index: fields.required("index"),
        };
        fields.end();
        id
    }
}

impl FromJson for Only {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let only = Self {
            method: fields.or_default("method"),
            caller: fields.or_default("caller"),
            origin: fields.or_default("origin"),
        };
        fields.end();
        only
    }
}

impl FromJson for Selector {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let selector = Self {
            status: fields.or_default("status"),
            grpc_status: fields.or_default("grpc_status"),
            outcome: fields.or_default("outcome"),
            flags: fields.or_default("flags"),
            slower_than_us: fields.optional("slower_than_us"),
        };
        fields.end();
        selector
    }
}

impl FromJson for StatusRange {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.valid(Self::try_from(reader.pair()), Self::unread)
    }
}

impl FromJson for Outcome {
    fn from_json(reader: Reader<'_>) -> Self {
        const NAMES: [&str; Outcome::ALL.len()] = Outcome::names();
        let outcome = Self::ALL.get(reader.word(&NAMES));
        outcome.copied().unwrap_or(Self::Success)
    }
}
