//! The exposition formats: their media types, the headers and trailers around the samples,
//! and the encoding of whole families from the `prometheus` crate.

use std::borrow::Cow;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};
use protobuf::Message as _;
use strum::VariantArray as _;

use super::escape::{write_label_value, write_prometheus_help};
use super::family::{count, metric_family};
use super::sample_encoding::{SampleEncoding, infallible, write_text_sample};
use crate::negotiation::{Accept, Offer};

/// A format of an exposition.
///
/// The media types are those of <https://prometheus.io/docs/instrumenting/content_negotiation/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Format {
    /// The text format 0.0.4, the default: every client reads it.
    Text0_0_4,
    /// The text format 1.0.0. It differs from 0.0.4 only in names with special characters,
    /// and the exporter has no such names.
    Text1_0_0,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics1_0_0,
    /// Messages `io.prometheus.client.MetricFamily`, each preceded by its length.
    Protobuf,
}

/// The negotiated format, and the escaping scheme that `Content-Type` declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiatedFormat {
    pub(super) format: Format,
    escaping: &'static str,
}

/// The supported escaping schemes: those that leave the exporter's metric names unchanged.
/// The fourth scheme, `dots`, would double every underscore. A client that asks for it or for an
/// unknown scheme gets the first of these, as `Content-Type` tells.
const ESCAPINGS: &[&str] = &["underscores", "allow-utf-8", "values"];

/// The media types, in the order of the variants of [`Format`]. [`Format::negotiate`] relies
/// on this order.
const OFFERS: [Offer; 4] = [
    Offer { type_name: "text", subtype: "plain", parameters: &[("version", &["0.0.4"])] },
    Offer { type_name: "text", subtype: "plain", parameters: &[("version", &["1.0.0"])] },
    Offer { type_name: "application", subtype: "openmetrics-text", parameters: &[("version", &["1.0.0"])] },
    Offer {
        type_name: "application",
        subtype: "vnd.google.protobuf",
        parameters: &[("proto", &["io.prometheus.client.MetricFamily"]), ("encoding", &["delimited"])],
    },
];

impl Format {
    /// The acceptable format that the client prefers; the text format 0.0.4 if none is
    /// acceptable.
    ///
    /// ```
    /// use ssm_sync_exporter::metrics::Format;
    /// use ssm_sync_exporter::negotiation::Accept;
    ///
    /// let accept = Accept::parse(["application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]);
    /// let content_type = Format::negotiate(&accept).content_type();
    /// assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    /// let accept = Accept::parse(["image/png"]);
    /// let content_type = Format::negotiate(&accept).content_type();
    /// assert!(content_type.starts_with("text/plain; version=0.0.4"));
    /// ```
    #[must_use]
    pub fn negotiate(accept: &Accept) -> NegotiatedFormat {
        let (index, parameters) = accept.best(&OFFERS).unwrap_or((0, &[]));
        let requested = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("escaping"));
        let known = |value: &str| ESCAPINGS.iter().copied().find(|known| known.eq_ignore_ascii_case(value));
        let escaping = requested.and_then(|(_, value)| known(value)).unwrap_or(ESCAPINGS[0]);
        NegotiatedFormat { format: Self::VARIANTS[index], escaping }
    }

    pub(super) fn encoding(self) -> SampleEncoding {
        match self {
            Self::Protobuf => SampleEncoding::Protobuf,
            Self::Text0_0_4 | Self::Text1_0_0 | Self::OpenMetrics1_0_0 => SampleEncoding::Text,
        }
    }

    /// The bytes before the samples of a family. In protobuf, these are the encoded
    /// fields of the `MetricFamily` except `metric`; the length prefix of the message is not
    /// included.
    pub(super) fn header(self, name: &str, help: &str, metric_type: MetricType) -> Vec<u8> {
        match self {
            Self::Text0_0_4 | Self::Text1_0_0 => text_header(name, help, metric_type),
            Self::OpenMetrics1_0_0 => open_metrics_header(name, help, metric_type),
            Self::Protobuf => infallible(metric_family(name, help, metric_type, Vec::new()).write_to_bytes()),
        }
    }

    /// Encodes a whole family that the `prometheus` crate has gathered.
    pub(super) fn encode_family(self, family: &MetricFamily) -> Vec<u8> {
        match self {
            Self::Text0_0_4 | Self::Text1_0_0 => {
                let mut text = Vec::new();
                infallible(TextEncoder::new().encode(std::slice::from_ref(family), &mut text));
                text
            }
            Self::OpenMetrics1_0_0 => {
                let mut text = self.header(family.name(), family.help(), family.get_field_type());
                write_open_metrics_samples(family, &mut text);
                text
            }
            Self::Protobuf => infallible(family.write_length_delimited_to_bytes()),
        }
    }

    /// The bytes after the last family.
    pub(super) fn trailer(self) -> &'static [u8] {
        match self {
            Self::OpenMetrics1_0_0 => b"# EOF\n",
            Self::Text0_0_4 | Self::Text1_0_0 | Self::Protobuf => b"",
        }
    }
}

impl NegotiatedFormat {
    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> String {
        let escaping = self.escaping;
        match self.format {
            Format::Text0_0_4 => format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}"),
            Format::Text1_0_0 => format!("text/plain; version=1.0.0; charset=utf-8; escaping={escaping}"),
            Format::OpenMetrics1_0_0 => {
                format!("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping={escaping}")
            }
            Format::Protobuf => format!(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping={escaping}"
            ),
        }
    }
}

fn text_header(name: &str, help: &str, metric_type: MetricType) -> Vec<u8> {
    let metric_type = match metric_type {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    };
    let mut header = format!("# HELP {name} ").into_bytes();
    write_prometheus_help(help, &mut header);
    header.extend_from_slice(format!("\n# TYPE {name} {metric_type}\n").as_bytes());
    header
}

/// `OpenMetrics` names a family without the suffix of its samples, has a type for
/// info metrics, and declares the unit.
fn open_metrics_header(name: &str, help: &str, metric_type: MetricType) -> Vec<u8> {
    let (name, metric_type) = match metric_type {
        MetricType::COUNTER => (name.strip_suffix("_total").unwrap_or(name), "counter"),
        MetricType::HISTOGRAM => (name, "histogram"),
        _ => match name.strip_suffix("_info") {
            Some(name) => (name, "info"),
            None => (name, "gauge"),
        },
    };
    let mut header = format!("# TYPE {name} {metric_type}\n").into_bytes();
    if let Some(unit) = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}"))) {
        header.extend_from_slice(format!("# UNIT {name} {unit}\n").as_bytes());
    }
    header.extend_from_slice(format!("# HELP {name} ").as_bytes());
    // OpenMetrics escapes help texts like label values, including double quotes.
    write_label_value(help, &mut header);
    header.push(b'\n');
    header
}

/// Appends the samples of a family. They differ from those of the text format only in
/// the bounds of buckets, which `OpenMetrics` writes as floats: `1.0` instead of `1`.
fn write_open_metrics_samples(family: &MetricFamily, out: &mut Vec<u8>) {
    let name = family.name();
    for metric in family.get_metric() {
        let value = match family.get_field_type() {
            MetricType::HISTOGRAM => {
                write_open_metrics_histogram(name, metric, out);
                continue;
            }
            MetricType::COUNTER => metric.get_counter().value(),
            _ => metric.get_gauge().value(),
        };
        write_text_sample(name, labels(metric), value, out);
    }
}

fn write_open_metrics_histogram(name: &str, metric: &Metric, out: &mut Vec<u8>) {
    let histogram = metric.get_histogram();
    let bucket_name = format!("{name}_bucket");
    let mut write_bucket = |bound: Cow<'_, str>, value: u64| {
        write_text_sample(&bucket_name, labels(metric).chain([("le", &*bound)]), count(value), out);
    };
    for bucket in histogram.get_bucket() {
        write_bucket(format!("{:?}", bucket.upper_bound()).into(), bucket.cumulative_count());
    }
    write_bucket("+Inf".into(), histogram.get_sample_count());
    write_text_sample(&format!("{name}_count"), labels(metric), count(histogram.get_sample_count()), out);
    write_text_sample(&format!("{name}_sum"), labels(metric), histogram.get_sample_sum(), out);
}

fn labels(metric: &Metric) -> impl Iterator<Item = (&str, &str)> {
    metric.get_label().iter().map(|label| (label.name(), label.value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_the_format_that_it_prefers() {
        let content_type = |accept: &str| Format::negotiate(&Accept::parse([accept])).content_type();
        for (accept, expected) in [
            ("*/*", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("text/plain", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8",
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (
                "application/openmetrics-text",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            // This version is not supported.
            (
                "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            ),
            // Neither is this escaping scheme, but that is no reason for another format.
            (
                "application/openmetrics-text;version=1.0.0;escaping=dots,*/*;q=0.1",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            (
                "text/plain;version=1.0.0;escaping=new-scheme,text/plain;version=0.0.4;q=0.5",
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores",
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            ),
        ] {
            assert_eq!(content_type(accept), expected, "{accept}");
        }
    }
}
