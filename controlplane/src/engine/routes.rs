//! Which routes filters know by name.

use sloop_controllers::{Input, RouteSet, route_names};

use super::Engine;

impl Engine {
    /// Learns which routes `sets` name.
    pub(super) fn learn_routes(&mut self, sets: &[RouteSet]) {
        let names = route_names(sets);
        if self.world.route_names() != Some(&names) {
            self.record(|| Input::Routes(names.clone()));
            self.world.set_route_names(names);
        }
    }
}
