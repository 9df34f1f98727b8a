//! Tests that a real Prometheus reads the same samples from every format.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{FORMATS, Format};
use crate::exporter::{ACCOUNT, REGION};
use crate::http;
use crate::prometheus::{NASTY, Prometheus, exporter_with_everything};

/// A proxy between Prometheus and the exporter that replaces the `Accept` header of
/// Prometheus, so that one format is scraped.
struct Proxy {
    address: SocketAddr,
    /// The status and media type of all responses.
    responses: Arc<Mutex<BTreeSet<(u16, String)>>>,
    _task: JoinSet<()>,
}

impl Proxy {
    async fn start(exporter: SocketAddr, format: Format) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let responses = Arc::new(Mutex::new(BTreeSet::new()));
        let mut task = JoinSet::new();
        let all = Arc::clone(&responses);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(forward(stream, exporter, format, Arc::clone(&all)));
            }
        });
        Self { address, responses, _task: task }
    }
}

async fn forward(
    mut client: TcpStream,
    exporter: SocketAddr,
    format: Format,
    responses: Arc<Mutex<BTreeSet<(u16, String)>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            // Prometheus has closed the connection.
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let headers = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap();
        !line.is_empty() && !["accept", "connection"].iter().any(|other| name.eq_ignore_ascii_case(other))
    });
    let headers: String = headers.flat_map(|line| [line, "\r\n"]).collect();
    let request = format!("{headers}Accept: {}\r\nConnection: close\r\n\r\n", format.accept());
    let mut stream = TcpStream::connect(exporter).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let parsed = http::parse(&response);
    let content_type = parsed.header("content-type").unwrap_or_default().to_owned();
    responses.lock().unwrap().insert((parsed.status, content_type));
    // Prometheus may have closed the connection meanwhile.
    let _sent = client.write_all(&response).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn prometheus_reads_the_same_from_every_format() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let mut proxies = Vec::new();
    for format in FORMATS {
        proxies.push((format, Proxy::start(exporter.address, format).await));
    }
    let addresses: Vec<SocketAddr> = proxies.iter().map(|(_, proxy)| proxy.address).collect();
    let prometheus = Prometheus::scraping(&addresses).await;
    let instance = |index: usize| addresses[index].to_string();

    // The values of an expression by format, once it has a value for each.
    let by_format = async |expression: &str| -> Vec<String> {
        let complete = format!("({expression}) and on() count({expression}) == {}", FORMATS.len());
        let values: BTreeMap<String, String> = prometheus
            .query(&complete)
            .await
            .into_iter()
            .map(|(labels, value)| (labels["instance"].as_str().unwrap().to_owned(), value))
            .collect();
        (0..FORMATS.len()).map(|index| values[&instance(index)].clone()).collect()
    };
    let series = exporter.scrape().await.series().len();
    assert_eq!(
        by_format("scrape_samples_scraped").await,
        [series.to_string(), series.to_string(), series.to_string(), series.to_string()]
    );
    assert_eq!(by_format("min_over_time(up[1m])").await, ["1"; 4]);

    let nasty = json!(NASTY);
    let failed = format!("aws_ssm_resource_data_sync_last_status{{sync_name={nasty},status=\"Failed\"}}");
    assert_eq!(by_format(&failed).await, ["1"; 4]);
    let info = format!("aws_ssm_resource_data_sync_info{{bucket_name={nasty},bucket_prefix={nasty}}}");
    assert_eq!(by_format(&info).await, ["1"; 4]);
    let age = format!("aws_ssm_resource_data_sync_last_successful_sync_age_seconds{{sync_name={nasty}}}");
    assert_eq!(by_format(&age).await, ["90000"; 4]);
    let total = format!(
        "ssm_sync_exporter_target_collections_total{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"}}"
    );
    assert_eq!(by_format(&total).await, ["1"; 4]);

    // Formats may spell a bucket bound differently, but each has it only once.
    let buckets = "ssm_sync_exporter_api_request_duration_seconds_bucket{operation=\"AssumeRole\"";
    assert_eq!(by_format(&format!("count by (instance) ({buckets}}})")).await, ["12"; 4]);
    assert_eq!(by_format(&format!("count by (instance) ({buckets},le=~\"1|1\\\\.0\"}})")).await, ["1"; 4]);
    assert_eq!(by_format(&format!("{buckets},le=\"+Inf\"}}")).await, ["1"; 4]);

    let targets = prometheus.api("/api/v1/targets").await;
    let targets = targets["data"]["activeTargets"].as_array().unwrap();
    assert_eq!(targets.len(), FORMATS.len());
    for target in targets {
        assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")), "{target}");
    }
    for (format, proxy) in &proxies {
        let responses = proxy.responses.lock().unwrap().clone();
        assert_eq!(responses, BTreeSet::from([(200, format.content_type().to_owned())]));
    }
}
