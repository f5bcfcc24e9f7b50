//! Who else could have stood there, each as its documentation says.

mod admission;
mod gradient;
mod resilience;
mod throttle;

pub(super) use admission::AdmissionControl;
pub(super) use gradient::Gradient;
pub(super) use resilience::Resilience;
pub(super) use throttle::Throttle;
