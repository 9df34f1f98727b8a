//! Tests that scrapes are consistent under load, with many readers, half of them slow, while
//! every target changes all the time.
//!
//! All fields of the fake AWS's syncs are derived from a generation number, which keeps
//! growing. A response body is consistent if all series of a target belong to the same
//! generation.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use fake_aws::{FakeAws, SyncKind};
use pretty_assertions::assert_eq;
use prometheus::proto::{Metric, MetricType};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::exporter::{Scrape, fake_aws};
use crate::formats::{CODINGS, FORMATS, Format, decoded, messages};
use crate::http;
use crate::process::{ExporterProcess, program, with_ambient_credentials};

/// The number of syncs of each target. They fit on one page of a listing, because the
/// generation may change between two pages.
const SYNCS: usize = 50;

const READERS: usize = 64;

/// How many times every target is collected while slow readers read an older body.
const ROUNDS: f64 = 3.0;

/// The Unix time that the syncs of generation 0 contain.
const GENERATION_0: u64 = 1_600_000_000;

const STATUSES: [&str; 3] = ["Successful", "Failed", "InProgress"];

/// How long to wait for collections. Only a failing test reaches this limit.
const TIMEOUT: Duration = Duration::from_mins(2);

const COLLECTIONS: &str = "ssm_sync_exporter_target_collections_total";

/// Enough regions to make bodies large.
pub(crate) fn regions() -> Vec<String> {
    let areas = ["us", "eu", "ap", "sa", "ca", "af", "me", "il"];
    let directions = ["east", "west", "north", "south", "central"];
    areas.iter().flat_map(|area| directions.map(|direction| format!("{area}-{direction}-1"))).collect()
}

/// The syncs of every target in a generation.
fn syncs(generation: u64) -> Vec<Value> {
    let time = GENERATION_0 + generation;
    let status = STATUSES[usize::try_from(generation).unwrap() % STATUSES.len()];
    let sync = |number| {
        json!({
            "SyncName": format!("inventory-of-a-large-organization-{number:02}"),
            "S3Destination": {
                "BucketName": format!("bucket-{generation}"), "Prefix": "inventory/of/a/large/organization",
                "SyncFormat": "JsonSerDe", "Region": "us-east-1",
            },
            "LastSyncTime": time, "LastSuccessfulSyncTime": time, "SyncCreatedTime": time,
            "SyncLastModifiedTime": time, "LastStatus": status,
        })
    };
    (0..SYNCS).map(sync).collect()
}

/// What a body contains about the last collection of a target. Bodies with the same number
/// of collections must contain the same.
#[derive(Clone, Debug, PartialEq)]
struct Collection {
    generation: f64,
    ended: f64,
    took: f64,
}

/// The value that all samples of a family have for one target. If a label depends on the
/// generation instead of the value, the value is derived from the label.
struct FamilyValue {
    family: String,
    region: String,
    value: f64,
    samples: usize,
}

#[derive(Default)]
struct FamilyValues(Vec<FamilyValue>);

impl FamilyValues {
    /// Adds a sample, unless it does not depend on the generation.
    fn add<'a>(&mut self, family: &str, label: impl Fn(&str) -> &'a str, value: f64) {
        let value = match family {
            "aws_ssm_resource_data_sync_info" => {
                label("bucket_name").strip_prefix("bucket-").unwrap().parse().unwrap()
            }
            "aws_ssm_resource_data_sync_last_status" => {
                // The current status is the one whose sample is not 0.
                if value == 0.0 {
                    return;
                }
                STATUSES.iter().position(|status| *status == label("status")).unwrap() as f64
            }
            _ => value,
        };
        let region = label("aws_region");
        match self.0.last_mut().filter(|last| last.family == family && last.region == region) {
            Some(last) => {
                assert_eq!(last.value, value, "{family} of {region} mixes two collections");
                last.samples += 1;
            }
            None => {
                let (family, region) = (family.to_owned(), region.to_owned());
                self.0.push(FamilyValue { family, region, value, samples: 1 });
            }
        }
    }

    fn from_text(text: &str) -> Self {
        let mut values = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (family, labels) = series.split_once('{').unwrap_or((series, ""));
            if !is_checked(family) {
                continue;
            }
            let label = |name: &str| {
                // No label value in this test contains escapes.
                let value = labels.split_once(name).and_then(|(_, rest)| rest.strip_prefix("=\""));
                value.and_then(|value| value.split('"').next()).unwrap_or_default()
            };
            values.add(family, label, value.parse().unwrap());
        }
        values
    }

    fn from_protobuf(body: &[u8]) -> Self {
        let mut values = Self::default();
        for family in messages(body).iter().filter(|family| is_checked(family.name())) {
            for metric in family.get_metric() {
                let value = match family.get_field_type() {
                    MetricType::COUNTER => metric.get_counter().value(),
                    _ => metric.get_gauge().value(),
                };
                values.add(family.name(), |name| label(metric, name), value);
            }
        }
        values
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    let pair = metric.get_label().iter().find(|label| label.name() == name);
    pair.map_or("", |pair| pair.value())
}

/// Whether a family must be consistent with the others.
fn is_checked(family: &str) -> bool {
    let of_syncs = ["aws_ssm_resource_data_sync_info", "aws_ssm_resource_data_sync_last_status"];
    of_syncs.contains(&family)
        || family == "ssm_sync_exporter_targets"
        || family.starts_with("aws_ssm_") && family.ends_with("_seconds")
        || family.starts_with("ssm_sync_exporter_target_")
            && ["_total", "_up", "_seconds"].iter().any(|end| family.ends_with(end))
}

/// Checks that a body is complete and that all its series of a target are from one
/// collection. Returns the number of collections and the last one, by region.
fn check_body(format: Format, coding: &str, response: &[u8]) -> BTreeMap<String, (f64, Collection)> {
    // Fails if the last chunk of the transfer encoding is missing.
    let response = http::parse(response);
    assert_eq!(response.status, 200);
    let body = decoded(coding, &response.bytes);
    let values = match format {
        Format::Protobuf => FamilyValues::from_protobuf(&body),
        _ => FamilyValues::from_text(std::str::from_utf8(&body).unwrap()),
    };
    assert_eq!(body.ends_with(b"\n# EOF\n"), format == Format::OpenMetrics);

    let mut by_family = HashMap::new();
    for value in values.0 {
        let previous = by_family.insert((value.family, value.region), (value.value, value.samples));
        assert_eq!(previous, None, "the samples of a target are contiguous in a family");
    }
    let of = |family: &str, region: &str, samples: usize| {
        let (value, count) = by_family[&(family.to_owned(), region.to_owned())];
        assert_eq!(count, samples, "{family} of {region}");
        value
    };
    let of_syncs =
        |name: &str, region: &str| of(&format!("aws_ssm_resource_data_sync_{name}"), region, SYNCS);
    let of_target = |name: &str, region: &str| of(&format!("ssm_sync_exporter_target_{name}"), region, 1);

    let mut scraped_at = None;
    let collections: BTreeMap<String, (f64, Collection)> = regions()
        .into_iter()
        .map(|region| {
            let generation = of_syncs("info", &region);
            let time = generation + GENERATION_0 as f64;
            for name in ["created", "last_modified", "last_successful_sync", "last_sync"] {
                assert_eq!(of_syncs(&format!("{name}_timestamp_seconds"), &region), time, "{name}: {region}");
            }
            assert_eq!(of_syncs("last_status", &region), generation % STATUSES.len() as f64, "{region}");
            for name in ["last_successful_sync_age_seconds", "last_sync_age_seconds"] {
                // Ages are rounded to milliseconds.
                let now = time + of_syncs(name, &region);
                let first: f64 = *scraped_at.get_or_insert(now);
                assert!((now - first).abs() < 0.000_5, "{name} of {region}: {now}, not {first}");
            }
            assert_eq!(of_target("up", &region), 1.0);
            let ended = of_target("last_collection_timestamp_seconds", &region);
            assert_eq!(of_target("last_success_timestamp_seconds", &region), ended);
            let took = of_target("collection_duration_seconds", &region);
            let collection = Collection { generation, ended, took };
            let number = of_target("collections_total", &region);
            (region, (number, collection))
        })
        .collect();
    assert_eq!(of("ssm_sync_exporter_targets", "", 1), collections.len() as f64);
    collections
}

/// Scrapes `/metrics` and returns the raw response. A `slow` reader sends a message when the
/// body begins, and reads about 1 kB per second until the watched value becomes true.
async fn read(
    address: SocketAddr,
    format: Format,
    coding: &str,
    slow: Option<(mpsc::UnboundedSender<()>, watch::Receiver<bool>)>,
) -> Vec<u8> {
    let socket = TcpSocket::new_v4().unwrap();
    if slow.is_some() {
        // Small buffers, so that the system does not receive the whole body for the reader.
        socket.set_recv_buffer_size(4096).unwrap();
        SockRef::from(&socket).set_tcp_mss(1024).unwrap();
    }
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nAccept: {}\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n",
        format.accept()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    if let Some((begun, mut read_fast)) = slow {
        let mut has_begun = false;
        loop {
            let mut buffer = [0; 1024];
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the connection was closed before the end of the body");
            response.extend_from_slice(&buffer[..length]);
            // The head may arrive before the body.
            let head = response.windows(4).position(|end| end == b"\r\n\r\n");
            if !has_begun && head.is_some_and(|end| end + 4 < response.len()) {
                begun.send(()).unwrap();
                has_begun = true;
            }
            tokio::select! {
                done = read_fast.wait_for(|read_fast| *read_fast) => {
                    done.unwrap();
                    break;
                }
                () = sleep(Duration::from_secs(1)) => {}
            }
        }
    }
    stream.read_to_end(&mut response).await.unwrap();
    response
}

/// The number of collections of each target, and the resident memory of the exporter in bytes.
async fn collections_and_memory(exporter: &ExporterProcess) -> (BTreeMap<String, f64>, f64) {
    let path = format!("/metrics?collect[]={COLLECTIONS}&collect[]=process_resident_memory_bytes");
    let scrape = Scrape(http::request(exporter.address, "GET", &path).await.body);
    let regions = scrape.series().into_iter().filter_map(|series| {
        let (_, region) = series.split_once("aws_region=\"")?;
        Some(region.strip_suffix("\"}").unwrap().to_owned())
    });
    let collections = regions.zip(scrape.values(COLLECTIONS)).collect();
    (collections, scrape.sum("process_resident_memory_bytes"))
}

/// Waits until every target has been collected at least as often as `least` says. Returns
/// the peak memory of the exporter during that time, in bytes.
async fn wait_for_collections(exporter: &ExporterProcess, least: &BTreeMap<String, f64>) -> f64 {
    let deadline = Instant::now() + TIMEOUT;
    let mut peak_memory: f64 = 0.0;
    loop {
        let (collections, memory) = collections_and_memory(exporter).await;
        peak_memory = peak_memory.max(memory);
        if least.iter().all(|(region, least)| collections.get(region).is_some_and(|is| is >= least)) {
            return peak_memory;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {least:?}: {collections:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A fake AWS whose syncs change every 50 ms, in all regions at the same time.
async fn changing_aws(tasks: &mut JoinSet<()>) -> FakeAws {
    let aws = fake_aws().await;
    aws.world().set_default_syncs(SyncKind::ToDestination, syncs(0));
    let world = std::sync::Arc::clone(aws.world());
    tasks.spawn(async move {
        let mut ticks = interval(Duration::from_millis(50));
        for generation in 1.. {
            ticks.tick().await;
            world.set_default_syncs(SyncKind::ToDestination, syncs(generation));
        }
    });
    aws
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_body_is_complete_and_consistent_however_slowly_it_is_read() {
    let mut tasks = JoinSet::new();
    let aws = changing_aws(&mut tasks).await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, format!("interval: 1s\nregions: [{}]\n", regions().join(", "))).unwrap();
    // A separate process, so that its memory is not mixed with that of the readers.
    // `--web.max-requests 0` removes the limit on concurrent scrapes.
    let exporter = ExporterProcess::start(
        with_ambient_credentials(&mut program(), &aws)
            .arg("--config.file")
            .arg(&config)
            .args(["--web.max-requests", "0"]),
    );
    let address = exporter.address;
    wait_for_collections(&exporter, &regions().into_iter().map(|region| (region, 1.0)).collect()).await;

    let formats: Vec<(Format, &str)> =
        FORMATS.into_iter().flat_map(|format| CODINGS.map(|coding| (format, coding))).collect();
    let mut size = 0;
    for (format, coding) in formats.iter().copied() {
        size = size.max(read(address, format, coding, None).await.len());
    }
    assert!(size > 4_000_000, "a body of {size} bytes is too small to be noticeable in the memory");
    let (_, memory_before) = collections_and_memory(&exporter).await;

    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let (read_fast, read_fast_receiver) = watch::channel(false);
    let readers = |slow: bool| {
        let mut readers = JoinSet::new();
        for (format, coding) in formats.iter().copied().cycle().take(READERS / 2) {
            let slow = slow.then(|| (begun.clone(), read_fast_receiver.clone()));
            readers.spawn(async move {
                let response = read(address, format, coding, slow).await;
                tokio::task::spawn_blocking(move || check_body(format, coding, &response)).await.unwrap()
            });
        }
        readers
    };
    let slow = readers(true);
    for _ in 0..READERS / 2 {
        beginnings.recv().await.unwrap();
    }
    let (at_request, _) = collections_and_memory(&exporter).await;
    let fast = readers(false);
    // Readers do not delay collections.
    let later = at_request.iter().map(|(region, number)| (region.clone(), number + ROUNDS)).collect();
    let mut peak_memory = wait_for_collections(&exporter, &later).await;
    let fast = fast.join_all().await;
    read_fast.send(true).unwrap();
    let slow = slow.join_all().await;
    peak_memory = peak_memory.max(collections_and_memory(&exporter).await.1);

    // Slow bodies contain nothing newer than their request, not even at the end, which was
    // rendered only now.
    for (region, (collections, _)) in slow.iter().flatten() {
        assert!(*collections <= at_request[region], "{region}");
    }
    let mut known = HashMap::new();
    for (region, (collections, collection)) in slow.into_iter().chain(fast).flatten() {
        let first = known.entry((region.clone(), collections.to_bits())).or_insert(collection.clone());
        assert_eq!(*first, collection, "collection {collections} of {region}");
    }
    // Slow readers share the old chunks instead of each holding a copy.
    let bodies = (peak_memory - memory_before) / size as f64;
    assert!(bodies < 6.0, "{READERS} readers took as much memory as {bodies} bodies");
}
