//! What happens to one request: trace, scope, SLI, breaker, faults.
