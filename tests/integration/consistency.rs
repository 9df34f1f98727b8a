//! Tests that concurrent scrapes are complete and consistent: many readers, half of them slow,
//! while every target changes all the time.

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
use crate::program::{ExporterProcess, program, with_ambient_credentials};

/// Syncs per target. They fit in one page, because the pages of a longer list could be of different
/// generations.
const SYNCS: usize = 50;

const READERS: usize = 64;

/// How often every target must be collected while slow readers are still reading older bodies.
const ROUNDS: f64 = 3.0;

/// Unix time of generation 0.
const FIRST_TIME: u64 = 1_600_000_000;

const STATUSES: [&str; 3] = ["Successful", "Failed", "InProgress"];

/// The deadline of waits, which only a failing test reaches.
const TIMEOUT: Duration = Duration::from_mins(2);

const COLLECTIONS: &str = "ssm_sync_exporter_target_collections_total";

/// The names of 40 regions, for large bodies.
pub(crate) fn regions() -> Vec<String> {
    let areas = ["us", "eu", "ap", "sa", "ca", "af", "me", "il"];
    let directions = ["east", "west", "north", "south", "central"];
    areas.iter().flat_map(|area| directions.map(|direction| format!("{area}-{direction}-1"))).collect()
}

/// The syncs of every target in a generation. Every field that can change depends on the
/// generation.
fn syncs(generation: u64) -> Vec<Value> {
    let time = FIRST_TIME + generation;
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

/// A collection of a target, as read from a body. In all bodies, the collection with the same
/// number must be equal.
#[derive(Clone, Debug, PartialEq)]
struct Collection {
    generation: f64,
    ended: f64,
    took: f64,
}

/// The value that all samples of a family have in common for a target.
struct FamilyValue {
    family: String,
    region: String,
    value: f64,
    samples: usize,
}

#[derive(Default)]
struct FamilyValues(Vec<FamilyValue>);

impl FamilyValues {
    /// Adds a sample. Panics if it differs from other samples of the same family and target.
    fn add<'a>(&mut self, family: &str, label: impl Fn(&str) -> &'a str, value: f64) {
        let common = match family {
            "aws_ssm_resource_data_sync_info" => {
                label("bucket_name").strip_prefix("bucket-").unwrap().parse().unwrap()
            }
            "aws_ssm_resource_data_sync_last_status" => {
                // Only the sample of the current status is 1.
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
                assert_eq!(last.value, common, "samples of {family} in {region} differ in generation");
                last.samples += 1;
            }
            None => {
                let (family, region) = (family.to_owned(), region.to_owned());
                self.0.push(FamilyValue { family, region, value: common, samples: 1 });
            }
        }
    }

    fn of_text(text: &str) -> Self {
        let mut values = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (family, labels) = series.split_once('{').unwrap_or((series, ""));
            if !is_compared(family) {
                continue;
            }
            let label = |name: &str| {
                // The label values of this test need no escaping.
                let value = labels.split_once(name).and_then(|(_, rest)| rest.strip_prefix("=\""));
                value.and_then(|value| value.split('"').next()).unwrap_or_default()
            };
            values.add(family, label, value.parse().unwrap());
        }
        values
    }

    fn of_messages(body: &[u8]) -> Self {
        let mut values = Self::default();
        for family in messages(body).iter().filter(|family| is_compared(family.name())) {
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
    let found = metric.get_label().iter().find(|label| label.name() == name);
    found.map_or("", |label| label.value())
}

/// Whether the values of a family are compared with those of other families.
fn is_compared(family: &str) -> bool {
    let of_syncs = ["aws_ssm_resource_data_sync_info", "aws_ssm_resource_data_sync_last_status"];
    of_syncs.contains(&family)
        || family == "ssm_sync_exporter_targets"
        || family.starts_with("aws_ssm_") && family.ends_with("_seconds")
        || family.starts_with("ssm_sync_exporter_target_")
            && ["_total", "_up", "_seconds"].iter().any(|end| family.ends_with(end))
}

/// Checks that a body is complete, and that all values of a target come from the same collection.
/// Returns, for each target, the number of collections and the last one.
fn check_body(format: Format, coding: &str, answer: &[u8]) -> BTreeMap<String, (f64, Collection)> {
    // Panics if the last chunk is missing.
    let answer = http::parse(answer);
    assert_eq!(answer.status, 200);
    let body = decoded(coding, &answer.bytes);
    let values = match format {
        Format::Protobuf => FamilyValues::of_messages(&body),
        _ => FamilyValues::of_text(std::str::from_utf8(&body).unwrap()),
    };
    assert_eq!(body.ends_with(b"\n# EOF\n"), format == Format::OpenMetrics);

    let mut by_family = HashMap::new();
    for value in values.0 {
        let before = by_family.insert((value.family, value.region), (value.value, value.samples));
        assert_eq!(before, None, "samples of a family and target are not contiguous");
    }
    let of = |family: &str, region: &str, samples: usize| {
        let (value, found) = by_family[&(family.to_owned(), region.to_owned())];
        assert_eq!(found, samples, "{family} of {region}");
        value
    };
    let of_syncs =
        |name: &str, region: &str| of(&format!("aws_ssm_resource_data_sync_{name}"), region, SYNCS);
    let of_target = |name: &str, region: &str| of(&format!("ssm_sync_exporter_target_{name}"), region, 1);

    let mut now = None;
    let targets: BTreeMap<String, (f64, Collection)> = regions()
        .into_iter()
        .map(|region| {
            let generation = of_syncs("info", &region);
            let time = generation + FIRST_TIME as f64;
            for name in ["created", "last_modified", "last_successful_sync", "last_sync"] {
                assert_eq!(of_syncs(&format!("{name}_timestamp_seconds"), &region), time, "{name}: {region}");
            }
            assert_eq!(of_syncs("last_status", &region), generation % STATUSES.len() as f64, "{region}");
            for name in ["last_successful_sync_age_seconds", "last_sync_age_seconds"] {
                // Ages are rounded to milliseconds.
                let moment = time + of_syncs(name, &region);
                let first: f64 = *now.get_or_insert(moment);
                assert!((moment - first).abs() < 0.000_5, "{name} of {region}: {moment}, not {first}");
            }
            assert_eq!(of_target("up", &region), 1.0);
            let ended = of_target("last_collection_timestamp_seconds", &region);
            assert_eq!(of_target("last_success_timestamp_seconds", &region), ended);
            let took = of_target("collection_duration_seconds", &region);
            let collection = Collection { generation, ended, took };
            let collections = of_target("collections_total", &region);
            (region, (collections, collection))
        })
        .collect();
    assert_eq!(of("ssm_sync_exporter_targets", "", 1), targets.len() as f64);
    targets
}

/// Reads a response as fast as possible. With `slow`, reads about 1 kB per second until the
/// receiver becomes true, and notifies the sender when the body has begun.
async fn read(
    address: SocketAddr,
    format: Format,
    coding: &str,
    slow: Option<(mpsc::UnboundedSender<()>, watch::Receiver<bool>)>,
) -> Vec<u8> {
    let socket = TcpSocket::new_v4().unwrap();
    if slow.is_some() {
        // A small buffer, so that the kernel does not receive the whole body.
        socket.set_recv_buffer_size(4096).unwrap();
        SockRef::from(&socket).set_tcp_mss(1024).unwrap();
    }
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nAccept: {}\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n",
        format.accept()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    if let Some((begun, mut hurry)) = slow {
        let mut notified = false;
        loop {
            let mut chunk = [0; 1024];
            let length = stream.read(&mut chunk).await.unwrap();
            assert!(length > 0, "the connection closed within the body");
            answer.extend_from_slice(&chunk[..length]);
            // The head may arrive before the body begins.
            let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
            if !notified && head.is_some_and(|end| end + 4 < answer.len()) {
                begun.send(()).unwrap();
                notified = true;
            }
            tokio::select! {
                done = hurry.wait_for(|hurry| *hurry) => {
                    done.unwrap();
                    break;
                }
                () = sleep(Duration::from_secs(1)) => {}
            }
        }
    }
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// The number of collections of each target by region, and the resident memory of the exporter in
/// bytes.
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

/// Waits until every target has been collected at least as often as in `least`. Returns the peak
/// memory of the exporter meanwhile.
async fn wait_for_collections(exporter: &ExporterProcess, least: &BTreeMap<String, f64>) -> f64 {
    let deadline = Instant::now() + TIMEOUT;
    let mut peak: f64 = 0.0;
    loop {
        let (collections, memory) = collections_and_memory(exporter).await;
        peak = peak.max(memory);
        if least.iter().all(|(region, least)| collections.get(region).is_some_and(|count| count >= least)) {
            return peak;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {least:?}, got {collections:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Starts a fake AWS whose syncs change every 50 ms in every account and region.
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
    // A separate process, so that its memory can be measured without the readers'. The number and
    // duration of scrapes is not limited.
    let exporter = ExporterProcess::start(
        with_ambient_credentials(&mut program(), &aws)
            .arg("--config.file")
            .arg(&config)
            .args(["--web.max-requests", "0"]),
    );
    let address = exporter.address;
    wait_for_collections(&exporter, &regions().into_iter().map(|region| (region, 1.0)).collect()).await;

    let variants: Vec<(Format, &str)> =
        FORMATS.into_iter().flat_map(|format| CODINGS.map(|coding| (format, coding))).collect();
    let mut size = 0;
    for (format, coding) in variants.iter().copied() {
        size = size.max(read(address, format, coding, None).await.len());
    }
    assert!(size > 4_000_000, "a body of {size} bytes could fit in buffers");
    let (_, before) = collections_and_memory(&exporter).await;

    let (begun, mut begins) = mpsc::unbounded_channel();
    let (hurry, hurries) = watch::channel(false);
    let readers = |slow: bool| {
        let mut readers = JoinSet::new();
        for (format, coding) in variants.iter().copied().cycle().take(READERS / 2) {
            let slow = slow.then(|| (begun.clone(), hurries.clone()));
            readers.spawn(async move {
                let answer = read(address, format, coding, slow).await;
                tokio::task::spawn_blocking(move || check_body(format, coding, &answer)).await.unwrap()
            });
        }
        readers
    };
    let slow = readers(true);
    for _ in 0..READERS / 2 {
        begins.recv().await.unwrap();
    }
    let (then, _) = collections_and_memory(&exporter).await;
    let fast = readers(false);
    // Collections continue while slow readers are reading.
    let later = then.iter().map(|(region, times)| (region.clone(), times + ROUNDS)).collect();
    let mut peak = wait_for_collections(&exporter, &later).await;
    let fast = fast.join_all().await;
    hurry.send(true).unwrap();
    let slow = slow.join_all().await;
    peak = peak.max(collections_and_memory(&exporter).await.1);

    // The last part of a slow body, rendered only now, is from the time of the request.
    for (region, (collections, _)) in slow.iter().flatten() {
        assert!(*collections <= then[region], "{region}");
    }
    let mut known = HashMap::new();
    for (region, (collections, collection)) in slow.into_iter().chain(fast).flatten() {
        let first = known.entry((region.clone(), collections.to_bits())).or_insert(collection.clone());
        assert_eq!(*first, collection, "collection {collections} of {region}");
    }
    // Slow readers share the data that they keep alive.
    let bodies = (peak - before) / size as f64;
    assert!(bodies < 6.0, "{READERS} readers use the memory of {bodies} bodies");
}
