//! Reads responses with faults from a raw connection.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::io;
use std::time::{Duration, Instant};

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ACCOUNT: &str = "111122223333";

async fn start() -> FakeAws {
    let world = World::new();
    world.create_organization(ACCOUNT);
    world.add_role(ACCOUNT, "Role", None);
    world.set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "only", "LastSyncTime": 1})]);
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// Sends a request and returns the connection, from which the response can be read.
async fn send(aws: &FakeAws, service: &str, region: &str, target: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(aws.url().strip_prefix("http://").unwrap()).await.unwrap();
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: fake\r\nConnection: close\r\nX-Amz-Target: {target}\r\nContent-Length: {}\r\n\
         X-Amz-Date: {now}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={}/20261122/{region}/{service}/aws4_request\r\n\r\n{body}",
        body.len(),
        World::access_key(ACCOUNT),
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn list(aws: &FakeAws, region: &str) -> TcpStream {
    send(aws, "ssm", region, "AmazonSSM.ListResourceDataSync", "{}").await
}

/// The head and the body of a response.
async fn read(mut stream: TcpStream) -> (String, String) {
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The response of `ListResourceDataSync` with a fault.
async fn list_with(aws: &FakeAws, fault: Fault) -> (String, String) {
    aws.world().set_faults(vec![FaultRule::new(fault)]);
    read(list(aws, "eu-west-1").await).await
}

fn header<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[tokio::test]
async fn a_rule_can_be_limited_to_a_service_and_to_a_region() {
    let aws = start().await;
    let target = "AWSOrganizationsV20161128.ListAccounts";
    let assume_role = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=test&RoleArn=arn:aws:iam::{ACCOUNT}:role/Role"
    );
    let fails = async |region| {
        [
            list(&aws, region).await,
            send(&aws, "sts", region, "", &assume_role).await,
            send(&aws, "organizations", region, target, "{}").await,
        ]
        .map(|stream| async { !read(stream).await.0.starts_with("HTTP/1.1 200") })
    };
    let failures = async |region| {
        let mut failures = Vec::new();
        for fails in fails(region).await {
            failures.push(fails.await);
        }
        failures
    };
    for (service, expected) in [
        ("ssm", [true, false, false]),
        ("sts", [false, true, false]),
        ("organizations", [false, false, true]),
    ] {
        aws.world().set_faults(vec![FaultRule::new(Fault::ServerError).service(service).region("eu-west-1")]);
        assert_eq!(failures("eu-west-1").await, expected);
        assert_eq!(failures("eu-west-2").await, [false; 3]);
    }
}

#[tokio::test]
async fn headers_are_set_repeated_and_left_out() {
    let aws = start().await;
    let (head, _) = list_with(&aws, Fault::PageSize(1)).await;
    let date = header(&head, "date")[0].to_owned();
    assert!(date.ends_with(" GMT"), "{date}");
    let (head, _) = list_with(&aws, Fault::without_header("date")).await;
    assert_eq!(header(&head, "date"), [""; 0]);
    let twice = ["yesterday", "today"].map(|value| ("date".to_owned(), Some(value.to_owned()))).to_vec();
    let (head, _) = list_with(&aws, Fault::Headers(twice)).await;
    assert_eq!(header(&head, "date"), ["yesterday", "today"]);
    let (head, _) = list_with(&aws, Fault::DateOffBy(3600)).await;
    assert_ne!(header(&head, "date")[0][..20], date[..20]);
    let (head, _) = list_with(&aws, Fault::ManyHeaders(500)).await;
    assert_eq!(head.lines().filter(|line| line.starts_with("x-fake-")).count(), 500);
    let (head, body) =
        list_with(&aws, Fault::Throttle.and(Fault::header("x-amz-retry-after", "99999999999"))).await;
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("ThrottlingException"), "{head}\n{body}");
    assert_eq!(header(&head, "x-amz-retry-after"), ["99999999999"]);
}

#[tokio::test]
async fn texts_and_numbers_in_a_body_are_replaced() {
    let aws = start().await;
    let (_, body) = list_with(&aws, Fault::long_text("SyncName", 5_000_000)).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ResourceDataSyncItems"][0]["SyncName"].as_str().unwrap().len(), 5_000_000);
    let (_, body) = list_with(&aws, Fault::text("LastSyncTime", "1e999")).await;
    assert!(body.contains(r#""LastSyncTime":1e999"#), "{body}");
    let (_, body) = list_with(&aws, Fault::Deny.and(Fault::text("__type", r"bell\u0007"))).await;
    assert!(body.contains(r#""__type":"bell\u0007""#), "{body}");
}

#[tokio::test]
async fn every_new_error_code_is_different() {
    let aws = start().await;
    let first = list_with(&aws, Fault::NewErrorCode).await;
    let second = list_with(&aws, Fault::NewErrorCode).await;
    assert!(first.0.starts_with("HTTP/1.1 400") && first.1 != second.1, "{first:?} {second:?}");
}

#[tokio::test]
async fn lists_and_bodies_can_be_huge() {
    let aws = start().await;
    let (head, body) = list_with(&aws, Fault::ManyItems(300_000)).await;
    assert_eq!(header(&head, "content-length"), [body.len().to_string()]);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ResourceDataSyncItems"].as_array().unwrap().len(), 300_000);
    let stream =
        send(&aws, "ssm", "eu-west-1", "AmazonSSM.DescribeInstanceInformation", r#"{"MaxResults": 5}"#).await;
    let (_, body) = read(stream).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let nodes = body["InstanceInformationList"].as_array().unwrap();
    assert_eq!((nodes.len(), &nodes[1]["InstanceId"]), (300_000, &json!("i-00000000000000001")));

    let padding = |bytes, chunked| Fault::Padding { bytes, chunked };
    let (head, body) = list_with(&aws, padding(20_000_000, false)).await;
    assert_eq!(header(&head, "content-length"), [body.len().to_string()]);
    assert_eq!(body.len() - body.trim_end().len(), 20_000_000);
    let (head, _) = list_with(&aws, padding(200_000, true)).await;
    assert_eq!(header(&head, "content-length"), [""; 0]);

    // A body that no memory could hold is sent for as long as the client reads it.
    aws.world().set_faults(vec![FaultRule::new(padding(u64::MAX / 2, false))]);
    let mut stream = list(&aws, "eu-west-1").await;
    let mut buffer = vec![0; 10_000_000];
    stream.read_exact(&mut buffer).await.unwrap();
}

#[tokio::test]
async fn a_dribbling_body_arrives_byte_by_byte() {
    let aws = start().await;
    let started = Instant::now();
    let (_, body) = list_with(&aws, Fault::Dribble(5)).await;
    assert!(body.len() > 50 && started.elapsed() > Duration::from_millis(5 * 50), "{body}");
}

#[tokio::test]
async fn a_truncated_body_ends_the_connection_and_a_reset_resets_it() {
    let aws = start().await;
    let mut received = Vec::new();
    let (head, body) = list_with(&aws, Fault::TruncatedBody).await;
    let length: usize = header(&head, "content-length")[0].parse().unwrap();
    assert_eq!(body.len(), length / 2);

    aws.world().set_faults(vec![FaultRule::new(Fault::Reset)]);
    let error = list(&aws, "eu-west-1").await.read_to_end(&mut received).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(received.ends_with(body.as_bytes()), "{received:?}");
}

#[tokio::test]
async fn credentials_of_a_role_can_expire_at_any_time() {
    let aws = start().await;
    let body = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=test&RoleArn=arn:aws:iam::{ACCOUNT}:role/Role"
    );
    let expiration = async |fault| {
        aws.world().set_faults(vec![FaultRule::new(fault)]);
        let (_, body) = read(send(&aws, "sts", "eu-west-1", "", &body).await).await;
        let rest = body.split_once("<Expiration>").unwrap().1;
        rest.split_once('<').unwrap().0.to_owned()
    };
    assert_eq!(expiration(Fault::text("Expiration", "9999-12-31T23:59:59Z")).await, "9999-12-31T23:59:59Z");
    let past = expiration(Fault::ExpiresIn(-86_400 * 3650)).await;
    assert!(past < expiration(Fault::ExpiresIn(1)).await, "{past}");
}

#[test]
fn faults_are_read_from_json() {
    let read = |text| serde_json::from_str::<FaultRule>(text).unwrap();
    assert_eq!(
        read(r#"{"service": "sts", "fault": {"all": ["throttle", {"headers": [["date", null]]}]}}"#),
        FaultRule::new(Fault::Throttle.and(Fault::without_header("date"))).service("sts")
    );
    assert_eq!(
        read(r#"{"fault": {"text": {"field": "Code", "value": "x", "repeat": 9}}}"#),
        FaultRule::new(Fault::long_text("Code", 9))
    );
}
