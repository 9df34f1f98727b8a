//! A `node_exporter` with the web configuration of a test, to compare with.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::listeners::free_address;
use crate::tools::{self, KillOnDrop};

/// A `node_exporter` that runs until it is dropped.
pub(super) struct NodeExporter {
    pub(super) address: SocketAddr,
    _process: KillOnDrop,
}

impl NodeExporter {
    /// Starts it with this web configuration file. `None` if it exits because of the file.
    pub(super) async fn start(web: &Path) -> Option<Self> {
        // node_exporter does not print the port that it gets for port 0, so it gets one that was
        // free a moment ago.
        let address = free_address("127.0.0.1");
        let mut command: Command = tools::node_exporter();
        let process = command
            .arg("--collector.disable-defaults")
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--web.config.file={}", web.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = KillOnDrop(process);
        let deadline = Instant::now() + Duration::from_secs(30);
        // It listens before it checks the file, so only an answer shows that it serves. Over TLS, the
        // answer to plain HTTP is an error.
        while !answers(address).await {
            if process.0.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "timed out waiting for node_exporter");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { address, _process: process })
    }
}

async fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    sent.is_ok() && stream.read_u8().await.is_ok()
}
