//! Tests of requests that RFC 9112 and RFC 9113 call malformed.

use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exporter::{Exporter, Setup, fake_aws, one_target};
use crate::http;
use crate::web_security::http2::{DEFAULT_WINDOW, HEADERS, Http2, RST_STREAM};
use crate::web_security::{SecuredExporter, TLS, users};

/// Regression: hyper ignores `Host` and all transfer codings but the last.
#[tokio::test]
async fn requests_whose_host_or_body_is_ambiguous_are_refused_and_their_connection_is_closed() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
    let host = "Host: exporter\r\n";
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for (request, status) in [
        ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET /metrics HTTP/1.1\r\n{host}{host}\r\n"), 400),
        (format!("GET /metrics HTTP/1.1\r\n{host}Host: elsewhere\r\n\r\n"), 400),
        (format!("GET /metrics HTTP/1.0\r\n{host}{host}\r\n"), 400),
        ("GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/1.1\r\nHost: ann@exporter\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/1.1\r\nHost: exporter:port\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/1.1\r\nHost: exporter/metrics\r\n\r\n".to_owned(), 400),
        ("GET http://exporter/metrics HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET http://ann@exporter/metrics HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET http:///metrics HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET exporter:10144 HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET metrics HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET ?x HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET * HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /metrics%zz HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /% HTTP/1.1\r\n{host}\r\n"), 400),
        (
            format!("POST /-/reload HTTP/1.1\r\n{host}Transfer-Encoding: chunked, chunked\r\n\r\n{chunks}"),
            400,
        ),
        (
            format!(
                "POST /-/reload HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
            ),
            400,
        ),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n{chunks}"), 501),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Transfer-Encoding: chunked, gzip\r\n\r\n{chunks}"), 400),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n{chunks}"), 400),
        (format!("POST /-/reload HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n{chunks}"), 400),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Content-Length: +5\r\n\r\nhello"), 400),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Content-Length: -5\r\n\r\nhello"), 400),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Content-Length: 0x5\r\n\r\nhello"), 400),
        (format!("POST /-/reload HTTP/1.1\r\n{host}Content-Length: 5, 5\r\n\r\nhello"), 400),
        (
            format!("POST /-/reload HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
            400,
        ),
    ] {
        let response = timeout(Duration::from_secs(30), http::raw(exporter.address, &request)).await;
        let response = response.unwrap_or_else(|_| panic!("the connection stays open: {request}"));
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("connection"), Some("close"), "{request}");
        assert!(response.body.lines().count() <= 1, "{request}: {}", response.body);
        for sent in ["elsewhere", "ann", "metrics", "zz"] {
            assert!(!response.body.contains(sent), "{request}: {}", response.body);
        }
    }
    // What may look odd but is well-formed.
    for request in [
        "GET /metrics HTTP/1.0\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nhOsT:\texporter:\t\r\nConnection: close\r\n\r\n".to_owned(),
        format!("GET http://elsewhere:1/metrics HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
        format!("GET HTTP://exporter?x HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
        format!(
            "GET /metrics HTTP/1.1\r\n{host}Transfer-Encoding: Chunked\r\nConnection: close\r\n\r\n{chunks}"
        ),
        // The length is ignored, and hyper closes the connection.
        format!(
            "GET /metrics HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ),
    ] {
        let response = timeout(Duration::from_secs(30), http::raw(exporter.address, &request)).await.unwrap();
        assert_eq!(response.status, 200, "{request}");
    }
}

/// The bytes after a malformed request must not be read as the next request.
#[tokio::test]
async fn nothing_after_a_malformed_request_is_read() {
    let aws = fake_aws().await;
    let exporter = Exporter::start(&aws, &one_target()).await;
    let next = "GET /-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: exporter\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{next}"
    );
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // The rest is unread when the server closes the connection, so the end may be a reset.
    let _end = timeout(Duration::from_secs(30), stream.read_to_end(&mut received)).await.unwrap();
    let received = String::from_utf8(received).unwrap();
    assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{received}");
    assert!(received.starts_with("HTTP/1.1 400 "), "{received}");
}

#[tokio::test]
async fn a_malformed_request_is_refused_before_it_is_authenticated_or_counted() {
    let limit = "rate_limit: {interval: 1h, burst: 10}\nauth_excluded_paths: [/-/healthy]\n";
    let SecuredExporter { exporter, files: _files, _aws } =
        SecuredExporter::start(&format!("{}{limit}", users())).await;
    for _ in 0..12 {
        let refused = http::raw(exporter.address, "GET /metrics HTTP/1.1\r\n\r\n").await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (400, None));
        assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    }
    let login = [("Authorization", "Basic YW5uOnNlY3JldA==")];
    assert_eq!(exporter.get_with("/metrics", &login).await.status, 200, "the limit is not used up");
    // However a path is written, it needs the same password.
    for path in
        ["/%6detrics", "//metrics", "/-/healthy/../../metrics", "/-/healthy/%2e%2e/%2e%2e/metrics", "*"]
    {
        assert_eq!(exporter.get(path).await.status, if path == "*" { 400 } else { 401 }, "{path}");
    }
    let options = http::request(exporter.address, "OPTIONS", "*").await;
    assert_eq!(options.status, 401);
    assert_eq!(exporter.get("/-/%68ealthy").await.status, 200, "excluded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2_the_authority_is_the_host() {
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(TLS).await;
    let pseudo = [(":method", "GET"), (":scheme", "https"), (":path", "/-/healthy")];
    for (headers, expected) in [
        (&[(":authority", "exporter:10144")][..], "healthy\n"),
        (&[(":authority", "exporter:10144"), ("host", "EXPORTER:10144")], "healthy\n"),
        (&[("host", "exporter")], "healthy\n"),
        // As Go's `net/http`.
        (&[], "healthy\n"),
        (
            &[(":authority", "exporter"), ("host", "elsewhere")],
            "bad request: the Host header differs from :authority\n",
        ),
        (&[("host", "exporter"), ("host", "exporter")], "bad request: the Host header is repeated\n"),
        (&[("host", "a b")], "bad request: the Host header is not a host with an optional port\n"),
        (
            &[(":authority", "ann:secret@exporter")],
            "bad request: the authority of the request target is not a host with an optional port\n",
        ),
    ] {
        let mut client = Http2::connect(exporter.address, &files, DEFAULT_WINDOW).await;
        client.send_headers(1, &[&pseudo, headers].concat()).await.unwrap();
        assert_eq!(client.response(1).await, (expected == "healthy\n", expected.to_owned()), "{headers:?}");
        // Only the stream has ended.
        client.request(3, "GET", "/-/%68ealthy", &[]).await.unwrap();
        assert_eq!(client.response(3).await, (true, "healthy\n".to_owned()), "{headers:?}");
    }
    for (method, path, is_ok) in [("OPTIONS", "*", true), ("GET", "*", false), ("GET", "metrics", false)] {
        let mut client = Http2::connect(exporter.address, &files, DEFAULT_WINDOW).await;
        client.request(1, method, path, &[]).await.unwrap();
        loop {
            let frame = client.frame().await.unwrap();
            if frame.stream == 1 && [HEADERS, RST_STREAM].contains(&frame.kind) {
                // `:status: 200` is an entry of the static table.
                assert_eq!(frame.kind == HEADERS && frame.payload[0] == 0x88, is_ok, "{method} {path}");
                break;
            }
        }
    }
}
