//! The fixed paths that more than one module needs to know.

/// Responds 200 while the process lives.
pub(in crate::web) const HEALTHY: &str = "/-/healthy";
/// Responds 200 once there is something to scrape.
pub(in crate::web) const READY: &str = "/-/ready";
