//! The formats of an exposition, and what differs between those of a encoding.

use prometheus::proto::{Metric, MetricFamily, MetricType};
use protobuf::Message as _;

use super::family::{Kind, count, label, metric_family};
use super::sample_encoding::{SampleEncoding, comments, samples, text, written};
use crate::negotiation::{Accept, Offer};

/// A format of an exposition.
///
/// The media types are those of <https://prometheus.io/docs/instrumenting/content_negotiation/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4, which everything reads.
    Text0_0_4,
    /// The text format 1.0.0: the same, as long as all names are plain.
    Text1_0_0,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics1_0_0,
    /// `io.prometheus.client.MetricFamily`, each with its length in front.
    Protobuf,
}

/// A format and how names in it are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The format.
    pub format: Format,
    escaping: &'static str,
}

/// How names may be escaped. None of these alters ours; `dots` would double every
/// underscore.
const ESCAPINGS: &[&str] = &["underscores", "allow-utf-8", "values"];

impl Format {
    const ALL: [Self; 4] = [Self::Text0_0_4, Self::Text1_0_0, Self::OpenMetrics1_0_0, Self::Protobuf];

    /// The same order as [`ALL`](Self::ALL).
    const OFFERS: [Offer; 4] = [
        Offer {
            main: "text",
            sub: "plain",
            parameters: &[("version", &["0.0.4"]), ("charset", &["utf-8"]), ("escaping", ESCAPINGS)],
        },
        Offer {
            main: "text",
            sub: "plain",
            parameters: &[("version", &["1.0.0"]), ("charset", &["utf-8"]), ("escaping", ESCAPINGS)],
        },
        Offer {
            main: "application",
            sub: "openmetrics-text",
            parameters: &[("version", &["1.0.0"]), ("charset", &["utf-8"]), ("escaping", ESCAPINGS)],
        },
        Offer {
            main: "application",
            sub: "vnd.google.protobuf",
            parameters: &[
                ("proto", &["io.prometheus.client.MetricFamily"]),
                ("encoding", &["delimited"]),
                ("escaping", ESCAPINGS),
            ],
        },
    ];

    /// The format that a client likes best; the text format 0.0.4 if it likes
    /// none.
    #[must_use]
    pub fn negotiate(accept: &Accept) -> Negotiated {
        let (index, wished) = accept.best(&Self::OFFERS).unwrap_or((0, &[]));
        let wished = wished.iter().find(|(name, _)| name.eq_ignore_ascii_case("escaping"));
        let known = |value: &str| ESCAPINGS.iter().copied().find(|known| known.eq_ignore_ascii_case(value));
        let escaping = wished.and_then(|(_, value)| known(value)).unwrap_or(ESCAPINGS[0]);
        Negotiated { format: Self::ALL[index], escaping }
    }

    pub(super) fn encoding(self) -> SampleEncoding {
        match self {
            Self::Protobuf => SampleEncoding::Protobuf,
            _ => SampleEncoding::Text,
        }
    }

    /// What stands in front of a family's samples: in protobuf the fields but
    /// `metric`, without the length.
    pub(super) fn header(self, name: &str, help: &str, metric_type: MetricType) -> Vec<u8> {
        match self {
            Self::Text0_0_4 | Self::Text1_0_0 => {
                comments(metric_family(name, help, metric_type, vec![Metric::default()]))
            }
            Self::OpenMetrics1_0_0 => open_metrics_header(name, help, metric_type),
            Self::Protobuf => written(metric_family(name, help, metric_type, Vec::new()).write_to_bytes()),
        }
    }

    /// A whole family, of those whose samples are all made at the scrape.
    pub(super) fn family(self, family: &MetricFamily) -> Vec<u8> {
        match self {
            Self::Text0_0_4 | Self::Text1_0_0 => text(std::slice::from_ref(family)),
            Self::OpenMetrics1_0_0 => {
                let mut whole = self.header(family.name(), family.help(), family.get_field_type());
                whole.extend_from_slice(&open_metrics_samples(family));
                whole
            }
            Self::Protobuf => written(family.write_length_delimited_to_bytes()),
        }
    }

    /// What stands behind the last family.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::OpenMetrics1_0_0 => b"# EOF\n",
            _ => b"",
        }
    }
}

impl Negotiated {
    /// What stands in `Content-Type`.
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

/// OpenMetrics names families without the suffix that their type gives to the
/// samples, knows a type for what only informs, and tells the unit.
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
    // Help texts are escaped as values of labels are.
    let escaped = SampleEncoding::Text.base(vec![label("help", help)]);
    header.extend_from_slice(format!("# HELP {name} ").as_bytes());
    header.extend_from_slice(
        escaped.strip_prefix(b"help=\"").and_then(|help| help.strip_suffix(b"\"")).unwrap_or_default(),
    );
    header.push(b'\n');
    header
}

/// The samples of a family. They are those of the text format but for the bounds
/// of buckets, which are numbers with a point here.
fn open_metrics_samples(family: &MetricFamily) -> Vec<u8> {
    let name = family.name();
    if family.get_field_type() != MetricType::HISTOGRAM {
        return samples(family.clone());
    }
    let mut all = Vec::new();
    for metric in family.get_metric() {
        let histogram = metric.get_histogram();
        let mut sample = |suffix: &str, bound: Option<String>, value: f64| {
            let mut sample = Kind::Gauge.metric(value);
            let mut labels = metric.get_label().to_vec();
            labels.extend(bound.map(|bound| label("le", &bound)));
            sample.set_label(labels);
            let family = metric_family(&format!("{name}{suffix}"), "", MetricType::GAUGE, vec![sample]);
            all.extend_from_slice(&samples(family));
        };
        for bucket in histogram.get_bucket() {
            let bound = format!("{:?}", bucket.upper_bound());
            sample("_bucket", Some(bound), count(bucket.cumulative_count()));
        }
        let number = count(histogram.get_sample_count());
        sample("_bucket", Some("+Inf".to_owned()), number);
        sample("_count", None, number);
        sample("_sum", None, histogram.get_sample_sum());
    }
    all
}
