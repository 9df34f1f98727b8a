//! Credentials as pods on EKS get them. What the webhooks of EKS put into the environment
//! is put there here, and the exporter does the rest.

use std::sync::{Arc, Mutex};

use fake_aws::World;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::exporter::{HUB, REGION, fake_aws, up};
use crate::program::{Running, program};

/// A server that gives the answer whose key is in the request, and remembers the requests.
struct Giver {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Giver {
    async fn start(content_type: &'static str, answers: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let remembered = Arc::clone(&asked);
        serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                let (_, body) = answers.iter().find(|(key, _)| request.contains(key)).unwrap();
                remembered.lock().unwrap().push(request);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, asked, _serving: serving }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().concat()
    }
}

/// A whole request: its head, and as much of a body as that says.
async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(count > 0, "cut off: {text}");
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
async fn credentials_come_from_the_agent_of_pod_identity() {
    let aws = fake_aws().await;
    let credentials = json!({
        "AccessKeyId": World::access_key(HUB),
        "SecretAccessKey": "secret-of-the-agent",
        "Token": "",
        "AccountId": HUB,
        "Expiration": "2099-01-01T00:00:00Z",
    });
    let agent =
        Giver::start("application/json", vec![("GET /v1/credentials ", credentials.to_string())]).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("eks-pod-identity-token");
    std::fs::write(&token, "token-of-the-pod").unwrap();
    let mut command = program();
    command
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/v1/credentials", agent.address))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token)
        .env("AWS_REGION", REGION)
        .env("AWS_ENDPOINT_URL", aws.url());
    let running = Running::start(&mut command);
    running.metrics_with(&up(HUB, REGION, 1)).await;
    let asked = agent.asked();
    assert!(asked.starts_with("GET /v1/credentials "), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: token-of-the-pod\r\n"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_come_from_sts_for_the_token_of_a_service_account() {
    let aws = fake_aws().await;
    let credentials = format!(
        "<AccessKeyId>{}</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>",
        World::access_key(HUB)
    );
    let answer = |operation: &str, result: &str| {
        format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>")
    };
    let web_identity =
        answer("AssumeRoleWithWebIdentity", &format!("<Credentials>{credentials}</Credentials>"));
    let caller = answer("GetCallerIdentity", &format!("<Account>{HUB}</Account>"));
    let sts = Giver::start(
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
    let running = Running::start(&mut command);
    running.metrics_with(&up(HUB, REGION, 1)).await;
    let asked = sts.asked();
    assert!(asked.contains("WebIdentityToken=token-of-the-pod"), "{asked}");
}
