//! Joins outbound requests to the inbound ones that caused them, where applications forward only `x-request-id`.

use sloop_model::{JoinReach, JoinSettings, Side, Time};

use super::Plane;
use crate::context::{Context, JoinTable, Joined, RequestKey};
use crate::headers::Request;

/// What is remembered of inbound requests.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) settings: JoinSettings,
    pub(super) table: JoinTable,
    /// The last request as other workers read it.
    pub(super) written: Vec<u8>,
    /// Where it belongs in what workers share.
    pub(super) key: Option<[u8; 16]>,
}

/// How to find what an outbound request is joined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// It needs none, or nothing is known.
    No,
    /// This.
    To(Joined),
    /// Perhaps what is shared among workers under this key, by [`Plane::joined_by`].
    Ask([u8; 16]),
}

impl Plane {
    /// What a request of `side` is joined to. Costs nothing where joining is not configured.
    #[must_use]
    pub fn joins(&self, side: Side, request: &Request<'_>, now: Time) -> Joins {
        let Some(join) = self.join.as_ref().filter(|_| side == Side::Client) else {
            return Joins::No;
        };
        let key = RequestKey::of(request).filter(|_| Context::may_be_joined(request));
        let Some(key) = key else {
            return Joins::No;
        };
        match join.table.find(key, self.clock.wall(now)) {
            Some(joined) => Joins::To(joined),
            None => match join.settings.reach() {
                JoinReach::Worker => Joins::No,
                JoinReach::Sidecar => Joins::Ask(key.shared()),
            },
        }
    }

    /// What a request is joined to, by what is shared among workers.
    #[must_use]
    pub fn joined_by(&self, shared: &[u8], request: &Request<'_>, now: Time) -> Option<Joined> {
        let join = self.join.as_ref()?;
        let key = RequestKey::of(request)?;
        join.table.find_shared(shared, key, self.clock.wall(now))
    }

    /// What is to be shared of the inbound request that just began, and under which key.
    pub fn to_share(&mut self) -> Option<([u8; 16], &[u8])> {
        let join = self.join.as_mut()?;
        let key = join.key.take()?;
        Some((key, &join.written))
    }

    /// Remembers as the configurations say. Other settings begin anew: what was remembered was for a moment.
    pub(super) fn adopt_join(&mut self) {
        let wanted = [&self.server.context.join, &self.client.context.join];
        let wanted = wanted.into_iter().flatten().next().copied();
        if self.join.as_ref().map(|join| join.settings) == wanted {
            return;
        }
        self.join = wanted.map(|settings| Join {
            settings,
            table: JoinTable::new(settings),
            written: Vec::new(),
            key: None,
        });
    }
}
