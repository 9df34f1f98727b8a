//! Runs the `fake-aws` binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fake-aws"))
}

/// Kills the process when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Starts the program. Returns the process, its address and the next `lines` lines of its output.
fn start(arguments: &[&str], lines: usize) -> (Process, String, Vec<String>) {
    let mut child = Process(program().args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut printed = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let url = printed.next().unwrap().unwrap();
    let address = url.strip_prefix("AWS_ENDPOINT_URL=http://").unwrap().to_owned();
    (child, address, printed.take(lines).map(Result::unwrap).collect())
}

/// Sends a request. Returns the response.
fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn call(address: &str, account: &str, service: &str, target: &str) -> Value {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let head = format!(
        "POST / HTTP/1.1\r\nHost: fake\r\nConnection: close\r\nX-Amz-Target: {target}\r\nContent-Length: 2\r\n\
         X-Amz-Date: {now}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIA{account}FAKE/20261122/eu-west-1/{service}/aws4_request\r\n"
    );
    let answer = send(address, &format!("{head}\r\n{{}}"));
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn put(address: &str, path: &str, body: &str) -> String {
    let length = body.len();
    send(
        address,
        &format!(
            "PUT /_fake/{path} HTTP/1.1\r\nHost: fake\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

#[test]
fn serves_an_organization_with_syncs() {
    let arguments =
        ["--members", "3", "127.0.0.1:0", "--syncs", "2", "--nodes", "7", "111122223333", "--delay", "100"];
    let (_running, address, keys) = start(&arguments, 2);
    assert!(keys[0].starts_with("AWS_ACCESS_KEY_ID=AKIA111122223333FAKE "), "{keys:?}");
    assert!(keys[1].starts_with("AWS_ACCESS_KEY_ID=AKIA999900000000FAKE "), "{keys:?}");
    let started = Instant::now();
    let answer = call(&address, "999900000000", "organizations", "AWSOrganizationsV20161128.ListAccounts");
    assert!(started.elapsed() >= Duration::from_millis(100));
    let names: Vec<_> =
        answer["Accounts"].as_array().unwrap().iter().map(|account| &account["Name"]).collect();
    assert_eq!(names, ["management", "member-0", "member-1", "member-2"]);
    let answer = call(&address, "100000000002", "ssm", "AmazonSSM.ListResourceDataSync");
    let items = answer["ResourceDataSyncItems"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1]["LastStatus"], "Successful");
    let answer = call(&address, "100000000002", "ssm", "AmazonSSM.DescribeInstanceInformation");
    assert_eq!(answer["InstanceInformationList"].as_array().unwrap().len(), 7);
}

#[test]
fn serves_one_account_by_default() {
    let (_running, address, keys) = start(&[], 1);
    assert!(keys[0].starts_with("AWS_ACCESS_KEY_ID=AKIA111122223333FAKE "), "{keys:?}");
    let answer = call(&address, "111122223333", "ssm", "AmazonSSM.ListResourceDataSync");
    assert_eq!(answer.to_string(), r#"{"ResourceDataSyncItems":[]}"#);
}

#[test]
fn items_that_were_put_are_listed_as_given() {
    let (_running, address, _) = start(&[], 1);
    let item = r#"{"SyncName":"odd","LastStatus":"Failed","Unknown":[1]}"#;
    let put = |sync_type: &str| {
        put(
            &address,
            "items",
            &format!(
                r#"[{{"account": "111122223333", "region": "eu-west-1", "sync_type": "{sync_type}", "item": {item}}}]"#
            ),
        )
    };
    let answer = put("SyncToNowhere");
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("unknown sync type SyncToNowhere\n"),
        "{answer}"
    );
    assert!(put("SyncToDestination").starts_with("HTTP/1.1 204 "));
    let answer = call(&address, "111122223333", "ssm", "AmazonSSM.ListResourceDataSync");
    assert_eq!(answer["ResourceDataSyncItems"], serde_json::from_str::<Value>(&format!("[{item}]")).unwrap());
}

#[test]
fn managed_nodes_come_and_go() {
    let (_running, address, _) = start(&[], 1);
    let put = |nodes: &str| {
        put(&address, "nodes", &format!(r#"[{{"account": "111122223333", "region": "eu-west-1"{nodes}}}]"#))
    };
    let list = || {
        let answer = call(&address, "111122223333", "ssm", "AmazonSSM.DescribeInstanceInformation");
        answer["InstanceInformationList"].as_array().unwrap().clone()
    };
    assert_eq!(list(), [Value::Null; 0]);
    assert!(put(r#", "number": 3"#).starts_with("HTTP/1.1 204 "));
    assert_eq!(list().len(), 3);
    assert!(put(r#", "items": [{"InstanceId": "mi-1", "Unknown": [1]}]"#).starts_with("HTTP/1.1 204 "));
    assert_eq!(Value::from(list()).to_string(), r#"[{"InstanceId":"mi-1","Unknown":[1]}]"#);
    assert!(put(r#", "number": 0"#).starts_with("HTTP/1.1 204 "));
    assert_eq!(list(), [Value::Null; 0]);
    for (nodes, error) in [
        ("", "the nodes of 111122223333 in eu-west-1 need either `number` or `items`"),
        (r#", "number": 1, "items": []"#, "need either `number` or `items`"),
        (r#", "number": -1"#, "invalid value: integer `-1`, expected u32"),
        (r#", "nodes": 1"#, "unknown field `nodes`"),
    ] {
        let answer = put(nodes);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(error), "{answer}");
    }
    let answer = send(&address, "GET /_fake/calls HTTP/1.1\r\nHost: fake\r\nConnection: close\r\n\r\n");
    let calls: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(
        calls,
        serde_json::json!([{"account": "111122223333", "region": "eu-west-1",
            "operation": "DescribeInstanceInformation", "calls": 4}])
    );
}

#[test]
fn policies_that_were_put_are_evaluated() {
    let (_running, address, _) = start(&["--members", "1", "127.0.0.1:0"], 1);
    let list = || call(&address, "100000000000", "ssm", "AmazonSSM.ListResourceDataSync");
    let settings = r#"[
        {"identity": {"account": "100000000000", "policies": {}}},
        {"organization": {"target": "r-fake", "type": "service_control", "id": "p-deny", "policy": {"Version": "2012-10-17",
            "Statement": {"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}}}}
    ]"#;
    let answer = put(&address, "policies", settings);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let start = "User: arn:aws:iam::100000000000:user/fake is not authorized to perform: ssm:ListResourceDataSync \
                 on resource: arn:aws:ssm:eu-west-1:100000000000:*";
    let policy = "arn:aws:organizations::999900000000:policy/o-fakefakefa/service_control_policy/p-deny";
    assert_eq!(
        list()["message"],
        format!("{start} with an explicit deny in a service control policy: {policy}")
    );
    put(
        &address,
        "policies",
        r#"[{"organization": {"target": "r-fake", "type": "service_control", "id": "p-deny"}}]"#,
    );
    assert_eq!(
        list()["message"],
        format!("{start} because no identity-based policy allows the ssm:ListResourceDataSync action")
    );
    for (settings, error) in [
        ("{}", "invalid type: map, expected a sequence"),
        (r#"[{"identities": {}}]"#, "unknown variant `identities`"),
        (
            r#"[{"identity": {"account": "111122223333", "policies": {}}}]"#,
            "there is no account 111122223333",
        ),
        (r#"[{"trust": {"account": "100000000000", "role": "R", "policy": {}}}]"#, "missing field `Version`"),
    ] {
        let answer = put(&address, "policies", settings);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(error), "{answer}");
    }
}

#[test]
fn invalid_arguments_are_reported() {
    for (arguments, message) in [
        (["--members", "many"].as_slice(), "--members needs a number, got many"),
        (&["--syncs"], "--syncs needs a number"),
        (&["--nodes", "-1"], "--nodes needs a number, got -1"),
        (&["--delay", "-1"], "--delay needs a number, got -1"),
        (&["--slow"], "unknown option --slow"),
        (&["127.0.0.1:0", "12345"], "invalid account id 12345: must have 12 digits"),
    ] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let written = String::from_utf8(output.stderr).unwrap();
        assert!(written.starts_with(&format!("fake-aws: {message}; usage: ")), "{written}");
        assert_eq!(written.lines().count(), 1, "{written}");
    }
}
