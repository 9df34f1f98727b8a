//! Implements [`web::ServeMetrics`], through which the web server requests a scrape.
//!
//! The web server passes on the query parameters and the parsed headers. Family names and
//! formats are known only here.

use super::exposition::Exposition;
use super::format::Format;
use super::registry::{FamilyFilter, FamilyName, UnknownFamily};
use crate::web;

/// Why `collect[]` or `exclude[]` of a request is rejected.
#[derive(Debug, thiserror::Error)]
enum InvalidRequest {
    #[error("collect[] and exclude[] cannot be combined")]
    CollectAndExclude,
    #[error("{parameter}: {source}")]
    UnknownFamily { parameter: &'static str, source: UnknownFamily },
    #[error("collect[]: the metric family `{0}` is disabled by `metrics.disable` in the configuration")]
    DisabledFamily(FamilyName),
}

impl web::ServeMetrics for Exposition {
    fn serve_metrics(&self, request: &web::MetricsRequest) -> Result<web::MetricsResponse, String> {
        let mut filter =
            filter(self, &request.collect, &request.exclude).map_err(|error| error.to_string())?;
        if !request.names.is_empty() {
            filter = filter.restricted_to(&FamilyName::of_samples(&request.names));
        }
        let negotiated = Format::negotiate(&request.accept);
        let scrape = self.scrape(negotiated.format, request.coding, &filter);
        Ok(web::MetricsResponse { content_type: negotiated.content_type(), chunks: Box::new(scrape) })
    }
}

/// Converts `collect[]` and `exclude[]` to a filter. Both parameters work as in
/// `node_exporter`, but name metric families instead of collectors.
fn filter(
    exposition: &Exposition,
    collect: &[String],
    exclude: &[String],
) -> Result<FamilyFilter, InvalidRequest> {
    let parse = |parameter, names: &[String]| -> Result<Vec<FamilyName>, InvalidRequest> {
        let parse_one = |name: &String| {
            name.parse().map_err(|source| InvalidRequest::UnknownFamily { parameter, source })
        };
        names.iter().map(parse_one).collect()
    };
    match (collect, exclude) {
        ([], []) => Ok(FamilyFilter::All),
        ([], exclude) => Ok(FamilyFilter::Except(parse("exclude[]", exclude)?)),
        (collect, []) => {
            let names = parse("collect[]", collect)?;
            match names.iter().find(|name| !exposition.is_enabled(**name)) {
                Some(disabled) => Err(InvalidRequest::DisabledFamily(*disabled)),
                None => Ok(FamilyFilter::Only(names)),
            }
        }
        _ => Err(InvalidRequest::CollectAndExclude),
    }
}
