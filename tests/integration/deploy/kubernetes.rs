//! Tests of the Helm chart, rendered by Helm.
//!
//! The tests have no cluster. They validate objects by the schemas of Kubernetes, of the Prometheus
//! operator and of the Gateway API, start the exporter with the command line and files of the pod and
//! request its probes, check the rules with promtool, and run Prometheus with the scrape configuration
//! of the `ServiceMonitor` or the `PodMonitor`.

mod chart;
mod identity;
mod monitoring;
mod names;
mod network;
mod notes;
mod notifications;
mod objects;
mod pods;
mod restricted;
mod schema;
mod values;
