//! What travels with a request.

use crate::json::{Fields, FromJson, Reader};
use crate::{
    B3Output, ContextSettings, DeadlineMode, JoinReach, JoinSettings, JoinWritten, MemberTrust,
    TraceOwner,
};

impl FromJson for ContextSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let settings = Self {
            owner: fields.or_default("owner"),
            b3: fields.or_default("b3"),
            member: fields.or_default("member"),
            deadlines: fields.or_default("deadlines"),
            join: fields.optional("join"),
        };
        fields.end();
        settings
    }
}

impl FromJson for JoinSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let written = JoinWritten {
            entries: fields.or("entries", JoinWritten::entries_default()),
            expires_ms: fields.or("expires_ms", JoinWritten::expires_ms_default()),
            reach: fields.or_default("reach"),
        };
        fields.end();
        reader.valid(written.try_into(), Self::unread)
    }
}

words! {
    TraceOwner: "sloop" => Sloop, "envoy" => Envoy;
    B3Output: "none" => None, "single" => Single, "multi" => Multi;
    MemberTrust: "trust" => Trust, "discard" => Discard;
    DeadlineMode: "ignore" => Ignore, "carry" => Carry, "enforce" => Enforce;
    JoinReach: "worker" => Worker, "sidecar" => Sidecar;
}
