//! Tests of the exposition in every format and content coding.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};
use protobuf::CodedInputStream;
use serde_json::Value;

use crate::exporter::{Exporter, Scrape, fake_aws, one_target, put_sync};
use crate::exposition::s3_sync;
use crate::http::{self, Response};
use crate::prometheus::{NASTY, exporter_with_everything, nasty_line};
use crate::tools;

mod negotiation;
mod scraped_by_prometheus;

/// A format that a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text004,
    Text100,
    OpenMetrics,
    Protobuf,
}

pub(crate) const FORMATS: [Format; 4] =
    [Format::Text004, Format::Text100, Format::OpenMetrics, Format::Protobuf];
pub(crate) const CODINGS: [&str; 3] = ["identity", "gzip", "zstd"];

const TEXT_0_0_4: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
const TEXT_1_0_0: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
const PROTOBUF: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores";

/// The prefix of the families whose values differ from scrape to scrape.
const VOLATILE: &str = "process_";

impl Format {
    /// The value of `Accept` that asks for this format only.
    pub(crate) fn accept(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain;version=0.0.4",
            Self::Text100 => "text/plain;version=1.0.0",
            Self::OpenMetrics => "application/openmetrics-text;version=1.0.0",
            Self::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => TEXT_0_0_4,
            Self::Text100 => TEXT_1_0_0,
            Self::OpenMetrics => OPEN_METRICS,
            Self::Protobuf => PROTOBUF,
        }
    }

    /// The names of the families in a body, as in the text format.
    fn families(self, body: &[u8]) -> Vec<String> {
        if self == Self::Protobuf {
            return messages(body).iter().map(|family| family.name().to_owned()).collect();
        }
        let text = std::str::from_utf8(body).unwrap();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .map(|line| {
                let (name, kind) = line.split_once(' ').unwrap();
                match (self, kind) {
                    (Self::OpenMetrics, "counter") => format!("{name}_total"),
                    (Self::OpenMetrics, "info") => format!("{name}_info"),
                    _ => name.to_owned(),
                }
            })
            .collect()
    }
}

/// Decompresses a body. Panics if it is incomplete.
pub(crate) fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut plain = Vec::new();
            // Only one member is allowed: curl and browsers do not read beyond the first.
            let mut decoder = flate2::bufread::GzDecoder::new(body);
            decoder.read_to_end(&mut plain).unwrap();
            assert_eq!(decoder.into_inner(), b"");
            plain
        }
        "zstd" => zstd::decode_all(body).unwrap(),
        _ => body.to_vec(),
    }
}

/// Parses the messages of a protobuf body. Panics if it is incomplete.
pub(crate) fn messages(body: &[u8]) -> Vec<MetricFamily> {
    let mut input = CodedInputStream::from_bytes(body);
    let mut families = Vec::new();
    while !input.eof().unwrap() {
        families.push(input.read_message().unwrap());
    }
    families
}

/// Requests a format and a coding, checks that the response has them, and decompresses it.
async fn fetch(exporter: &Exporter, path: &str, format: Format, coding: &str) -> Vec<u8> {
    let response = exporter.get_with(path, &[("Accept", format.accept()), ("Accept-Encoding", coding)]).await;
    assert_eq!(response.status, 200, "{}", response.body);
    assert_headers(&response, format, coding);
    decoded(coding, &response.bytes)
}

fn assert_headers(response: &Response, format: Format, coding: &str) {
    assert_eq!(response.header("content-type"), Some(format.content_type()));
    assert_eq!(response.header("content-encoding"), Some(coding).filter(|coding| *coding != "identity"));
    assert_eq!(response.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

/// The path of all families but the volatile ones.
async fn path_without_volatile_families(exporter: &Exporter) -> String {
    let all = exporter.get("/metrics").await;
    let names = Format::Text004.families(&all.bytes);
    let volatile = names.iter().filter(|name| name.starts_with(VOLATILE));
    let excluded: Vec<String> = volatile.map(|name| format!("exclude[]={name}")).collect();
    format!("/metrics?{}", excluded.join("&"))
}

/// A parsed family, comparable between formats. It is named as in the text format.
#[derive(Debug, PartialEq)]
struct Family {
    help: String,
    kind: String,
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

/// A parsed exposition.
type Families = BTreeMap<String, Family>;

impl Family {
    fn new(help: &str, kind: &str) -> Self {
        Self { help: help.to_owned(), kind: kind.to_owned(), samples: BTreeMap::new() }
    }

    fn add(&mut self, name: String, mut labels: BTreeMap<String, String>, value: f64) {
        // A bucket bound is a number, and formats may spell it differently.
        if let Some(bound) = labels.get_mut("le") {
            *bound = bound.parse::<f64>().unwrap().to_string();
        }
        let previous = self.samples.insert((name, labels), value);
        assert_eq!(previous, None, "every series is unique");
    }
}

/// Parses protobuf with the types of the `prometheus` crate.
fn parse_protobuf(body: &[u8]) -> Families {
    let mut families = Families::new();
    for message in messages(body) {
        let name = message.name();
        let kind = match message.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            other => panic!("{name} is of type {other:?}"),
        };
        let mut family = Family::new(message.help(), kind);
        for metric in message.get_metric() {
            add_metric(&mut family, name, metric);
        }
        assert!(families.insert(name.to_owned(), family).is_none(), "{name} is not unique");
    }
    families
}

fn add_metric(family: &mut Family, name: &str, metric: &Metric) {
    let labels: BTreeMap<String, String> =
        metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect();
    match &*family.kind {
        "counter" => family.add(name.to_owned(), labels, metric.get_counter().value()),
        "gauge" => family.add(name.to_owned(), labels, metric.get_gauge().value()),
        _ => {
            let histogram = metric.get_histogram();
            let buckets =
                histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
            // The bucket `+Inf` is omitted in protobuf, because it equals the count.
            for (bound, count) in buckets.chain([(f64::INFINITY, histogram.get_sample_count())]) {
                let mut labels = labels.clone();
                labels.insert("le".to_owned(), bound.to_string());
                family.add(format!("{name}_bucket"), labels, count as f64);
            }
            family.add(format!("{name}_sum"), labels.clone(), histogram.get_sample_sum());
            family.add(format!("{name}_count"), labels, histogram.get_sample_count() as f64);
        }
    }
}

/// Converts the output of `tests/python/parse_exposition.py` for one file.
fn families_from_python(output: &Value) -> Families {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut families = Families::new();
    for family in output.as_array().unwrap() {
        let (name, kind) = (text(&family["name"]), text(&family["type"]));
        // The parser names counters as OpenMetrics does, in every format.
        let (name, kind) = match &*kind {
            "counter" => (format!("{name}_total"), "counter"),
            "info" => (format!("{name}_info"), "gauge"),
            kind => (name, kind),
        };
        let mut parsed = Family::new(family["help"].as_str().unwrap(), kind);
        for sample in family["samples"].as_array().unwrap() {
            let labels = sample[1].as_object().unwrap();
            let labels = labels.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            parsed.add(text(&sample[0]), labels, text(&sample[2]).parse().unwrap());
        }
        assert!(families.insert(name.clone(), parsed).is_none(), "{name} is not unique");
    }
    families
}

#[tokio::test]
async fn the_headers_name_the_format_and_the_coding() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    for format in FORMATS {
        for coding in CODINGS {
            let headers = [("Accept", format.accept()), ("Accept-Encoding", coding)];
            let get = exporter.get_with("/metrics", &headers).await;
            assert_eq!(get.status, 200);
            assert_headers(&get, format, coding);
            assert_eq!(get.header("transfer-encoding"), Some("chunked"));
            let head = http::request_with(exporter.address, "HEAD", "/metrics", &headers).await;
            assert_eq!((head.status, head.bytes.len()), (200, 0));
            assert_headers(&head, format, coding);
        }
    }
}

#[tokio::test]
async fn a_body_is_byte_identical_in_every_coding() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let path = path_without_volatile_families(&exporter).await;
    for format in FORMATS {
        let plain = fetch(&exporter, &path, format, "identity").await;
        assert!(plain.len() > 10_000);
        for coding in ["gzip", "zstd"] {
            // The second body reuses what was compressed for the first.
            for _ in 0..2 {
                assert!(fetch(&exporter, &path, format, coding).await == plain, "{format:?} {coding}");
            }
        }
    }
}

#[tokio::test]
async fn all_formats_contain_the_same_samples() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let path = path_without_volatile_families(&exporter).await;
    let text = async |format| String::from_utf8(fetch(&exporter, &path, format, "identity").await).unwrap();
    let text_0_0_4 = text(Format::Text004).await;
    assert_eq!(text(Format::Text100).await, text_0_0_4);

    let mut encoded_by_the_crate = Vec::new();
    let families = messages(&fetch(&exporter, &path, Format::Protobuf, "identity").await);
    TextEncoder::new().encode(&families, &mut encoded_by_the_crate).unwrap();
    assert_eq!(String::from_utf8(encoded_by_the_crate).unwrap(), text_0_0_4);

    let open_metrics = text(Format::OpenMetrics).await;
    let samples = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect()
    };
    let with_float_bounds = |text: String| {
        ["1", "5", "10", "20"].iter().fold(text, |text, bound| {
            text.replace(&format!(",le=\"{bound}\"}}"), &format!(",le=\"{bound}.0\"}}"))
        })
    };
    assert_eq!(samples(&open_metrics), samples(&with_float_bounds(text_0_0_4)));
    assert!(open_metrics.ends_with("\n# EOF\n"));
    assert_eq!(open_metrics.matches("# EOF").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn third_party_parsers_read_the_same_from_every_format_and_coding() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let directory = tempfile::tempdir().unwrap();
    let mut python = tools::python();
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/parse_exposition.py"));
    let mut parsed = Vec::new();
    let mut parsed_by_python = Vec::new();
    for format in FORMATS {
        for coding in CODINGS {
            let body = fetch(&exporter, "/metrics", format, coding).await;
            let parser = match format {
                Format::Protobuf => {
                    parsed.push((format, coding, parse_protobuf(&body)));
                    continue;
                }
                Format::OpenMetrics => "openmetrics",
                Format::Text004 | Format::Text100 => "text",
            };
            let file = directory.path().join(format!("{format:?}-{coding}"));
            std::fs::write(&file, body).unwrap();
            python.arg(parser).arg(file);
            parsed_by_python.push((format, coding));
        }
    }
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    let outputs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outputs = outputs.as_array().unwrap();
    assert_eq!(outputs.len(), parsed_by_python.len());
    parsed.extend(
        parsed_by_python
            .iter()
            .zip(outputs)
            .map(|((format, coding), output)| (*format, *coding, families_from_python(output))),
    );
    for (.., families) in &mut parsed {
        for (_, family) in families.iter_mut().filter(|(name, _)| name.starts_with(VOLATILE)) {
            family.samples.values_mut().for_each(|value| *value = 0.0);
        }
    }

    let (.., first) = &parsed[0];
    assert_eq!(first.len(), 66, "every family: {:?}", first.keys());
    let nasty_samples = |label: &str| {
        let samples = first.values().flat_map(|family| family.samples.keys());
        samples.filter(|(_, labels)| labels.get(label).is_some_and(|value| value == NASTY)).count()
    };
    assert!(
        first["ssm_sync_exporter_target_info"]
            .samples
            .keys()
            .any(|(_, labels)| labels["account_name"] == nasty_line())
    );
    for label in [
        "bucket_name",
        "bucket_prefix",
        "bucket_region",
        "cause",
        "kms_key_arn",
        "organization_source_type",
        "organizational_unit_id",
        "sharing_type",
        "source_region",
        "source_type",
        "state",
        "status",
        "sync_format",
        "sync_name",
        "sync_type",
    ] {
        assert!(nasty_samples(label) > 0, "{label}");
    }
    assert_eq!(parsed.len(), FORMATS.len() * CODINGS.len());
    for (format, coding, families) in &parsed {
        assert_eq!(families, first, "{format:?} {coding}");
    }
}

/// The lines of the families with these prefixes.
fn lines_of(body: &str, prefixes: &[&str]) -> String {
    let is_wanted = |line: &&str| {
        let family = ["# TYPE ", "# UNIT ", "# HELP "].iter().find_map(|start| line.strip_prefix(start));
        prefixes.iter().any(|prefix| family.unwrap_or(line).starts_with(prefix))
    };
    body.lines().filter(is_wanted).flat_map(|line| [line, "\n"]).collect()
}

#[tokio::test]
async fn a_sync_is_exposed_in_open_metrics() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, s3_sync());
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    let body = fetch(&exporter, "/metrics", Format::OpenMetrics, "identity").await;
    let body = String::from_utf8(body).unwrap();
    let prefixes = ["aws_", "ssm_sync_exporter_target_collections", "# EOF"];
    assert_eq!(lines_of(&body, &prefixes), include_str!("../golden/s3_sync.om"));
}

#[tokio::test]
async fn the_exporter_exposes_metrics_about_itself_in_open_metrics() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListResourceDataSync")]);
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    let path = "/metrics?collect[]=ssm_sync_exporter_api_request_duration_seconds\
                &collect[]=ssm_sync_exporter_api_request_failures_total\
                &collect[]=ssm_sync_exporter_api_requests_total\
                &collect[]=process_resident_memory_bytes";
    let body = String::from_utf8(fetch(&exporter, path, Format::OpenMetrics, "identity").await).unwrap();
    // Durations and memory depend on the machine.
    let volatile = ["process_resident_memory_bytes ", "ssm_sync_exporter_api_request_duration_seconds"];
    let lines = body.lines().map(|line| match line.rsplit_once(' ') {
        Some((series, _)) if volatile.iter().any(|start| line.starts_with(start)) => {
            format!("{series} ...\n")
        }
        _ => format!("{line}\n"),
    });
    assert_eq!(lines.collect::<String>(), include_str!("../golden/exporter.om"));
    let duration = "ssm_sync_exporter_api_request_duration_seconds";
    let of_sts = "operation=\"AssumeRole\",service=\"STS\"";
    let scrape = Scrape(body);
    assert!(scrape.has(&format!("{duration}_bucket{{{of_sts},le=\"+Inf\"}} 1")), "{}", scrape.0);
    assert!(scrape.has(&format!("{duration}_count{{{of_sts}}} 1")), "{}", scrape.0);
}
