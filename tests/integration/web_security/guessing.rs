//! Tests of clients that guess passwords, beside clients that know theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::certificates::{Authority, connect};
use super::{SecuredExporter, TLS, hash, users};
use crate::http;

/// The longest wait for anything. Only a failing test waits that long.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The connections that guess at a time.
const GUESSERS: usize = 60;

/// How many users log in for the first time while others guess.
const LOGINS: usize = 10;

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn status(address: SocketAddr, path: &str, authorization: &str) -> u16 {
    let headers = [("Authorization", authorization)];
    timeout(TIMEOUT, http::request_with(address, "GET", path, &headers)).await.unwrap().status
}

/// A web configuration with [`LOGINS`] users, `user-0` and so on, with the password `right`.
fn many_users() -> String {
    let user = |number| format!("  user-{number}: {}\n", hash("right"));
    format!("basic_auth_users:\n{}", (0..LOGINS).map(user).collect::<String>())
}

/// Counts the guesses, so that each has a password of its own.
#[derive(Clone, Default)]
struct Guesses(Arc<AtomicUsize>);

impl Guesses {
    /// A wrong password for an existing user.
    fn next(&self) -> String {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        basic(&format!("user-{}", number % LOGINS), &format!("wrong-{number}"))
    }

    /// Waits until each guesser has guessed several times.
    async fn wait(&self) {
        let (before, deadline) = (self.0.load(Ordering::SeqCst), Instant::now() + TIMEOUT);
        while self.0.load(Ordering::SeqCst) < before + 2 * GUESSERS {
            assert!(Instant::now() < deadline, "the guessers do not guess");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Guesses again and again on one connection.
async fn guess_on_one_connection(address: SocketAddr, guesses: Guesses) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut buffer = vec![0; 4096];
    loop {
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", guesses.next());
        stream.write_all(head.as_bytes()).await.unwrap();
        let length = stream.read(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.starts_with("HTTP/1.1 401") || text.starts_with("HTTP/1.1 429"), "{text}");
    }
}

/// Guesses again and again, each time on a new connection.
async fn guess_on_new_connections(address: SocketAddr, guesses: Guesses) {
    loop {
        let status = status(address, "/", &guesses.next()).await;
        assert!([401, 429].contains(&status), "{status}");
    }
}

/// Guesses on 16 HTTP/2 streams at a time, and then on as many of a new connection.
async fn guess_on_streams(address: SocketAddr, authority: Arc<Authority>, guesses: Guesses) {
    let mut client = (*authority.client_config(None)).clone();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let client = Arc::new(client);
    loop {
        let mut stream = connect(address, "127.0.0.1", &client).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        for number in 0..16_u8 {
            let guess = guesses.next();
            // GET https://x/, then `authorization` by its index in the static table.
            let mut head = b"\x82\x87\x84\x41\x01x\x0f\x08".to_vec();
            head.push(guess.len().try_into().unwrap());
            head.extend(guess.as_bytes());
            let length = head.len().try_into().unwrap();
            let frame = [&[0, 0, length, 1, 5, 0, 0, 0, 2 * number + 1], &head[..]].concat();
            stream.write_all(&frame).await.unwrap();
        }
        let mut responses = 0;
        while responses < 16 {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            responses += usize::from(head[3] == 1);
        }
    }
}

/// Regression: a client without a password used up the rate limit, and most scrapes got 429.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_password_does_not_use_up_the_rate_limit() {
    let web = format!("rate_limit: {{interval: 1h, burst: 30}}\n{}", users());
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start(&web).await;
    let right = basic("ann", "secret");
    for number in 0..30 {
        for authorization in ["", &basic("ann", "wrong"), "Bearer x"] {
            let status = status(exporter.address, "/metrics", authorization).await;
            assert_eq!(status, if number < 10 { 401 } else { 429 });
        }
        assert_eq!(status(exporter.address, "/metrics", &right).await, 200, "scrape {number}");
    }
    assert_eq!(status(exporter.address, "/metrics", &right).await, 429, "the configured limit");
}

/// Regression: the queue of password checks was full of guesses, and every first login got 429.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_logins_succeed_while_others_guess_on_their_connections() {
    let web = format!("rate_limit: {{interval: 100ms, burst: 20}}\n{}", many_users());
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start(&web).await;
    let (guesses, mut attack) = (Guesses::default(), JoinSet::new());
    for _ in 0..GUESSERS {
        attack.spawn(guess_on_one_connection(exporter.address, guesses.clone()));
    }
    for number in 0..LOGINS {
        guesses.wait().await;
        let path = if number % 2 == 0 { "/" } else { "/metrics" };
        let login = basic(&format!("user-{number}"), "right");
        assert_eq!(status(exporter.address, path, &login).await, 200, "user-{number}");
    }
    assert!(attack.try_join_next().is_none(), "every guess was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_logins_succeed_while_others_guess_on_ever_new_connections() {
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start(&many_users()).await;
    let (guesses, mut attack) = (Guesses::default(), JoinSet::new());
    for _ in 0..GUESSERS {
        attack.spawn(guess_on_new_connections(exporter.address, guesses.clone()));
    }
    for number in 0..LOGINS {
        guesses.wait().await;
        let login = basic(&format!("user-{number}"), "right");
        assert_eq!(status(exporter.address, "/", &login).await, 200, "user-{number}");
    }
    assert!(attack.try_join_next().is_none(), "every guess was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_logins_succeed_while_others_guess_over_http2() {
    let SecuredExporter { exporter, files, _aws } =
        SecuredExporter::start(&format!("{TLS}{}", many_users())).await;
    let address = exporter.address;
    let client = files.authority.client_config(None);
    let authority = Arc::new(files.authority);
    let (guesses, mut attack) = (Guesses::default(), JoinSet::new());
    for _ in 0..GUESSERS {
        attack.spawn(guess_on_streams(address, Arc::clone(&authority), guesses.clone()));
    }
    for number in 0..LOGINS {
        guesses.wait().await;
        let login = basic(&format!("user-{number}"), "right");
        let mut stream = connect(address, "127.0.0.1", &client).await.unwrap();
        let head =
            format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        timeout(TIMEOUT, stream.read_to_end(&mut response)).await.unwrap().unwrap();
        assert_eq!(http::parse(&response).status, 200, "user-{number}");
    }
    assert!(attack.try_join_next().is_none(), "every guess was answered");
}

/// Regression: of 150 logins to the status page at a time, 68 got 503.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_logins_to_the_status_page_at_a_time_succeed() {
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start(&many_users()).await;
    let mut logins = JoinSet::new();
    for number in 0..150 {
        let login = basic(&format!("user-{}", number % LOGINS), "right");
        let address = exporter.address;
        logins.spawn(async move { status(address, &format!("/?q={number}"), &login).await });
    }
    assert_eq!(logins.join_all().await, [200; 150]);
}
