//! A minimal HTTP/2 client that gives tests control over flow control.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::WebFiles;

/// The longest wait for anything. Only a failing test waits that long.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The default window of a stream and of a connection.
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;

/// A connection that never sends a window update by itself.
pub(crate) struct Http2 {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Http2 {
    /// Connects from `127.0.0.1`, with this window for each stream.
    pub(crate) async fn connect(address: SocketAddr, files: &WebFiles, stream_window: u32) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST.into(), address, files, stream_window).await.unwrap()
    }

    pub(crate) async fn connect_from(
        source: IpAddr,
        address: SocketAddr,
        files: &WebFiles,
        stream_window: u32,
    ) -> std::io::Result<Self> {
        let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(source, 0))?;
        let mut client = (*files.authority.client_config(None)).clone();
        client.alpn_protocols = vec![b"h2".to_vec()];
        let name = "localhost".try_into().unwrap();
        let tcp = socket.connect(address).await?;
        let stream = TlsConnector::from(std::sync::Arc::new(client)).connect(name, tcp).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut connection = Self { stream, received: Vec::new() };
        connection.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        // SETTINGS_INITIAL_WINDOW_SIZE.
        let window = [&[0, 4][..], &stream_window.to_be_bytes()].concat();
        connection.send(SETTINGS, 0, 0, &window).await?;
        Ok(connection)
    }

    pub(crate) async fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.stream.write_all(&frame).await
    }

    /// Sends a request without a body to the authority `x`.
    pub(crate) async fn request(
        &mut self,
        stream: u32,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> std::io::Result<()> {
        let pseudo = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "x")];
        self.send_headers(stream, &[&pseudo, headers].concat()).await
    }

    /// Sends a request with exactly these headers, the pseudo-headers included.
    pub(crate) async fn send_headers(
        &mut self,
        stream: u32,
        headers: &[(&str, &str)],
    ) -> std::io::Result<()> {
        let mut block = Vec::new();
        for (name, value) in headers {
            // A literal header without indexing, not compressed.
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &block).await
    }

    /// Grants more of the window of a stream, or of the connection (0).
    pub(crate) async fn grant(&mut self, stream: u32, bytes: u32) -> std::io::Result<()> {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()).await
    }

    pub(crate) async fn reset(&mut self, stream: u32) -> std::io::Result<()> {
        self.send(RST_STREAM, 0, stream, &8u32.to_be_bytes()).await
    }

    /// The next frame, or `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        timeout(TIMEOUT, self.read_frame()).await.unwrap().ok()
    }

    /// Loses nothing when it is cancelled.
    async fn read_frame(&mut self) -> std::io::Result<Frame> {
        loop {
            if let Some((head, rest)) = self.received.split_first_chunk::<9>() {
                let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *head;
                let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap();
                if let Some(payload) = rest.get(..length) {
                    let payload = payload.to_vec();
                    self.received.drain(..9 + length);
                    return Ok(Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload });
                }
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits for a frame of this type, on any stream.
    pub(crate) async fn wait_for(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.unwrap();
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads until the end of a stream. Returns whether the status is 200, and the body as
    /// text.
    pub(crate) async fn response(&mut self, stream: u32) -> (bool, String) {
        let mut bodies: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut is_ok = false;
        loop {
            let frame = self.frame().await.unwrap();
            assert!(frame.kind != RST_STREAM || frame.stream != stream, "the stream is reset");
            if frame.kind == HEADERS && frame.stream == stream {
                // `:status: 200` is an entry of the static table.
                is_ok = frame.payload[0] == 0x88;
            }
            if frame.kind == DATA {
                bodies.entry(frame.stream).or_default().extend(&frame.payload);
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.stream == stream && frame.flags & END_STREAM != 0
            {
                let body = bodies.remove(&stream).unwrap_or_default();
                return (is_ok, String::from_utf8_lossy(&body).into_owned());
            }
        }
    }
}
