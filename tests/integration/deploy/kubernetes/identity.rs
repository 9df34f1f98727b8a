//! Credentials of pods on EKS. The tests set the environment variables that the EKS webhooks set,
//! and serve the credentials to a real exporter.

use std::sync::{Arc, Mutex};

use fake_aws::World;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::exporter::{HUB, REGION, fake_aws, up};
use crate::process::{ExporterProcess, program};

/// An HTTP server with canned responses. It sends the body of the first key that the request
/// contains, and records the requests.
struct StubServer {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl StubServer {
    async fn start(content_type: &'static str, bodies: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let recorded = Arc::clone(&requests);
        serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                let (_, body) = bodies.iter().find(|(key, _)| request.contains(key)).unwrap();
                recorded.lock().unwrap().push(request);
                let length = body.len();
                let response = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        Self { address, requests, _serving: serving }
    }

    /// All requests so far, one after the other.
    fn requests(&self) -> String {
        self.requests.lock().unwrap().concat()
    }
}

/// Reads a whole request, with a body of the length in its head.
async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(count > 0, "connection closed within the head: {text}");
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        if count == 0 || body.len() >= length.unwrap_or_default() {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_come_from_the_pod_identity_agent() {
    let aws = fake_aws().await;
    let credentials = json!({
        "AccessKeyId": World::access_key(HUB),
        "SecretAccessKey": "secret-of-the-agent",
        "Token": "",
        "AccountId": HUB,
        "Expiration": "2099-01-01T00:00:00Z",
    });
    let agent =
        StubServer::start("application/json", vec![("GET /v1/credentials ", credentials.to_string())]).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("eks-pod-identity-token");
    std::fs::write(&token, "token-of-the-pod").unwrap();
    let mut command = program();
    command
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/v1/credentials", agent.address))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token)
        .env("AWS_REGION", REGION)
        .env("AWS_ENDPOINT_URL", aws.url());
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(HUB, REGION, 1)).await;
    let requests = agent.requests();
    assert!(requests.starts_with("GET /v1/credentials "), "{requests}");
    assert!(requests.to_lowercase().contains("authorization: token-of-the-pod\r\n"), "{requests}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_come_from_sts_in_exchange_for_a_service_account_token() {
    let aws = fake_aws().await;
    let credentials = format!(
        "<AccessKeyId>{}</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>",
        World::access_key(HUB)
    );
    let response = |operation: &str, result: &str| {
        format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>")
    };
    let web_identity =
        response("AssumeRoleWithWebIdentity", &format!("<Credentials>{credentials}</Credentials>"));
    let caller = response("GetCallerIdentity", &format!("<Account>{HUB}</Account>"));
    let sts = StubServer::start(
        "text/xml",
        vec![("AssumeRoleWithWebIdentity", web_identity), ("GetCallerIdentity", caller)],
    )
    .await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "token-of-the-pod").unwrap();
    let mut command = program();
    command
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("AWS_ROLE_ARN", format!("arn:aws:iam::{HUB}:role/ssm-sync-exporter"))
        .env("AWS_REGION", REGION)
        .env("AWS_ENDPOINT_URL_STS", format!("http://{}", sts.address))
        .env("AWS_ENDPOINT_URL_SSM", aws.url());
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(HUB, REGION, 1)).await;
    let requests = sts.requests();
    assert!(requests.contains("WebIdentityToken=token-of-the-pod"), "{requests}");
}
