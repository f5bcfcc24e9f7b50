//! What differs between types of resources.

use crate::Resource;

/// A type of resources and its rules, by its type URL.
///
/// Ordered by when its resources are needed: what others refer to comes first.
/// One that is known is a number, as it is looked for several times for each push and each answer to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Which);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Which {
    /// A place in [`ORDER`].
    Known(usize),
    /// The type URL of another one.
    Other(String),
}

/// The order in which a client that has nothing needs resources: clusters before the routes to them.
const ORDER: [&str; 7] = [
    Kind::RUNTIME,
    Kind::CLUSTER,
    Kind::ENDPOINTS,
    Kind::LISTENER,
    Kind::ROUTES,
    Kind::EXTENSION,
    Kind::SECRET,
];

impl Kind {
    /// Runtime layers (RTDS).
    pub const RUNTIME: &str = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
    /// Clusters (CDS).
    pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    /// Endpoints of clusters (EDS).
    pub const ENDPOINTS: &str =
        "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    /// Listeners (LDS).
    pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    /// Route tables (RDS).
    pub const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    /// Extensions, such as HTTP filters (ECDS).
    pub const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
    /// Secrets (SDS).
    pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

    /// The kind with this type URL, known or not.
    #[must_use]
    pub fn of(type_url: &str) -> Self {
        let rank = ORDER.iter().position(|known| *known == type_url);
        Self(rank.map_or_else(|| Which::Other(type_url.to_owned()), Which::Known))
    }

    /// The type URL.
    #[must_use]
    pub fn type_url(&self) -> &str {
        match &self.0 {
            Which::Known(rank) => ORDER.get(*rank).copied().unwrap_or_default(),
            Which::Other(type_url) => type_url,
        }
    }

    /// The words for all kinds: those that are known, and one for all others.
    pub const WORDS: [&str; 8] = ["rtds", "cds", "eds", "lds", "rds", "ecds", "sds", "other"];

    /// The word for it: how Envoy calls its discovery.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let [known @ .., other] = &Self::WORDS;
        match self.0 {
            Which::Known(rank) => known.get(rank).unwrap_or(other),
            Which::Other(_) => other,
        }
    }

    /// Whether state-of-the-world responses hold all resources, so that absence deletes.
    ///
    /// Listeners and clusters only; the same two have the legacy wildcard.
    #[must_use]
    pub fn is_full_set(&self) -> bool {
        matches!(self.type_url(), Self::CLUSTER | Self::LISTENER)
    }

    /// The kind of which the resources must be sent again that belong to a resource of this one.
    ///
    /// Envoy waits up to 15 s for the endpoints of a changed cluster, also when it has them.
    pub(crate) fn repeats_after(&self) -> Option<Self> {
        (self.type_url() == Self::CLUSTER).then(|| Self::of(Self::ENDPOINTS))
    }

    /// What a client of state of the world is told that begins with nothing and asks for `name`, which is not there.
    ///
    /// Most types have no word for that. Envoy starts to serve when it has its runtime layers, or after a time that it
    /// waits for them; one without numbers ends the wait.
    pub(crate) fn in_place_of(&self, name: &str) -> Option<Resource> {
        (self.type_url() == Self::RUNTIME).then(|| Resource::empty_layer(name))
    }

    /// What must be in force before resources of this kind are sent, as they may refer to it.
    ///
    /// Envoy takes a route to a cluster that it does not have, and answers 503 on it.
    pub(crate) fn follows(&self) -> &'static [&'static str] {
        match self.type_url() {
            Self::LISTENER | Self::ROUTES => &[Self::CLUSTER],
            _ => &[],
        }
    }

    /// What must be in force before resources of this kind are taken away, as it may have referred to them.
    pub(crate) fn outlives(&self) -> &'static [&'static str] {
        match self.type_url() {
            Self::CLUSTER => &[Self::LISTENER, Self::ROUTES, Self::EXTENSION],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_come_before_the_routes_to_them() {
        assert!(Kind::of(Kind::CLUSTER) < Kind::of(Kind::ENDPOINTS));
        assert!(Kind::of(Kind::ENDPOINTS) < Kind::of(Kind::ROUTES));
        assert!(Kind::of(Kind::EXTENSION) < Kind::of("a type of tomorrow"));
    }

    #[test]
    fn a_kind_has_the_type_url_that_it_was_made_of() {
        for type_url in ORDER.iter().chain(&["a type of tomorrow", ""]) {
            let kind = Kind::of(type_url);
            assert_eq!(kind.type_url(), *type_url);
            assert_eq!(kind, Kind::of(kind.type_url()));
        }
        assert_ne!(Kind::of("a type of tomorrow"), Kind::of("another one"));
    }

    #[test]
    fn each_kind_has_a_word_of_its_own() {
        for (type_url, word) in [
            (Kind::RUNTIME, "rtds"),
            (Kind::CLUSTER, "cds"),
            (Kind::ENDPOINTS, "eds"),
            (Kind::LISTENER, "lds"),
            (Kind::ROUTES, "rds"),
            (Kind::EXTENSION, "ecds"),
            (Kind::SECRET, "sds"),
            ("a type of tomorrow", "other"),
        ] {
            assert_eq!(Kind::of(type_url).word(), word);
        }
        assert_eq!(Kind::WORDS.len(), ORDER.len() + 1);
    }
}
