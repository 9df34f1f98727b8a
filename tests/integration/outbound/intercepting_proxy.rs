//! A proxy that intercepts TLS, and other servers between the exporter and AWS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use fake_aws::FakeAws;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::web_security::certificates::Authority;

/// What a proxy does with a tunnel to AWS.
#[derive(Clone, Copy)]
pub(super) enum Behaviour {
    /// Decrypts the requests and forwards them.
    Forward,
    /// Decrypts the requests and answers them with this status and HTML page.
    Answer(&'static str, &'static str),
    /// Refuses the tunnel with this status.
    Refuse(&'static str),
    /// Does not answer.
    Stall,
}

/// The running proxy. It is stopped when dropped.
pub(super) struct InterceptingProxy {
    address: SocketAddr,
    authority: Authority,
    hosts: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl InterceptingProxy {
    pub(super) async fn start(aws: &FakeAws, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Authority::new();
        let server = authority.sign("*.eu-west-1.amazonaws.com");
        let chain = vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let aws: SocketAddr = aws.url().trim_start_matches("http://").parse().unwrap();
        let hosts = Arc::new(Mutex::new(Vec::new()));
        let connected = Arc::clone(&hosts);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (acceptor, connected) = (acceptor.clone(), Arc::clone(&connected));
                // A client may close the connection at any time.
                connections
                    .spawn(async move { serve(client, behaviour, &acceptor, aws, &connected).await.ok() });
            }
        });
        Self { address, authority, hosts, _server: server }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL with a user and a password, which must not be shown.
    pub(super) fn url(&self) -> String {
        format!("http://user:s3cr3t@{}", self.address)
    }

    /// The certificate of its authority in PEM.
    pub(super) fn authority(&self) -> String {
        self.authority.pem()
    }

    /// The hosts and ports of all tunnels so far.
    pub(super) fn connected_hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap().clone()
    }
}

async fn serve(
    client: TcpStream,
    behaviour: Behaviour,
    acceptor: &TlsAcceptor,
    aws: SocketAddr,
    hosts: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request_line = String::new();
    client.read_line(&mut request_line).await?;
    // Also of requests that are no tunnels.
    hosts.lock().unwrap().push(request_line.split(' ').nth(1).unwrap_or_default().to_owned());
    let mut line = String::new();
    while client.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let page = match behaviour {
        Behaviour::Forward => None,
        Behaviour::Answer(status, page) => Some((status, page)),
        Behaviour::Refuse(status) => {
            let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return client.write_all(response.as_bytes()).await;
        }
        Behaviour::Stall => return std::future::pending().await,
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let mut tls = acceptor.accept(client.into_inner()).await?;
    match page {
        None => copy_bidirectional(&mut tls, &mut TcpStream::connect(aws).await?).await.map(|_| ()),
        Some((status, page)) => {
            let mut request = vec![0; 64 * 1024];
            while tls.read(&mut request).await? > 0 {
                let response = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}",
                    page.len()
                );
                tls.write_all(response.as_bytes()).await?;
            }
            Ok(())
        }
    }
}
