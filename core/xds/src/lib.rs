//! The xDS protocol as a state machine: snapshots, versions, subscriptions.
