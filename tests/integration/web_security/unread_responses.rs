//! Tests of clients that do not read the responses to their requests: other clients are served,
//! and the exporter's memory stays bounded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::http2::{DATA, DEFAULT_WINDOW, GOAWAY, HEADERS, Http2, RST_STREAM};
use super::limits::{exporter_with_large_body, stall};
use super::listeners::free_address;
use super::{SecuredExporter, TLS, WebFiles};
use crate::exporter::{Exporter, REGION, Setup};
use crate::http;
use crate::process::{ExporterProcess, program};

/// How many streams the exporter allows an HTTP/2 connection.
const STREAMS: u32 = 16;

/// The error code of HTTP/2 for a client that causes too much work.
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// Prometheus's default scrape timeout.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An address of this machine other than that of the honest clients.
fn attacker(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, number).into()
}

/// An exporter over TLS, and the files of its certificates.
async fn start(max_requests: usize) -> (fake_aws::FakeAws, Exporter, Arc<WebFiles>) {
    let setup = Setup { max_requests, ..Setup::default() };
    let SecuredExporter { exporter, files, _aws: aws } = SecuredExporter::start_with(TLS, setup).await;
    (aws, exporter, Arc::new(files))
}

/// The status of the response to a request over HTTP/1.1 and TLS. `None` if there is none in
/// time, or the connection is closed before it is complete.
async fn get(source: IpAddr, address: SocketAddr, files: &WebFiles, path: &str) -> Option<u16> {
    let request = async {
        let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.ok()?;
        socket.bind(SocketAddr::new(source, 0)).ok()?;
        let tcp = socket.connect(address).await.ok()?;
        let connector = TlsConnector::from(files.authority.client_config(None));
        let mut stream = connector.connect("localhost".try_into().ok()?, tcp).await.ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.ok()?;
        response.windows(4).any(|bytes| bytes == b"\r\n\r\n").then(|| http::parse(&response).status)
    };
    timeout(SCRAPE_TIMEOUT, request).await.ok()?
}

/// Scrapes `number` times, without pauses, and requires that every scrape succeeds.
async fn scrape(number: usize, source: IpAddr, exporter: &Exporter, files: &WebFiles) {
    for number in 0..number {
        assert_eq!(get(source, exporter.address, files, "/metrics").await, Some(200), "scrape {number}");
    }
}

/// What an attacker does with its streams.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Grants no window.
    Hold,
    /// Grants a few bytes at a time.
    Drip,
    /// Replaces its streams before they count as stalled.
    Cycle,
}

/// Occupies the streams of one connection with `path`, and replaces those that the exporter resets.
/// Reconnects when the connection is closed. Sends a message once all streams are requested.
async fn occupy(
    source: IpAddr,
    address: SocketAddr,
    files: Arc<WebFiles>,
    path: &'static str,
    behaviour: Behaviour,
    occupied: UnboundedSender<()>,
) {
    loop {
        let Ok(mut client) = Http2::connect_from(source, address, &files, 0).await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ended = occupy_streams(&mut client, path, behaviour, &occupied).await;
    }
}

async fn occupy_streams(
    client: &mut Http2,
    path: &str,
    behaviour: Behaviour,
    occupied: &UnboundedSender<()>,
) -> std::io::Result<()> {
    let mut streams: Vec<u32> = (0..STREAMS).map(|number| 2 * number + 1).collect();
    for stream in &streams {
        client.request(*stream, "GET", path, &[]).await?;
    }
    // The receiver is dropped once the attack has begun.
    let _ignored = occupied.send(());
    let mut next = 2 * STREAMS + 1;
    let mut ticks = tokio::time::interval(Duration::from_millis(300));
    loop {
        let reset = tokio::select! {
            frame = client.frame() => match frame {
                Some(frame) if frame.kind == RST_STREAM => vec![frame.stream],
                Some(_) => vec![],
                None => return Ok(()),
            },
            _ = ticks.tick() => match behaviour {
                Behaviour::Hold => vec![],
                Behaviour::Drip => {
                    for stream in &streams {
                        client.grant(*stream, 10).await?;
                    }
                    vec![]
                }
                Behaviour::Cycle => {
                    for stream in &streams {
                        client.reset(*stream).await?;
                    }
                    streams.clone()
                }
            },
        };
        for stream in reset {
            client.request(next, "GET", path, &[]).await?;
            streams.retain(|other| *other != stream);
            streams.push(next);
            next += 2;
        }
    }
}

/// Starts attackers, each with one connection, and waits until all have requested their streams.
async fn attack(
    sources: impl Iterator<Item = IpAddr>,
    address: SocketAddr,
    files: &Arc<WebFiles>,
    path: &'static str,
    behaviour: Behaviour,
) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    let (occupied, mut occupations) = unbounded_channel();
    for source in sources {
        attackers.spawn(occupy(source, address, Arc::clone(files), path, behaviour, occupied.clone()));
    }
    for _ in 0..attackers.len() {
        timeout(Duration::from_mins(1), occupations.recv()).await.unwrap().unwrap();
    }
    attackers
}

/// Regression: three connections with a window of zero took all places, and Prometheus got 503.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_streams_without_a_window_do_not_keep_scrapes_out() {
    let (_aws, exporter, files) = start(40).await;
    let sources = std::iter::repeat_n(LOCALHOST, 3);
    let _attack = attack(sources, exporter.address, &files, "/metrics", Behaviour::Hold).await;
    scrape(60, LOCALHOST, &exporter, &files).await;
}

/// Regression: 20 connections with 16 streams each filled the queue, and scrapes from the same
/// address got 503. With a single place, so did those behind the streams of three connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_many_connections_nor_a_single_place_keep_scrapes_of_the_same_address_out() {
    for (max_requests, connections, scrapes) in [(40, 20, 15), (1, 3, 4)] {
        let (_aws, exporter, files) = start(max_requests).await;
        let sources = std::iter::repeat_n(LOCALHOST, connections);
        let _attack = attack(sources, exporter.address, &files, "/metrics", Behaviour::Hold).await;
        scrape(scrapes, LOCALHOST, &exporter, &files).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_streams_from_many_addresses_do_not_keep_scrapes_out() {
    let (_aws, exporter, files) = start(40).await;
    let sources = (0..20).map(attacker);
    let _attack = attack(sources, exporter.address, &files, "/metrics", Behaviour::Hold).await;
    scrape(60, LOCALHOST, &exporter, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_bytes_at_a_time_do_not_keep_a_place() {
    let (_aws, exporter, files) = start(8).await;
    let sources = (0..4).map(|number| attacker(number % 2));
    let _attack = attack(sources, exporter.address, &files, "/metrics", Behaviour::Drip).await;
    scrape(30, LOCALHOST, &exporter, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_streams_before_they_count_as_stalled_does_not_keep_scrapes_out() {
    let (_aws, exporter, files) = start(8).await;
    // The honest client shares its address with one of the attackers.
    let sources = [LOCALHOST, attacker(1), attacker(2)].into_iter();
    let _attack = attack(sources, exporter.address, &files, "/metrics", Behaviour::Cycle).await;
    scrape(30, LOCALHOST, &exporter, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_reading_over_http1_do_not_keep_scrapes_out() {
    let (_aws, exporter) = exporter_with_large_body(&Setup { max_requests: 4, ..Setup::default() }).await;
    exporter.wait_until_ready().await;
    let mut stalled = JoinSet::new();
    for _ in 0..8 {
        let address = exporter.address;
        stalled.spawn(async move {
            loop {
                // Holds the connection until it is evicted, and reconnects at once.
                let Some(mut stream) = stall(address).await else { continue };
                while stream.write_all(b"\r\n").await.is_ok() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    for _ in 0..10 {
        let before = Instant::now();
        let response = exporter.get("/metrics?collect[]=ssm_sync_exporter_targets").await;
        assert_eq!(response.status, 200);
        assert!(before.elapsed() < SCRAPE_TIMEOUT);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicting_a_stalled_stream_leaves_its_connection_open() {
    let (_aws, exporter, files) = start(1).await;
    let mut client = Http2::connect(exporter.address, &files, 0).await;
    client.request(1, "GET", "/metrics", &[]).await.unwrap();
    client.wait_for(HEADERS).await;
    scrape(1, LOCALHOST, &exporter, &files).await;
    assert_eq!(client.wait_for(RST_STREAM).await.stream, 1);
    client.request(3, "HEAD", "/metrics", &[]).await.unwrap();
    assert_eq!(client.wait_for(HEADERS).await.payload[0], 0x88, "status 200");

    // The stream can also be reset when hyper has taken the whole body.
    client.request(5, "GET", "/metrics?collect[]=ssm_sync_exporter_build_info", &[]).await.unwrap();
    client.grant(5, 1).await.unwrap();
    assert_eq!(client.wait_for(DATA).await.payload.len(), 1);
    scrape(1, LOCALHOST, &exporter, &files).await;
    assert_eq!(client.wait_for(RST_STREAM).await.stream, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_may_send_as_many_scrapes_as_there_are_places() {
    let (_aws, exporter, files) = start(40).await;
    let mut scrapes = JoinSet::new();
    for _ in 0..40 {
        let (address, files) = (exporter.address, Arc::clone(&files));
        scrapes.spawn(async move { get(LOCALHOST, address, &files, "/metrics").await });
    }
    assert_eq!(scrapes.join_all().await, vec![Some(200); 40]);
    // As a reverse proxy sends them over one connection.
    let mut client = Http2::connect(exporter.address, &files, DEFAULT_WINDOW).await;
    for number in 0..STREAMS {
        let path = "/metrics?collect[]=ssm_sync_exporter_targets";
        client.request(2 * number + 1, "GET", path, &[]).await.unwrap();
    }
    let mut ended = 0;
    while ended < STREAMS {
        let frame = client.frame().await.unwrap();
        assert_ne!(frame.kind, RST_STREAM);
        assert!(frame.kind != HEADERS || frame.payload[0] == 0x88, "status 200");
        ended += u32::from(frame.kind == DATA && frame.flags & 1 != 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_pages_that_are_not_read_keep_neither_places_nor_memory() {
    let files = Arc::new(WebFiles::new(TLS));
    let running = ExporterProcess::start(
        program().env("AWS_REGION", REGION).arg("--web.config.file").arg(files.path("web.yaml")),
    );
    let sources = (0..30).map(|number| attacker(number % 5));
    let _attack = attack(sources, running.address, &files, "/", Behaviour::Hold).await;
    for _ in 0..20 {
        assert_eq!(get(LOCALHOST, running.address, &files, "/").await, Some(200));
        assert_eq!(get(LOCALHOST, running.address, &files, "/metrics").await, Some(200));
    }
    let peak = running.resident_bytes();
    assert!(peak < 100_000_000, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_over_ipv4_and_ipv6_do_not_keep_each_other_out() {
    let files = Arc::new(WebFiles::new(TLS));
    let mut command = program();
    command.env("AWS_REGION", REGION).arg("--web.config.file").arg(files.path("web.yaml"));
    // A dual-stack socket, on which IPv4 addresses are mapped to IPv6 addresses.
    let port = free_address("::").port();
    let listen = format!("--web.listen-address=:{port}");
    let _running = ExporterProcess::start(command.args(["--web.max-requests=8", &listen]));
    let (v4, v6) = ((Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into());
    let over_v4 =
        attack([attacker(1), attacker(2)].into_iter(), v4, &files, "/metrics", Behaviour::Hold).await;
    let sources = std::iter::repeat_n(IpAddr::from(Ipv6Addr::LOCALHOST), 3);
    let over_v6 = attack(sources, v6, &files, "/metrics", Behaviour::Hold).await;
    for _ in 0..10 {
        assert_eq!(get(LOCALHOST, v4, &files, "/metrics").await, Some(200));
        assert_eq!(get(Ipv6Addr::LOCALHOST.into(), v6, &files, "/metrics").await, Some(200));
    }
    drop((over_v4, over_v6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_its_requests_rapidly_is_disconnected() {
    let (_aws, exporter, files) = start(8).await;
    let mut client = Http2::connect(exporter.address, &files, 0).await;
    for number in 0..100_000 {
        let stream = 2 * number + 1;
        let request = client.request(stream, "GET", "/metrics", &[]).await;
        if request.is_err() || client.reset(stream).await.is_err() {
            break;
        }
    }
    // The connection may be reset before the frame arrives.
    while let Some(frame) = client.frame().await {
        assert!(frame.kind != GOAWAY || frame.payload[4..8] == ENHANCE_YOUR_CALM, "{frame:?}");
    }
    scrape(5, LOCALHOST, &exporter, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_connections_do_not_keep_others_out() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let files = Arc::new(WebFiles::new(TLS));
    let running = ExporterProcess::start(
        program().env("AWS_REGION", REGION).arg("--web.config.file").arg(files.path("web.yaml")),
    );
    // More than the exporter serves. Every stream is busy, because its response cannot be sent.
    let sources = (0..600).map(|number| attacker(u8::from(number % 2 == 0)));
    let _attack = attack(sources, running.address, &files, "/-/healthy", Behaviour::Hold).await;
    for _ in 0..20 {
        assert_eq!(get(LOCALHOST, running.address, &files, "/metrics").await, Some(200));
        sleep(Duration::from_millis(100)).await;
    }
    let peak = running.resident_bytes();
    assert!(peak < 150_000_000, "{peak} bytes");
}
