//! Open-loop load and latency measurement.
