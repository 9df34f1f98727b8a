//! What is known becomes a page for people.

use crate::web::{Page, TelemetryPath};

/// The page under `/`.
#[derive(Debug)]
pub struct StatusPage {
    telemetry_path: TelemetryPath,
}

impl StatusPage {
    /// A page that leads to the metrics.
    #[must_use]
    pub fn new(telemetry_path: TelemetryPath) -> Self {
        Self { telemetry_path }
    }
}

impl Page for StatusPage {
    fn html(&self, _query: &str) -> String {
        // The path holds nothing that would have to be escaped.
        let metrics = &self.telemetry_path;
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <head><meta charset=\"utf-8\"><title>SSM Sync Exporter</title></head>\n\
             <body>\n\
             <h1>SSM Sync Exporter</h1>\n\
             <p>AWS Systems Manager resource data syncs for Prometheus.</p>\n\
             <ul>\n\
             <li><a href=\"{metrics}\">Metrics</a></li>\n\
             <li><a href=\"/-/healthy\">Healthy</a></li>\n\
             <li><a href=\"/-/ready\">Ready</a></li>\n\
             </ul>\n\
             </body>\n\
             </html>\n"
        )
    }
}
