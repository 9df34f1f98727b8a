//! The Helm chart, rendered by a real Helm.
//!
//! There is no cluster here, so each part is shown to whoever it is meant for: objects to
//! the schemas of Kubernetes and of the Prometheus operator, the pod's command line and
//! files to the exporter, probes to a running one, rules to promtool, and a
//! `ServiceMonitor`, as a scrape configuration, to a Prometheus.

mod chart;
mod identity;
mod monitoring;
mod objects;
mod pods;
mod restricted;
mod values;
