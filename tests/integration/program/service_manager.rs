//! Tests of the environment variables by which systemd describes itself.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use fake_aws::FakeAws;
use pretty_assertions::assert_eq;

use crate::exporter::{REGION, fake_aws};
use crate::http;
use crate::process::{ExporterProcess, program, with_ambient_credentials};

/// Starts the exporter with environment variables of systemd.
fn start(aws: &FakeAws, variables: &[(&str, &str)]) -> ExporterProcess {
    let mut command = program();
    let command = with_ambient_credentials(&mut command, aws).env("AWS_REGION", REGION);
    ExporterProcess::start(command.envs(variables.iter().copied()))
}

/// Regression: the name of an abstract socket was used as a path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_reach_an_abstract_socket() {
    let aws = fake_aws().await;
    let name = format!("ssm-sync-exporter-test/{}/notify", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let next = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a notification within 30 seconds");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let running = start(&aws, &[("NOTIFY_SOCKET", &format!("@{name}")), ("WATCHDOG_USEC", "4000000")]);
    let mut first = [next(), next()];
    first.sort();
    assert_eq!(first, ["READY=1\n", "WATCHDOG=1\n"]);
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("level=warn"), "{log}");
    let last = std::iter::from_fn(|| Some(next())).find(|notification| notification != "WATCHDOG=1\n");
    assert_eq!(last.as_deref(), Some("STOPPING=1\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_cannot_be_used_is_one_warning_that_names_it() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let missing = missing.to_str().unwrap();
    let too_long = format!("/{}", "x".repeat(200));
    let other = "expected an absolute path, or `@` and the name of an abstract socket";
    for (value, expected) in [
        ("", None),
        ("notify", Some(other)),
        ("vsock:2:1234", Some(other)),
        ("@", Some(other)),
        ("\u{1b}[2J", Some(other)),
        (too_long.as_str(), Some("longer than a socket address can be")),
        (missing, Some("No such file or directory")),
        ("/", Some("onnection refused")),
        ("@ssm-sync-exporter-test/no-such-socket", Some("onnection refused")),
    ] {
        let running = start(&aws, &[("NOTIFY_SOCKET", value), ("WATCHDOG_USEC", "400000")]);
        running.metrics().await;
        assert_eq!(http::request(running.address, "GET", "/-/healthy").await.status, 200);
        let (status, _, log) = running.stop("TERM");
        assert_eq!(status.code(), Some(0), "{value}: {log}");
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
        assert_eq!(warnings.len(), usize::from(expected.is_some()), "{value}: {log}");
        if let (Some(expected), [warning]) = (expected, &*warnings) {
            assert!(warning.contains("\"cannot notify the service manager\""), "{warning}");
            assert!(warning.contains(expected), "{warning}");
            let named: String = value.chars().filter(|character| !character.is_control()).take(90).collect();
            assert!(warning.contains(&named), "{warning}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_watchdog_timeout_does_not_stop_the_exporter() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let path = path.to_str().unwrap();
    for (value, is_valid) in [
        ("", false),
        ("4s", false),
        ("-1", false),
        ("18446744073709551616", false),
        ("0", true),
        ("1", true),
        ("18446744073709551615", true),
    ] {
        let running = start(&aws, &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", value)]);
        running.metrics().await;
        let (status, _, log) = running.stop("TERM");
        assert_eq!(status.code(), Some(0), "{value}: {log}");
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
        assert_eq!(warnings.len(), usize::from(!is_valid), "{value}: {log}");
        if let [warning] = *warnings {
            let expected =
                "message=\"cannot notify the watchdog, expected microseconds\" variable=WATCHDOG_USEC";
            assert!(warning.contains(expected), "{warning}");
        }
        let mut buffer = [0; 256];
        while socket.recv(&mut buffer).is_ok() {}
    }
}
