//! How samples are written.
//!
//! There are four formats but two dialects: in all text formats a sample is the
//! same line, and only what stands around the samples differs. In both dialects
//! a sample is its labels and then its value, so that labels which many samples
//! share are written once and only put in front of the rest later.

use prometheus::proto::{LabelPair, Metric, MetricFamily};
use prometheus::{Encoder as _, TextEncoder};
use protobuf::rt::WireType;
use protobuf::{CodedOutputStream, Message as _};

use super::family::{Kind, metric_family};

/// The number of the field `metric` in the message `MetricFamily`.
const METRIC: u32 = 4;

/// A way to write samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleEncoding {
    /// A line: `name{` base, tail.
    Text,
    /// A field `metric` of the message `MetricFamily`: its length, base, tail.
    Protobuf,
}

impl SampleEncoding {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::Text, Self::Protobuf];

    /// What stands first in all samples with these labels.
    pub(super) fn base(self, labels: Vec<LabelPair>) -> Vec<u8> {
        let metric = Metric::from_label(labels);
        match self {
            Self::Text => {
                // `x{a="b"} 0`
                let line = samples(nameless(Kind::Gauge, vec![metric]));
                let labels = line.strip_prefix(b"x{").and_then(|line| line.strip_suffix(b"} 0\n"));
                labels.unwrap_or_default().to_vec()
            }
            Self::Protobuf => written(metric.write_to_bytes()),
        }
    }

    /// Puts what stands behind the base in each of `metrics` behind `out`. Returns
    /// where each ends.
    pub(super) fn tails(self, kind: Kind, metrics: Vec<Metric>, out: &mut Vec<u8>) -> Vec<u32> {
        let mut ends = Vec::with_capacity(metrics.len());
        match self {
            Self::Text => {
                for line in samples(nameless(kind, metrics)).split_inclusive(|byte| *byte == b'\n') {
                    // `x{a="b"} 1`, or `x 1` without labels.
                    if let Some(labels) = line.strip_prefix(b"x{") {
                        out.push(b',');
                        out.extend_from_slice(labels);
                    } else {
                        out.push(b'}');
                        out.extend_from_slice(line.strip_prefix(b"x").unwrap_or(line));
                    }
                    ends.push(short(out.len()));
                }
            }
            Self::Protobuf => {
                for metric in metrics {
                    written(metric.write_to_vec(out));
                    ends.push(short(out.len()));
                }
            }
        }
        ends
    }

    /// What stands in front of the base in each sample of a family.
    pub(super) fn prefix(self, name: &str) -> Vec<u8> {
        match self {
            Self::Text => [name.as_bytes(), b"{"].concat(),
            Self::Protobuf => Vec::new(),
        }
    }

    /// Puts a sample behind `out`.
    pub(super) fn join(self, prefix: &[u8], base: &[u8], tail: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text => out.extend_from_slice(prefix),
            Self::Protobuf => {
                let mut coded = CodedOutputStream::vec(out);
                written(coded.write_tag(METRIC, WireType::LengthDelimited));
                written(coded.write_raw_varint32(short(base.len() + tail.len())));
                written(coded.flush());
            }
        }
        out.extend_from_slice(base);
        out.extend_from_slice(tail);
    }

    /// Puts a sample behind `out` whose value is an age, in seconds. AWS's times
    /// have milliseconds and no more.
    pub(super) fn join_age(self, prefix: &[u8], base: &[u8], age: f64, out: &mut Vec<u8>) {
        #[expect(clippy::cast_possible_truncation, reason = "it saturates, after 292 million years")]
        let millis = (age * 1000.0).round() as i64;
        match self {
            Self::Text => {
                self.join(prefix, base, b"} ", out);
                write_seconds(millis, out);
                out.push(b'\n');
            }
            Self::Protobuf => {
                #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
                let age = millis as f64 / 1000.0;
                let tail = written(Kind::Gauge.metric(age).write_to_bytes());
                self.join(prefix, base, &tail, out);
            }
        }
    }

    /// How many bytes [`join`](Self::join) puts behind in
    /// [`Protobuf`](Self::Protobuf). In [`Text`](Self::Text) nobody has to know
    /// beforehand.
    pub(super) fn joined_length(base: &[u8], tail: usize) -> usize {
        let length = base.len() + tail;
        // The tag is one byte, and the length has seven bits in each.
        1 + short(length).max(1).ilog2() as usize / 7 + 1 + length
    }

    /// How long the tail of an age is in [`Protobuf`](Self::Protobuf), whatever
    /// its value.
    pub(super) fn age_length() -> usize {
        written(usize::try_from(Kind::Gauge.metric(0.0).compute_size()))
    }
}

/// Writes seconds, without zeros that say nothing. There are two for each sync in
/// every scrape, and writing a float takes five times as long.
fn write_seconds(millis: i64, out: &mut Vec<u8>) {
    if millis < 0 {
        out.push(b'-');
    }
    let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(seconds).as_bytes());
    if rest > 0 {
        // 1.002 and not 1.2: a digit in front, which becomes the point.
        let digits = digits.format(1000 + rest).trim_end_matches('0');
        out.push(b'.');
        out.extend_from_slice(&digits.as_bytes()[1..]);
    }
}

/// A family of these metrics whose name is the letter `x`.
fn nameless(kind: Kind, metrics: Vec<Metric>) -> MetricFamily {
    metric_family("x", "", kind.metric_type(), metrics)
}

/// The lines of a family that are comments.
pub(super) fn comments(family: MetricFamily) -> Vec<u8> {
    lines_of(family, true)
}

/// The lines of a family that are not.
pub(super) fn samples(family: MetricFamily) -> Vec<u8> {
    lines_of(family, false)
}

fn lines_of(family: MetricFamily, comments: bool) -> Vec<u8> {
    let text = text(&[family]);
    let mut lines = Vec::with_capacity(text.len());
    // No newline within a label's value or a help text is left as one.
    for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.starts_with(b"#") == comments)
    {
        lines.extend_from_slice(line);
    }
    lines
}

/// Families as the `prometheus` crate writes them. Each has to have metrics.
pub(super) fn text(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = Vec::new();
    written(TextEncoder::new().encode(families, &mut text));
    text
}

/// What came of writing to memory, which takes everything.
pub(super) fn written<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| unreachable!("what is written is well formed: {error}"))
}

/// A length or index within what is known of a few targets.
pub(super) fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or_else(|_| unreachable!("a few targets have less than 4 GB to tell"))
}
