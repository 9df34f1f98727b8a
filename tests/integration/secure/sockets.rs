//! Where it listens: several addresses, IPv6, and sockets of systemd's.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exporter::REGION;
use crate::http;
use crate::program::{Running, program, run};

/// An address whose port was free a moment ago.
fn free(host: &str) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("no {host} here: {error}"));
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_on_several_addresses_and_over_ipv6() {
    let (v6, v4) = (free("::1"), free("127.0.0.1"));
    let (first, second) = (v6.to_string(), v4.to_string());
    let everywhere = free("::").port();
    let all = format!(":{everywhere}");
    let mut command = program();
    command.env("AWS_REGION", REGION);
    for address in [&first, &second, &all] {
        command.args(["--web.listen-address", address]);
    }
    let running = Running::start(&mut command);
    for address in [
        v6,
        v4,
        running.address,
        SocketAddr::from(([127, 0, 0, 1], everywhere)),
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], everywhere)),
    ] {
        assert_eq!(http::request(address, "GET", "/-/healthy").await.status, 200, "{address}");
    }
}

/// The program as systemd starts it, with a socket as its descriptor 3.
fn activated(socket: impl Into<OwnedFd>) -> Command {
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
async fn it_takes_the_sockets_of_systemd() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Who comes before it has been started is not turned away.
    let mut early = TcpStream::connect(address).await.unwrap();
    early.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let running = Running::start(&mut activated(listener));
    assert_eq!(running.address, address, "and not where --web.listen-address leads");
    let mut answer = Vec::new();
    early.read_to_end(&mut answer).await.unwrap();
    assert_eq!(http::parse(&answer).status, 200);
    assert_eq!(http::request(address, "GET", "/-/healthy").await.status, 200);
    let (status, _, log) = running.signal("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("listening").count(), 1, "{log}");
}

#[test]
fn sockets_that_are_of_no_use_are_one_line_and_status_1() {
    let (status, out, err) = run(program().env("AWS_REGION", REGION).arg("--web.systemd-socket"));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "ssm-sync-exporter: systemd has passed no socket: start it by a socket unit with, say, ListenStream=10144, or \
         without --web.systemd-socket\n"
    );

    let directory = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for (socket, why) in [
        (OwnedFd::from(unix), "fd 3 is not a valid tcp socket"),
        (OwnedFd::from(udp), "fd 3 is not a valid tcp socket"),
        (OwnedFd::from(connected), "it does not listen"),
        (OwnedFd::from(file), "fd 3 is not a socket"),
    ] {
        let (status, out, err) = run(&mut activated(socket));
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert_eq!(
            err,
            format!(
                "ssm-sync-exporter: cannot listen on socket 1 of systemd, which has to be one for TCP, such as of \
                 ListenStream=10144, with Accept=no: {why}\n"
            )
        );
    }
}
