//! Which objectives of its scope a request is about.
//!
//! Most are about all of its requests. One that says `only` whose, or which, is found out about when the request's headers
//! are here, and the answer is one bit that the request keeps to its end: so what is counted is exact, whatever there is
//! room for in the tables of dimensions.

use sloop_model::{DimensionValue, FilterConfig, Objective, Only};

use crate::bytes::is_same;

/// One bit for each objective of a scope, by its position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct About(u32);

const _: () = assert!(FilterConfig::OBJECTIVES_MAX <= u32::BITS as usize);

impl About {
    /// All of `objectives`.
    pub(crate) fn all(objectives: &[Objective]) -> Self {
        Self::those(objectives, |_| true)
    }

    fn those(objectives: &[Objective], is_meant: impl Fn(&Objective) -> bool) -> Self {
        let mut about = 0;
        let mut bit = 1;
        for objective in objectives {
            if is_meant(objective) {
                about |= bit;
            }
            bit <<= 1;
        }
        Self(about)
    }

    /// Those of `objectives`, which are all of the scope, with their positions.
    #[inline]
    pub(crate) fn of(self, objectives: &[Objective]) -> impl Iterator<Item = (usize, &Objective)> {
        let mut left = self.0;
        objectives.iter().enumerate().filter(move |_| {
            let is_meant = left & 1 != 0;
            left >>= 1;
            is_meant
        })
    }
}

/// What a request says of itself, as far as objectives ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) method: &'a [u8],
    /// None where callers are not told apart.
    pub(crate) caller: Option<&'a [u8]>,
    /// None where origins are not told apart.
    pub(crate) origin: Option<&'a [u8]>,
}

impl Said<'_> {
    /// Which of `objectives` a request is about that says this.
    pub(crate) fn about(&self, objectives: &[Objective]) -> About {
        About::those(objectives, |objective| {
            let only = objective.only.as_deref();
            only.is_none_or(|only| self.fits(only))
        })
    }

    fn fits(&self, only: &Only) -> bool {
        let Only {
            method,
            caller,
            origin,
        } = only;
        [
            (method, Some(self.method)),
            (caller, self.caller),
            (origin, self.origin),
        ]
        .into_iter()
        .all(|(names, said)| is_among(names, said))
    }
}

/// Whether `said` is one of `names`, or there are none.
fn is_among(names: &[DimensionValue], said: Option<&[u8]>) -> bool {
    let is_it = |said: &[u8]| {
        let mut names = names.iter();
        names.any(|name| is_same(name.as_str().as_bytes(), said))
    };
    names.is_empty() || said.is_some_and(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An objective about these requests only.
    fn objective(only: &str) -> Objective {
        let only = if only.is_empty() { "null" } else { only };
        let json = format!(r#"{{"id": {{"slo": "a", "index": 0}}, "only": {only}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    const SAYS: Said<'_> = Said {
        method: b"POST",
        caller: Some(b"shop"),
        origin: None,
    };

    fn is_about(only: &str, said: Said<'_>) -> bool {
        said.about(&[objective(only)]) != About::default()
    }

    #[test]
    fn all_that_is_given_must_hold_and_of_a_list_any_name() {
        for (only, expected) in [
            ("", true),
            (r#"{"method": ["POST"]}"#, true),
            (r#"{"method": ["post"]}"#, false),
            (r#"{"method": ["GET", "POST"]}"#, true),
            (r#"{"caller": ["shop"]}"#, true),
            (r#"{"caller": ["sho", "shop2"]}"#, false),
            (r#"{"method": ["POST"], "caller": ["shop"]}"#, true),
            (r#"{"method": ["GET"], "caller": ["shop"]}"#, false),
            (r#"{"method": ["POST"], "caller": ["admin"]}"#, false),
        ] {
            assert_eq!(is_about(only, SAYS), expected, "{only}");
        }
    }

    #[test]
    fn who_is_not_asked_who_he_is_is_nobody() {
        let only = r#"{"origin": ["unknown"]}"#;
        assert!(!is_about(only, SAYS));
        let origin = Some(&b"unknown"[..]);
        assert!(is_about(only, Said { origin, ..SAYS }));
    }

    #[test]
    fn each_of_as_many_as_there_may_be_has_a_bit_of_its_own() {
        let mut objectives = vec![objective(""); FilterConfig::OBJECTIVES_MAX];
        assert_eq!(About::all(&objectives), About(u32::MAX));
        assert_eq!(About::all(&[]), About(0));
        objectives[0] = objective(r#"{"method": ["GET"]}"#);
        objectives[31] = objective(r#"{"method": ["GET"]}"#);
        let about = SAYS.about(&objectives);
        let positions: Vec<usize> = about.of(&objectives).map(|(at, _)| at).collect();
        assert_eq!(positions, (1..31).collect::<Vec<_>>());
    }
}
