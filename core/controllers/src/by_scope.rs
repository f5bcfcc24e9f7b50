//! What is wanted by scope.

use sloop_model::{RouteName, Scope};

/// Values by scope, sorted, one for each.
///
/// Thousands are merged in every step, and nearly always come in their order: then making the list is as quick as
/// looking at it.
#[derive(Debug)]
pub(crate) struct ByScope<T>(Vec<(Scope, T)>);

impl<T: Copy> ByScope<T> {
    /// Of `list`, in any order. Where several are on one scope, `settle` makes one of them, in their order.
    pub(crate) fn new(mut list: Vec<(Scope, T)>, settle: impl Fn(T, T) -> T) -> Self {
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
        list.dedup_by(|(scope, later), (known_scope, known)| {
            let is_same = scope == known_scope;
            if is_same {
                *known = settle(*known, *later);
            }
            is_same
        });
        Self(list)
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in the order of scopes.
    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (Scope, T)> {
        self.0.into_iter()
    }

    /// The same, to look at.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Scope, T)> {
        self.0.iter().map(|(scope, value)| (scope, *value))
    }

    /// What is on `scope` itself.
    pub(crate) fn get(&self, scope: &Scope) -> Option<T> {
        let place = self
            .0
            .binary_search_by(|(known, _)| known.cmp(scope))
            .ok()?;
        self.0.get(place).map(|(_, value)| *value)
    }

    /// What is on all routes of the service of `scope`; nothing when `scope` is that itself.
    pub(crate) fn get_around(&self, scope: &Scope) -> Option<T> {
        // Most lists are empty, and to name all routes copies the service's name.
        if self.0.is_empty() || scope.route.is_any() {
            return None;
        }
        self.get(&Scope {
            route: RouteName::any(),
            ..scope.clone()
        })
    }
}
