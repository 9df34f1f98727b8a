//! A minimal HTTP/1.1 client that gives tests control over every byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body without chunked encoding, but still compressed.
    pub(crate) bytes: Vec<u8>,
    /// The body as text, with invalid UTF-8 replaced.
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Sends one request on a new connection.
pub(crate) async fn request(address: SocketAddr, method: &str, path: &str) -> Response {
    request_with(address, method, path, &[]).await
}

/// Like [`request`], with more headers.
pub(crate) async fn request_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let headers: String = headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n");
    raw(address, &head).await
}

/// Sends `text` and reads until the server closes the connection.
pub(crate) async fn raw(address: SocketAddr, text: &str) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    parse(&response)
}

/// Parses a complete response.
pub(crate) fn parse(response: &[u8]) -> Response {
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("not a response: {:?}", String::from_utf8_lossy(response)));
    let head = String::from_utf8(response[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut response = Response { status, head, bytes: response[end + 4..].to_vec(), body: String::new() };
    if response.header("transfer-encoding") == Some("chunked") {
        response.bytes = dechunk(&response.bytes);
    }
    response.body = String::from_utf8_lossy(&response.bytes).into_owned();
    response
}

/// Decodes a body in chunked encoding. Panics if it is incomplete.
fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
