//! Which requests an objective is about, by what they say of themselves.

use serde::{Deserialize, Serialize};

use crate::objective::InvalidSelector;
use crate::{DimensionValue, Selector};

/// Which requests an objective is about. All that is given must hold; of a list any name fits.
///
/// Caller and origin are what [`crate::DimensionSettings`] tell requests apart by. Every name is compared as it is, whether or
/// not there is room to count it by itself; [`DimensionValue::UNKNOWN`] stands for requests that came without one. Where
/// the dimension is not configured, no name fits.
///
/// Shape: at least one name in all; at most [`Selector::CONDITIONS_MAX`] in each list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
#[cfg_attr(
    feature = "schema",
    schemars(
        description = "Which requests an objective is about, at least one name. All that is given must hold; of a list any name fits."
    )
)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// HTTP methods. Compared with case, as HTTP says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Selector::CONDITIONS_MAX)))]
    pub method: Vec<DimensionValue>,
    /// Callers, as `dimensions.caller` names them; `unknown` are those without a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Selector::CONDITIONS_MAX)))]
    pub caller: Vec<DimensionValue>,
    /// Where traces began, as `dimensions.origin` names it; `unknown` is what does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Selector::CONDITIONS_MAX)))]
    pub origin: Vec<DimensionValue>,
}

impl Only {
    /// Its lists with the names of their fields, in the order of the fields.
    #[must_use]
    pub fn lists(&self) -> [(&'static str, &[DimensionValue]); 3] {
        let Self {
            method,
            caller,
            origin,
        } = self;
        [("method", method), ("caller", caller), ("origin", origin)]
    }

    /// Whether sidecars of `service` count it outbound, where a caller is the service whose sidecar it is.
    #[must_use]
    pub fn is_for_calls_of(&self, service: &str) -> bool {
        self.caller.is_empty() || self.caller.iter().any(|caller| caller.as_str() == service)
    }

    /// Checks the lists.
    ///
    /// # Errors
    ///
    /// When there is no name, or one list has too many.
    pub fn check(&self) -> Result<(), InvalidSelector> {
        let lengths = self.lists().map(|(_, names)| names.len());
        let longest = lengths.into_iter().max().unwrap_or_default();
        if longest == 0 {
            return Err(InvalidSelector::Empty);
        }
        if Selector::CONDITIONS_MAX < longest {
            return Err(InvalidSelector::TooMany { given: longest });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<DimensionValue> {
        vec![DimensionValue::try_from(&b"a"[..]).unwrap(); count]
    }

    #[test]
    fn there_is_a_name_and_not_too_many() {
        assert_eq!(Only::default().check(), Err(InvalidSelector::Empty));
        for (count, is_fine) in [(1, true), (17, true), (18, false)] {
            let lists: [fn(&mut Only) -> &mut Vec<DimensionValue>; 3] = [
                |only| &mut only.method,
                |only| &mut only.caller,
                |only| &mut only.origin,
            ];
            for list in lists {
                let mut only = Only::default();
                *list(&mut only) = names(count);
                assert_eq!(only.check().is_ok(), is_fine, "{count}");
            }
        }
    }
}
