//! What a request for the exposition asks for.

use super::{Choice, FamilyName, Format, Metrics, UnknownFamily};
use crate::web::{MetricsRequest, MetricsResponse, ServeMetrics};

/// A request that asks for what cannot be had.
#[derive(Debug, thiserror::Error)]
enum AskedWrongly {
    #[error("collect[] and exclude[] cannot be combined")]
    Both,
    #[error("{parameter}: {source}")]
    Unknown { parameter: &'static str, source: UnknownFamily },
    #[error("collect[]: the metric family `{0}` is disabled by `metrics.disable` in the configuration")]
    Disabled(FamilyName),
}

impl ServeMetrics for Metrics {
    fn serve_metrics(&self, asked: &MetricsRequest) -> Result<MetricsResponse, String> {
        let choice = self.choice(&asked.collect, &asked.exclude).map_err(|error| error.to_string())?;
        let negotiated = Format::negotiate(&asked.accept);
        let scrape = self.scrape(negotiated.format, asked.coding, &choice);
        Ok(MetricsResponse { content_type: negotiated.content_type(), chunks: Box::new(scrape) })
    }
}

impl Metrics {
    /// As `node_exporter` has it, which knows collectors where we know families.
    fn choice(&self, collect: &[String], exclude: &[String]) -> Result<Choice, AskedWrongly> {
        let names = |parameter, texts: &[String]| -> Result<Vec<FamilyName>, AskedWrongly> {
            let name =
                |text: &String| text.parse().map_err(|source| AskedWrongly::Unknown { parameter, source });
            texts.iter().map(name).collect()
        };
        match (collect, exclude) {
            ([], []) => Ok(Choice::All),
            ([], exclude) => Ok(Choice::Without(names("exclude[]", exclude)?)),
            (collect, []) => {
                let names = names("collect[]", collect)?;
                match names.iter().find(|name| !self.is_enabled(**name)) {
                    Some(disabled) => Err(AskedWrongly::Disabled(*disabled)),
                    None => Ok(Choice::Only(names)),
                }
            }
            _ => Err(AskedWrongly::Both),
        }
    }
}
