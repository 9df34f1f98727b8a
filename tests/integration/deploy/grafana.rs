//! Dashboards, their queries asked of a real Prometheus.
