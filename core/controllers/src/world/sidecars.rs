//! What sidecars say they are.

use sloop_model::{ServiceName, Side};

use super::Vm;
use crate::{SidecarReading, World};

impl World {
    /// The sidecars that meet requests to `service` on `side`: its own on the server's side, on the client's those
    /// whose outbound filter counted requests to it. By node, once for each VM, as far as they are there: a VM that said
    /// nothing for the longest interval of reports may be gone, and with it what it said it is.
    pub fn sidecars(
        &self,
        service: &ServiceName,
        side: Side,
    ) -> impl Iterator<Item = (&str, &SidecarReading)> {
        let is_concerned = move |vm: &Vm| {
            let has_side = vm.sidecar.filters.iter().any(|filter| filter.side == side);
            has_side
                && match side {
                    Side::Server => vm.sidecar.service == service.as_str(),
                    Side::Client => vm.asked.contains(service),
                }
        };
        let there = self
            .vms
            .iter()
            .filter(|(_, vm)| self.now.since(vm.at) <= Self::SILENCE_MAX);
        let concerned = there.filter(move |(_, vm)| is_concerned(vm));
        concerned.map(|((node, _), vm)| (node.as_str(), &vm.sidecar))
    }
}
