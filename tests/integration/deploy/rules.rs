//! Recording rules and alerts, in a real Prometheus.
