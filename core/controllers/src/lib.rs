//! Every decision of the control plane, as pure functions.
