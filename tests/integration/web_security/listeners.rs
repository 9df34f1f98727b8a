//! Tests of listeners: several addresses, IPv6 and systemd sockets.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exporter::REGION;
use crate::http;
use crate::process::{ExporterProcess, program, run};

/// An address with a free port.
pub(super) fn free_address(host: &str) -> SocketAddr {
    let listener =
        TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("cannot listen on {host}: {error}"));
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporter_listens_on_several_addresses_and_ipv6() {
    let (v6, v4) = (free_address("::1"), free_address("127.0.0.1"));
    let (first, second) = (v6.to_string(), v4.to_string());
    let wildcard_port = free_address("::").port();
    let wildcard = format!(":{wildcard_port}");
    let mut command = program();
    command.env("AWS_REGION", REGION);
    for address in [&first, &second, &wildcard] {
        command.args(["--web.listen-address", address]);
    }
    let running = ExporterProcess::start(&mut command);
    for address in [
        v6,
        v4,
        running.address,
        SocketAddr::from(([127, 0, 0, 1], wildcard_port)),
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], wildcard_port)),
    ] {
        assert_eq!(http::request(address, "GET", "/-/healthy").await.status, 200, "{address}");
    }
}

/// The program as systemd starts it with socket activation, with the socket as descriptor 3.
fn socket_activated(socket: impl Into<OwnedFd>) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_ssm-sync-exporter"), "--web.systemd-socket"])
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", REGION)
        .stdin(Stdio::from(socket.into()));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporter_listens_on_the_systemd_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The exporter serves connections from before its start.
    let mut early = TcpStream::connect(address).await.unwrap();
    early.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let running = ExporterProcess::start(&mut socket_activated(listener));
    assert_eq!(running.address, address, "--web.listen-address must be ignored");
    let mut response = Vec::new();
    early.read_to_end(&mut response).await.unwrap();
    assert_eq!(http::parse(&response).status, 200);
    assert_eq!(http::request(address, "GET", "/-/healthy").await.status, 200);
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("listening").count(), 1, "{log}");
}

#[test]
fn an_unusable_systemd_socket_is_a_one_line_error_with_status_1() {
    let (status, out, err) = run(program().env("AWS_REGION", REGION).arg("--web.systemd-socket"));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "ssm-sync-exporter: --web.systemd-socket is set, but systemd has passed no socket; start the exporter through a \
         socket unit with ListenStream=10144, or remove the flag\n"
    );

    // Regression: the exporter reserved memory for as many sockets as the variable says.
    for number in ["x", "-1", "2000000000", "1 ", "", "\u{1b}[2J"] {
        let mut command = program();
        command.env("AWS_REGION", REGION).env("LISTEN_FDS", number).arg("--web.systemd-socket");
        let (status, out, err) = run(&mut command);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        assert_eq!(
            err,
            format!(
                "ssm-sync-exporter: --web.systemd-socket is set, but LISTEN_FDS is `{}`; expected the number of sockets \
                 that systemd has passed\n",
                number.escape_debug()
            )
        );
    }

    let directory = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for (socket, cause) in [
        (OwnedFd::from(unix), "fd 3 is not a valid tcp socket"),
        (OwnedFd::from(udp), "fd 3 is not a valid tcp socket"),
        (OwnedFd::from(connected), "the socket does not listen"),
        (OwnedFd::from(file), "fd 3 is not a socket"),
    ] {
        let (status, out, err) = run(&mut socket_activated(socket));
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert_eq!(
            err,
            format!(
                "ssm-sync-exporter: cannot listen on socket 1 passed by systemd; expected a listening TCP socket, as \
                 from a socket unit with ListenStream=10144 and Accept=no: {cause}\n"
            )
        );
    }
}
