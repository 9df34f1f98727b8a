//! The fixed paths that several modules use.

/// Responds 200 while the process lives.
pub(in crate::web) const HEALTHY: &str = "/-/healthy";
/// Responds 200 once the exporter is ready (see [`readiness`](crate::readiness)).
pub(in crate::web) const READY: &str = "/-/ready";
/// The page about one sync.
pub(in crate::web) const SYNC: &str = "/sync";
