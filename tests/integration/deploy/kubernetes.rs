//! Tests of the Helm chart, rendered by Helm.
//!
//! The tests have no cluster. They validate objects by the schemas of Kubernetes and of the
//! Prometheus operator, start the exporter with the pod's command line and files and request its
//! probes, check the rules with promtool, and run Prometheus with the scrape configuration of the
//! `ServiceMonitor`.

mod chart;
mod identity;
mod monitoring;
mod notifications;
mod objects;
mod pods;
mod restricted;
mod values;
