//! The encoding of samples, as text or as protobuf.
//!
//! There are four formats but only two encodings of a sample: a sample is the same line in
//! all text formats, which differ only in the bytes around the samples. In both encodings
//! a sample is the concatenation of three byte strings, so that each can be rendered once
//! and shared:
//!
//! ```text
//!             prefix    shared labels                tail
//! depends on  family    target or sync               this sample
//! text        name{     a="1",b="2"                  ,c="3"} 4.5\n
//! protobuf    (none)    two fields `label`           a field `label`, a field `gauge`
//! ```
//!
//! In protobuf, the field tag and the length of a sample precede it. They are written when
//! the parts are joined.

use std::io::Write as _;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricType};
use protobuf::rt::WireType;
use protobuf::{CodedOutputStream, Message as _};

use super::escape::write_label_value;

/// The number of the field `metric` in the message `MetricFamily`.
const METRIC_FIELD: u32 = 4;

/// The metric type of a family that is not a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::COUNTER,
            Self::Gauge => MetricType::GAUGE,
        }
    }

    /// A metric of this type without labels.
    pub(super) fn metric(self, value: f64) -> Metric {
        let mut metric = Metric::default();
        match self {
            Self::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Self::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric
    }
}

/// An encoding of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleEncoding {
    /// A line of any text format.
    Text,
    /// A field `metric` of the message `MetricFamily`.
    Protobuf,
}

impl SampleEncoding {
    pub(super) const ALL: [Self; 2] = [Self::Text, Self::Protobuf];

    /// Appends the labels that several samples share.
    pub(super) fn write_shared_labels(self, labels: &[(&str, &str)], out: &mut Vec<u8>) {
        match self {
            Self::Text => write_text_labels(labels.iter().copied(), out),
            Self::Protobuf => infallible(Metric::from_label(label_pairs(labels)).write_to_vec(out)),
        }
    }

    /// Appends the part of a sample after the shared labels: the sample's own
    /// `labels` and its value. Labels without a value are left out.
    pub(super) fn write_tail(
        self,
        kind: Kind,
        labels: &[(&str, Option<&str>)],
        value: f64,
        out: &mut Vec<u8>,
    ) {
        let labels = labels.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        match self {
            Self::Text => {
                for label in labels {
                    out.push(b',');
                    write_text_label(label, out);
                }
                infallible(writeln!(out, "}} {value}"));
            }
            Self::Protobuf => {
                let mut metric = kind.metric(value);
                metric.set_label(labels.map(|(name, value)| label_pair(name, value)).collect());
                infallible(metric.write_to_vec(out));
            }
        }
    }

    /// The part of a sample before the shared labels.
    pub(super) fn prefix(self, name: &str) -> Vec<u8> {
        match self {
            Self::Text => [name.as_bytes(), b"{"].concat(),
            Self::Protobuf => Vec::new(),
        }
    }

    /// Appends a whole sample.
    pub(super) fn join(self, prefix: &[u8], shared_labels: &[u8], tail: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text => out.extend_from_slice(prefix),
            Self::Protobuf => {
                let mut coded = CodedOutputStream::vec(out);
                infallible(coded.write_tag(METRIC_FIELD, WireType::LengthDelimited));
                infallible(coded.write_raw_varint32(to_u32(shared_labels.len() + tail.len())));
                infallible(coded.flush());
            }
        }
        out.extend_from_slice(shared_labels);
        out.extend_from_slice(tail);
    }

    /// Appends a whole sample whose value is an age in seconds, rounded to
    /// milliseconds, because the timestamps of AWS are no more precise.
    pub(super) fn join_age(self, prefix: &[u8], shared_labels: &[u8], age: f64, out: &mut Vec<u8>) {
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates after 292 million years")]
        let millis = (age * 1000.0).round() as i64;
        match self {
            Self::Text => {
                self.join(prefix, shared_labels, b"} ", out);
                write_seconds(millis, out);
                out.push(b'\n');
            }
            Self::Protobuf => {
                #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
                let age = millis as f64 / 1000.0;
                let tail = infallible(Kind::Gauge.metric(age).write_to_bytes());
                self.join(prefix, shared_labels, &tail, out);
            }
        }
    }

    /// The number of bytes that [`join`](Self::join) appends in
    /// [`Protobuf`](Self::Protobuf). It is needed in advance, because a family begins with
    /// its length.
    pub(super) fn protobuf_len(shared_labels: &[u8], tail_len: usize) -> usize {
        let len = shared_labels.len() + tail_len;
        // The tag takes one byte, and the length one for every seven bits.
        1 + to_u32(len).max(1).ilog2() as usize / 7 + 1 + len
    }

    /// The length of the tail of an age in [`Protobuf`](Self::Protobuf). It does not depend
    /// on the age.
    pub(super) fn protobuf_age_tail_len() -> usize {
        infallible(usize::try_from(Kind::Gauge.metric(0.0).compute_size()))
    }
}

/// Appends a whole sample as a line of a text format.
pub(super) fn write_text_sample<'a>(
    name: &str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    value: f64,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(name.as_bytes());
    let mut labels = labels.into_iter().peekable();
    if labels.peek().is_some() {
        out.push(b'{');
        write_text_labels(labels, out);
        out.push(b'}');
    }
    infallible(writeln!(out, " {value}"));
}

fn write_text_labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    for (index, label) in labels.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text_label(label, out);
    }
}

fn write_text_label((name, value): (&str, &str), out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    write_label_value(value, out);
    out.push(b'"');
}

/// Appends `millis` as a decimal number of seconds, without trailing zeros. Integers are
/// used because every scrape writes two ages for each sync, and formatting a float takes five
/// times as long.
fn write_seconds(millis: i64, out: &mut Vec<u8>) {
    if millis < 0 {
        out.push(b'-');
    }
    let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(seconds).as_bytes());
    if rest > 0 {
        // The 1000 keeps the leading zeros: 2 ms are ".002" and not ".2".
        let digits = digits.format(1000 + rest).trim_end_matches('0');
        out.push(b'.');
        out.extend_from_slice(&digits.as_bytes()[1..]);
    }
}

pub(super) fn label_pairs(labels: &[(&str, impl AsRef<str>)]) -> Vec<LabelPair> {
    labels.iter().map(|(name, value)| label_pair(name, value.as_ref())).collect()
}

fn label_pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// Unwraps the result of an encoder that writes to memory. An error would be a bug.
pub(super) fn infallible<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| unreachable!("cannot encode to memory: {error}"))
}

/// Converts a length or an index within the rendered samples of a few targets.
pub(super) fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or_else(|_| unreachable!("a few targets render to less than 4 GiB"))
}

#[cfg(test)]
mod tests {
    use prometheus::proto::MetricFamily;
    use prometheus::{Encoder as _, TextEncoder};
    use proptest::prelude::*;

    use super::*;

    fn any_labels() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
        let value = prop_oneof![any::<String>(), "[\"\\\\\n{},= #a-é€😀]{0,20}"];
        proptest::collection::vec(("[a-z_]{1,10}", proptest::option::of(value)), 0..4)
    }

    fn borrowed(labels: &[(String, Option<String>)]) -> Vec<(&str, Option<&str>)> {
        labels.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
    }

    proptest! {
        #[test]
        fn samples_are_encoded_as_by_the_prometheus_crate(
            shared in any_labels().prop_filter("every sample has shared labels", |labels| labels.iter().any(|(_, value)| value.is_some())),
            own in any_labels(),
            value in any::<f64>(),
            is_counter in any::<bool>(),
        ) {
            let kind = if is_counter { Kind::Counter } else { Kind::Gauge };
            let (shared, own) = (borrowed(&shared), borrowed(&own));
            let with_values = |labels: &[(&'_ str, Option<&'_ str>)]| -> Vec<(String, String)> {
                labels.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned()))).collect()
            };
            let shared_pairs = with_values(&shared);
            let shared: Vec<(&str, &str)> = shared_pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            let mut metric = kind.metric(value);
            metric.set_label(shared_pairs.iter().chain(&with_values(&own)).map(|(name, value)| label_pair(name, value)).collect());
            let mut family = MetricFamily::default();
            family.set_name("name".to_owned());
            family.set_field_type(kind.metric_type());
            family.set_metric(vec![metric.clone()]);

            for encoding in SampleEncoding::ALL {
                let (mut labels, mut tail, mut sample) = (Vec::new(), Vec::new(), Vec::new());
                encoding.write_shared_labels(&shared, &mut labels);
                encoding.write_tail(kind, &own, value, &mut tail);
                encoding.join(&encoding.prefix("name"), &labels, &tail, &mut sample);
                match encoding {
                    SampleEncoding::Text => {
                        let mut expected = Vec::new();
                        TextEncoder::new().encode(&[family.clone()], &mut expected).unwrap();
                        let header = format!("# TYPE name {}\n", if is_counter { "counter" } else { "gauge" });
                        prop_assert_eq!([header.as_bytes(), &sample].concat(), expected);
                        let mut line = Vec::new();
                        let labels = metric.get_label().iter().map(|pair| (pair.name(), pair.value()));
                        write_text_sample("name", labels, value, &mut line);
                        prop_assert_eq!(line, sample);
                    }
                    SampleEncoding::Protobuf => {
                        prop_assert_eq!(sample.len(), SampleEncoding::protobuf_len(&labels, tail.len()));
                        let family = MetricFamily::parse_from_bytes(&sample).unwrap();
                        prop_assert_eq!(family.get_metric().len(), 1);
                        // Compared as bytes, because NaN differs from itself.
                        prop_assert_eq!(
                            family.get_metric()[0].write_to_bytes().unwrap(),
                            metric.write_to_bytes().unwrap()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn seconds_have_up_to_three_decimals_and_no_trailing_zeros() {
        for (millis, seconds) in
            [(0, "0"), (2, "0.002"), (120, "0.12"), (-2500, "-2.5"), (86_400_000, "86400"), (1_010, "1.01")]
        {
            let mut out = Vec::new();
            write_seconds(millis, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), seconds);
        }
    }
}
