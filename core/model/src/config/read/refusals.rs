//! Shedding, retry budgets, deny rules and deadlines.

use crate::json::{Fields, FromJson, Reader};
use crate::{
    ClassShares, DeadlineConfig, DeadlineLimit, DenyRule, DenyWritten, RetryConfig, RetryLimits,
    RetryRule, Share, ShedConfig, ShedLimits, ShedRule,
};

impl FromJson for ShedConfig {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let config = Self {
            mode: fields.or_default("mode"),
            expires_at_ms: fields.optional("expires_at_ms"),
            limits: fields.required("limits"),
        };
        fields.end();
        config
    }
}

impl FromJson for ShedRule {
    fn from_json(reader: Reader<'_>) -> Self {
        let limits = ShedLimits::from_json(reader);
        reader.valid(limits.try_into(), || Self::unread(limits))
    }
}

impl FromJson for ShedLimits {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let limits = Self {
            share_min: fields.or("share_min", Share::NONE),
            share_max: fields.required("share_max"),
            floor: fields.or("floor", Self::floor_default()),
            slow_us: fields.optional("slow_us"),
            slow_max: fields.optional("slow_max"),
            failed_max: fields.optional("failed_max"),
            in_flight_max: fields.optional("in_flight_max"),
            class_max: fields.or_default("class_max"),
            judge: fields.or_default("judge"),
        };
        fields.end();
        limits
    }
}

impl FromJson for ClassShares {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let shares = Self {
            sheddable: fields.or("sheddable", Share::WHOLE),
            sheddable_plus: fields.or("sheddable_plus", Share::WHOLE),
            critical: fields.or("critical", Share::WHOLE),
            critical_plus: fields.or("critical_plus", Share::WHOLE),
        };
        fields.end();
        shares
    }
}

impl FromJson for RetryConfig {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let config = Self {
            mode: fields.or_default("mode"),
            expires_at_ms: fields.optional("expires_at_ms"),
            limits: fields.required("limits"),
        };
        fields.end();
        config
    }
}

impl FromJson for RetryRule {
    fn from_json(reader: Reader<'_>) -> Self {
        let limits = RetryLimits::from_json(reader);
        reader.valid(limits.try_into(), || Self::unread(limits))
    }
}

impl FromJson for RetryLimits {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let limits = Self {
            share: fields.required("share"),
            least: fields.required("least"),
        };
        fields.end();
        limits
    }
}

impl FromJson for DenyRule {
    fn from_json(reader: Reader<'_>) -> Self {
        let written = DenyWritten::from_json(reader);
        reader.valid(written.try_into(), Self::unread)
    }
}

impl FromJson for DenyWritten {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let written = Self {
            id: fields.required("id"),
            mode: fields.or_default("mode"),
            matches: fields.optional("match"),
            caller: fields.optional("caller"),
            status: fields.or("status", Self::status_default()),
            share_max: fields.or("share_max", Self::share_max_default()),
            expires_at_ms: fields.required("expires_at_ms"),
        };
        fields.end();
        written
    }
}

impl FromJson for DeadlineConfig {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let config = Self {
            mode: fields.or_default("mode"),
            expires_at_ms: fields.optional("expires_at_ms"),
            limit_ms: fields.required("limit_ms"),
        };
        fields.end();
        config
    }
}

impl FromJson for DeadlineLimit {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.valid(Self::try_from(u64::from_json(reader)), || Self::MAX)
    }
}
