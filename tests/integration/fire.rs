//! Scrapes under fire: many readers, half of them slow, while all that they read
//! about changes.

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
use crate::program::{Running, program, with_ambient_credentials};

/// How many syncs each target has: as many as come in one page, for a list of
/// several pages may be of several generations.
const SYNCS: usize = 50;

const READERS: usize = 64;

/// How often every target is to be collected while slow readers hold on to what
/// was before.
const ROUNDS: f64 = 3.0;

/// The time of generation 0.
const BEGINNING: u64 = 1_600_000_000;

const STATUSES: [&str; 3] = ["Successful", "Failed", "InProgress"];

/// How long to wait for what should happen soon. Only a failing test waits this
/// long.
const PATIENCE: Duration = Duration::from_mins(2);

const COLLECTIONS: &str = "ssm_sync_exporter_target_collections_total";

/// Many regions, so that there is much to tell.
pub(crate) fn regions() -> Vec<String> {
    let areas = ["us", "eu", "ap", "sa", "ca", "af", "me", "il"];
    let directions = ["east", "west", "north", "south", "central"];
    areas.iter().flat_map(|area| directions.map(|direction| format!("{area}-{direction}-1"))).collect()
}

/// What every target has in a generation, of which each of them tells in all that
/// can change.
fn syncs(generation: u64) -> Vec<Value> {
    let time = BEGINNING + generation;
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

/// What a body says of a target. Collections of the same number have to be the
/// same one.
#[derive(Clone, Debug, PartialEq)]
struct Collection {
    generation: f64,
    ended: f64,
    took: f64,
}

/// What all samples of a family say of a target.
struct Fact {
    family: String,
    region: String,
    told: f64,
    samples: usize,
}

#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    /// Takes in a sample, if it is one that tells something.
    fn add<'a>(&mut self, family: &str, label: impl Fn(&str) -> &'a str, value: f64) {
        let told = match family {
            "aws_ssm_resource_data_sync_info" => {
                label("bucket_name").strip_prefix("bucket-").unwrap().parse().unwrap()
            }
            "aws_ssm_resource_data_sync_last_status" => {
                // The others are 0, and which one is not varies.
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
                assert_eq!(last.told, told, "{family} of {region} is of one moment");
                last.samples += 1;
            }
            None => {
                let (family, region) = (family.to_owned(), region.to_owned());
                self.0.push(Fact { family, region, told, samples: 1 });
            }
        }
    }

    fn of_text(text: &str) -> Self {
        let mut facts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (family, labels) = series.split_once('{').unwrap_or((series, ""));
            if !tells(family) {
                continue;
            }
            let label = |name: &str| {
                // None of ours has to be escaped.
                let value = labels.split_once(name).and_then(|(_, rest)| rest.strip_prefix("=\""));
                value.and_then(|value| value.split('"').next()).unwrap_or_default()
            };
            facts.add(family, label, value.parse().unwrap());
        }
        facts
    }

    fn of_messages(body: &[u8]) -> Self {
        let mut facts = Self::default();
        for family in messages(body).iter().filter(|family| tells(family.name())) {
            for metric in family.get_metric() {
                let value = match family.get_field_type() {
                    MetricType::COUNTER => metric.get_counter().value(),
                    _ => metric.get_gauge().value(),
                };
                facts.add(family.name(), |name| label(metric, name), value);
            }
        }
        facts
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    let found = metric.get_label().iter().find(|label| label.name() == name);
    found.map_or("", |label| label.value())
}

/// Whether a family tells something that has to fit the others.
fn tells(family: &str) -> bool {
    let of_syncs = ["aws_ssm_resource_data_sync_info", "aws_ssm_resource_data_sync_last_status"];
    of_syncs.contains(&family)
        || family == "ssm_sync_exporter_targets"
        || family.starts_with("aws_ssm_") && family.ends_with("_seconds")
        || family.starts_with("ssm_sync_exporter_target_")
            && ["_total", "_up", "_seconds"].iter().any(|end| family.ends_with(end))
}

/// Checks that a body is whole and that all it says of each target is of one
/// moment: what that is, by target, behind the number of its collections.
fn told(format: Format, coding: &str, answer: &[u8]) -> BTreeMap<String, (f64, Collection)> {
    // Which sees to it that the last chunk is there.
    let answer = http::parse(answer);
    assert_eq!(answer.status, 200);
    let body = decoded(coding, &answer.bytes);
    let facts = match format {
        Format::Protobuf => Facts::of_messages(&body),
        _ => Facts::of_text(std::str::from_utf8(&body).unwrap()),
    };
    assert_eq!(body.ends_with(b"\n# EOF\n"), format == Format::OpenMetrics);

    let mut by_family = HashMap::new();
    for fact in facts.0 {
        let before = by_family.insert((fact.family, fact.region), (fact.told, fact.samples));
        assert_eq!(before, None, "samples of a family and target stand together");
    }
    let of = |family: &str, region: &str, samples: usize| {
        let (told, found) = by_family[&(family.to_owned(), region.to_owned())];
        assert_eq!(found, samples, "{family} of {region}");
        told
    };
    let of_syncs =
        |name: &str, region: &str| of(&format!("aws_ssm_resource_data_sync_{name}"), region, SYNCS);
    let of_target = |name: &str, region: &str| of(&format!("ssm_sync_exporter_target_{name}"), region, 1);

    let mut now = None;
    let told: BTreeMap<String, (f64, Collection)> = regions()
        .into_iter()
        .map(|region| {
            let generation = of_syncs("info", &region);
            let time = generation + BEGINNING as f64;
            for name in ["created", "last_modified", "last_successful_sync", "last_sync"] {
                assert_eq!(of_syncs(&format!("{name}_timestamp_seconds"), &region), time, "{name}: {region}");
            }
            assert_eq!(of_syncs("last_status", &region), generation % STATUSES.len() as f64, "{region}");
            for name in ["last_successful_sync_age_seconds", "last_sync_age_seconds"] {
                // Ages have milliseconds and no more.
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
    assert_eq!(of("ssm_sync_exporter_targets", "", 1), told.len() as f64);
    told
}

/// Reads a body as fast as it comes, or, if it is to be slow, about 1 kB in a
/// second until `hurry` is true. A slow one tells when the body has begun.
async fn read(
    address: SocketAddr,
    format: Format,
    coding: &str,
    slow: Option<(mpsc::UnboundedSender<()>, watch::Receiver<bool>)>,
) -> Vec<u8> {
    let socket = TcpSocket::new_v4().unwrap();
    if slow.is_some() {
        // The system must not take the whole body for us.
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
        let mut told = false;
        loop {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "it ended in the midst of the body");
            answer.extend_from_slice(&piece[..length]);
            // The head may come before anything of the body is there.
            let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
            if !told && head.is_some_and(|end| end + 4 < answer.len()) {
                begun.send(()).unwrap();
                told = true;
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

/// The number of collections of each target, and the memory of the exporter.
async fn pulse(exporter: &Running) -> (BTreeMap<String, f64>, f64) {
    let path = format!("/metrics?collect[]={COLLECTIONS}&collect[]=process_resident_memory_bytes");
    let scrape = Scrape(http::request(exporter.address, "GET", &path).await.body);
    let regions = scrape.series().into_iter().filter_map(|series| {
        let (_, region) = series.split_once("aws_region=\"")?;
        Some(region.strip_suffix("\"}").unwrap().to_owned())
    });
    let collections = regions.zip(scrape.values(COLLECTIONS)).collect();
    (collections, scrape.sum("process_resident_memory_bytes"))
}

/// Waits until every target has been collected so often: the most memory that the
/// exporter had meanwhile.
async fn collected(exporter: &Running, least: &BTreeMap<String, f64>) -> f64 {
    let deadline = Instant::now() + PATIENCE;
    let mut most: f64 = 0.0;
    loop {
        let (collections, memory) = pulse(exporter).await;
        most = most.max(memory);
        if least.iter().all(|(region, least)| collections.get(region).is_some_and(|is| is >= least)) {
            return most;
        }
        assert!(Instant::now() < deadline, "waited in vain for {least:?}, there are {collections:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A fake AWS whose syncs change all the time, everywhere at once.
async fn restless_aws(tasks: &mut JoinSet<()>) -> FakeAws {
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
async fn every_body_is_whole_and_of_one_moment_however_slowly_it_is_read() {
    let mut tasks = JoinSet::new();
    let aws = restless_aws(&mut tasks).await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, format!("interval: 1s\nregions: [{}]\n", regions().join(", "))).unwrap();
    // A process of its own, so that its memory is not that of the readers.
    // All readers at once, and for as long as they like.
    let exporter = Running::start(
        with_ambient_credentials(&mut program(), &aws)
            .arg("--config.file")
            .arg(&config)
            .args(["--web.max-requests", "0"]),
    );
    let address = exporter.address;
    collected(&exporter, &regions().into_iter().map(|region| (region, 1.0)).collect()).await;

    let ways: Vec<(Format, &str)> =
        FORMATS.into_iter().flat_map(|format| CODINGS.map(|coding| (format, coding))).collect();
    let mut size = 0;
    for (format, coding) in ways.iter().copied() {
        size = size.max(read(address, format, coding, None).await.len());
    }
    assert!(size > 4_000_000, "{size} is little enough to go unnoticed");
    let (_, before) = pulse(&exporter).await;

    let (begun, mut begins) = mpsc::unbounded_channel();
    let (hurry, hurries) = watch::channel(false);
    let readers = |slow: bool| {
        let mut readers = JoinSet::new();
        for (format, coding) in ways.iter().copied().cycle().take(READERS / 2) {
            let slow = slow.then(|| (begun.clone(), hurries.clone()));
            readers.spawn(async move {
                let answer = read(address, format, coding, slow).await;
                tokio::task::spawn_blocking(move || told(format, coding, &answer)).await.unwrap()
            });
        }
        readers
    };
    let slow = readers(true);
    for _ in 0..READERS / 2 {
        begins.recv().await.unwrap();
    }
    let (then, _) = pulse(&exporter).await;
    let fast = readers(false);
    // Collections go on, whoever reads.
    let later = then.iter().map(|(region, times)| (region.clone(), times + ROUNDS)).collect();
    let mut most = collected(&exporter, &later).await;
    let fast = fast.join_all().await;
    hurry.send(true).unwrap();
    let slow = slow.join_all().await;
    most = most.max(pulse(&exporter).await.1);

    // Even the last piece, made only now, is of the moment at which it was asked for.
    for (region, (collections, _)) in slow.iter().flatten() {
        assert!(*collections <= then[region], "{region}");
    }
    let mut known = HashMap::new();
    for (region, (collections, collection)) in slow.into_iter().chain(fast).flatten() {
        let first = known.entry((region.clone(), collections.to_bits())).or_insert(collection.clone());
        assert_eq!(*first, collection, "collection {collections} of {region}");
    }
    // What slow readers hold on to is known once, and not once for each of them.
    let bodies = (most - before) / size as f64;
    assert!(bodies < 6.0, "{READERS} readers cost as much memory as {bodies} bodies");
}
