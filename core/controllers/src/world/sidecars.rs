//! What sidecars say they are.

use sloop_model::{ServiceName, Side};

use crate::{SidecarReading, World};

impl World {
    /// The sidecars that meet requests to `service` on `side`: its own on the server's side, everybody's with an outbound filter
    /// on the client's. By node, once for each VM; those that reported in the last ten minutes.
    pub fn sidecars(
        &self,
        service: &ServiceName,
        side: Side,
    ) -> impl Iterator<Item = (&str, &SidecarReading)> {
        let all = self.vms.iter().filter(move |(_, vm)| {
            let has_side = vm.sidecar.filters.iter().any(|filter| filter.side == side);
            has_side
                && match side {
                    Side::Server => vm.sidecar.service == service.as_str(),
                    Side::Client => true,
                }
        });
        all.map(|((node, _), vm)| (node.as_str(), &vm.sidecar))
    }
}
