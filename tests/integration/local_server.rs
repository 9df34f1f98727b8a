//! A local HTTP server in place of an endpoint for credentials: the instance metadata service, that of
//! a container, IAM Identity Center or STS.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The running server. It is stopped when dropped.
pub(crate) struct LocalServer {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl LocalServer {
    /// Answers each request, on a connection of its own, with the status and the body that `respond`
    /// returns for its head.
    pub(crate) async fn start(
        mut respond: impl FnMut(&str) -> (&'static str, String) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // The requests are short, so one read gets them whole.
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let (status, body) = respond(&String::from_utf8_lossy(&request[..length]));
                // The instance metadata service and IAM Identity Center need these headers.
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\n\
                     x-amzn-errortype: UnauthorizedException\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _written = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { address, _task: task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The path of a request.
pub(crate) fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}
