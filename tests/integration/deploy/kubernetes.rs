//! The Helm chart, rendered by a real Helm.
