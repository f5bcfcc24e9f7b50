//! What filters of a service are told beside policies: what to tell apart, trace and show, and what is a health check.

use serde::{Deserialize, Serialize};
use sloop_model::{
    ContextSettings, DeadlineMode, DimensionSettings, FilterConfig, RequestMatch, ServiceName,
    Side, SpanSettings, StatsSettings, TraceResponse,
};

/// Settings for the filters of one service, or of all. What is absent is left to settings that are about
/// more, and in the end to the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSettings {
    /// The document's name.
    pub name: String,
    /// Whose sidecars; everybody's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Which of the two filters; both when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// When answers carry `traceresponse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<TraceResponse>,
    /// What travels with a request besides its trace: owner, B3, trust, deadlines, joining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextSettings>,
    /// Whether `context` says in so many words that deadlines are ignored, and not nothing about them.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ignores_deadlines: bool,
    /// Where spans go, and which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spans: Option<SpanSettings>,
    /// By what else requests are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<DimensionSettings>,
    /// Whether counts become statistics of Envoy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<StatsSettings>,
    /// Which requests only ask whether a service is there; any of them fits. They are set apart from all routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_checks: Option<Vec<RequestMatch>>,
}

impl FilterSettings {
    /// Whether they are about the filter of `service` on `side`.
    #[must_use]
    pub fn covers(&self, service: &ServiceName, side: Side) -> bool {
        self.service.as_ref().is_none_or(|own| own == service)
            && self.side.is_none_or(|own| own == side)
    }

    /// By what the filter of `service` on `side` is to tell requests apart, as `all` say; nothing where none says it.
    pub fn dimensions<'a>(
        all: impl IntoIterator<Item = &'a Self>,
        service: &ServiceName,
        side: Side,
    ) -> Option<&'a DimensionSettings> {
        let holding = Self::holding(all, service, side);
        let mut parts = holding.into_iter().rev();
        parts.find_map(|settings| settings.dimensions.as_ref())
    }

    /// Which requests at the filter of `service` on `side` are health checks, as `all` say; none where nobody says it.
    pub(crate) fn health_checks<'a>(
        all: &'a [Self],
        service: &ServiceName,
        side: Side,
    ) -> &'a [RequestMatch] {
        let holding = Self::holding(all, service, side);
        let mut parts = holding.into_iter().rev();
        let said = parts.find_map(|settings| settings.health_checks.as_deref());
        said.unwrap_or_default()
    }

    /// Writes into `config` what `all` say about it, but for scopes: of each part what is about the fewest. A service
    /// counts before a side.
    pub(crate) fn apply(all: &[Self], config: &mut FilterConfig) {
        let unsaid = config.trace.context.deadlines;
        for settings in Self::holding(all, &config.service, config.side) {
            settings.write(config, unsaid);
        }
    }

    /// Those among `all` that are about the filter of `service` on `side`; of each part what the last of them says holds.
    fn holding<'a>(
        all: impl IntoIterator<Item = &'a Self>,
        service: &ServiceName,
        side: Side,
    ) -> Vec<&'a Self> {
        let all = all.into_iter();
        let mut covering: Vec<&Self> = all.filter(|it| it.covers(service, side)).collect();
        // The order of documents means nothing; names are unique.
        covering.sort_by_key(|settings| {
            (
                settings.service.is_some(),
                settings.side.is_some(),
                &settings.name,
            )
        });
        covering
    }

    /// `unsaid` is what is done about deadlines where nothing is said about them.
    fn write(&self, config: &mut FilterConfig, unsaid: DeadlineMode) {
        if self.respond.is_some() {
            config.trace.respond = self.respond;
        }
        if let Some(context) = &self.context {
            config.trace.context = context.clone();
            if context.deadlines == DeadlineMode::default() && !self.ignores_deadlines {
                config.trace.context.deadlines = unsaid;
            }
        }
        if let Some(spans) = &self.spans {
            config.spans = Some(spans.clone());
        }
        if let Some(dimensions) = &self.dimensions {
            config.dimensions = Some(dimensions.clone());
        }
        if let Some(stats) = self.stats {
            config.stats = stats;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> FilterSettings {
        serde_json::from_str(json).unwrap()
    }

    fn applied(all: &[FilterSettings], service: &str, side: &str) -> FilterConfig {
        let json = format!(r#"{{"version": 1, "service": "{service}", "side": "{side}"}}"#);
        let mut config = FilterConfig::parse(json.as_bytes()).unwrap();
        FilterSettings::apply(all, &mut config);
        config.check().unwrap();
        config
    }

    #[test]
    fn of_each_part_what_is_about_the_fewest_holds() {
        let mut all = [
            settings(r#"{"name": "z", "spans": {"cluster": "all"}, "stats": {"enabled": true}}"#),
            settings(r#"{"name": "c", "side": "client", "spans": {"cluster": "client"}}"#),
            settings(r#"{"name": "b", "service": "shop", "spans": {"cluster": "shop"}}"#),
            settings(
                r#"{"name": "a", "service": "shop", "side": "client", "spans": {"cluster": "both"},
                    "context": {"deadlines": "carry"}}"#,
            ),
        ];
        for _ in 0..2 {
            let cluster = |service, side| applied(&all, service, side).spans.unwrap().cluster;
            assert_eq!(cluster("pay", "server"), "all");
            assert_eq!(cluster("pay", "client"), "client");
            assert_eq!(cluster("shop", "server"), "shop");
            assert_eq!(cluster("shop", "client"), "both");
            assert!(
                applied(&all, "shop", "client").stats.enabled,
                "other parts stay"
            );
            all.reverse();
        }
    }
}
