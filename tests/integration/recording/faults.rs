//! Calls that fail are recorded, too.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Recording, record};
use crate::exporter::{ACCOUNT, HUB, REGION, fake_aws, one_target};
use crate::once::Setup;
use crate::process::program;

/// The list calls of a run with this fault.
async fn list_calls(fault: Fault, timeout: &str) -> Vec<Value> {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(fault).operation("ListResourceDataSync")]);
    let setup = Setup::with_config(aws, &one_target().replace("16s", timeout));
    let (_, _, _, recording) = record(setup.once(), setup.directory()).await;
    let calls: Vec<Value> = recording.calls("ListResourceDataSync").into_iter().cloned().collect();
    assert!(!calls.is_empty());
    for call in &calls {
        assert_eq!(call["region"], REGION);
        assert!(call["duration_seconds"].as_f64().unwrap() >= 0.0, "{call}");
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_recorded_whatever_it_is() {
    let page = "<html><head><title>Nordwind proxy</title></head>";
    let calls = list_calls(Fault::Throttle, "4s").await;
    assert!(calls.len() > 2, "every attempt is recorded: {calls:?}");
    assert!(calls.iter().all(|call| call["body"].as_str().unwrap().contains("ThrottlingException")));
    let calls = list_calls(Fault::Response { status: 403, body: page.to_owned() }, "16s").await;
    assert_eq!(calls[0]["status"], 403);
    let body = calls[0]["body"].as_str().unwrap();
    assert!(body.starts_with("<html><head><title>") && body.ends_with(" proxy</title></head>"), "{body}");
    assert!(!body.contains("Nordwind"));
    let padding = Fault::Padding { bytes: 8 * 1024 * 1024 - 1000, chunked: true };
    let calls = list_calls(padding, "1m").await;
    assert!(calls[0]["body"].as_str().unwrap().len() > 8_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_an_answer_is_recorded_with_the_reason() {
    for (fault, timeout, kind) in [
        (Fault::TruncatedBody, "4s", "connection"),
        (Fault::Stall, "1s", "timeout"),
        (Fault::Padding { bytes: 9 * 1024 * 1024, chunked: false }, "1m", "invalid_response"),
    ] {
        let case = format!("{fault:?}");
        let calls = list_calls(fault, timeout).await;
        let errors: Vec<&Value> = calls.iter().map(|call| &call["error"]["kind"]).collect();
        assert!(errors.contains(&&json!(kind)), "{case}: {calls:?}");
        for call in calls {
            let message = call["error"]["message"].as_str().unwrap_or_default();
            assert!(call["status"].is_null() && message.contains("respon"), "{case}: {call}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_the_exporter_abandons_is_recorded_without_a_kind() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Stall).operation("ListResourceDataSync")]);
    let setup = Setup::with_config(aws, &one_target().replace("16s", "10m"));
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "1s");
    let (_, _, _, recording) = record(once, setup.directory()).await;
    let call = recording.calls("ListResourceDataSync")[0];
    let expected = json!({"kind": null, "message": "the exporter did not wait for the response"});
    assert_eq!(call["error"], expected, "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_repeats_the_session_token_is_recorded_without_it() {
    let echo = json!({
        "__type": "InvalidSignatureException",
        "message": "The request signature we calculated does not match the signature you provided.\n\n\
                    x-amz-security-token:fake-token-ASIA0000000000000000\n\nhost;x-amz-security-token ASIA0000000000000000",
    });
    let aws = fake_aws().await;
    let fault = Fault::Response { status: 400, body: echo.to_string() };
    aws.world().set_faults(vec![FaultRule::new(fault).operation("ListResourceDataSync")]);
    let setup = Setup::with_config(aws, &one_target());
    let mut once = setup.once();
    once.arg("--record.raw");
    let (_, _, _, recording) = record(once, setup.directory()).await;
    let call = recording.calls("ListResourceDataSync")[0];
    let body = call["body"].as_str().unwrap();
    assert!(body.contains("x-amz-security-token:(redacted)\\n"), "{body}");
    assert!(body.ends_with(&format!("{}\"}}", call["access_key_id"].as_str().unwrap())), "{body}");
    assert!(
        !recording.text.contains("fake-token") && !recording.text.contains("ASIA000000"),
        "{}",
        recording.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_a_proxy_is_not_recorded() {
    let directory = tempfile::tempdir().unwrap();
    for raw in [false, true] {
        let mut once = program();
        once.args(["once", "--log.level", "error"])
            .env("SSM_SYNC_EXPORTER_REGIONS", format!("[{REGION}]"))
            .env("SSM_SYNC_EXPORTER_TIMEOUT", "4s")
            .env("AWS_ACCESS_KEY_ID", fake_aws::World::access_key(HUB))
            .env("AWS_SECRET_ACCESS_KEY", "s3cr3t")
            // Nothing listens there.
            .env("HTTPS_PROXY", "http://nordwind-user:s3cr3t-password@127.0.0.1:1");
        if raw {
            once.arg("--record.raw");
        }
        let (_, _, _, recording) = record(once, directory.path()).await;
        for secret in ["s3cr3t", "password@", "nordwind"] {
            assert!(!recording.text.contains(secret), "{secret}: {}", recording.text);
        }
        let call = recording.calls("GetCallerIdentity")[0];
        assert_eq!(call["endpoint"], "sts.eu-west-1.amazonaws.com:443");
        assert!(call["proxy"].as_str().unwrap().contains("127.0.0.1:1"), "{call}");
        assert_eq!(call["error"]["kind"], "connection");
    }
}

/// Answers every request with the same body.
async fn server(body: &'static [u8]) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _read = stream.read(&mut [0; 8192]).await;
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _written = stream.write_all(&[head.as_bytes(), body].concat()).await;
        }
    });
    (url, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_utf_8_is_recorded_in_base64() {
    let (url, _server) = server(b"{\"ResourceDataSyncItems\":[{\"SyncName\":\"nordwind\xff\xfe-x\"}]}").await;
    let directory = tempfile::tempdir().unwrap();
    let config =
        format!("regions: [{REGION}]\naccounts: [{{id: '{ACCOUNT}'}}]\naws: {{endpoint_url: '{url}'}}\n");
    std::fs::write(directory.path().join("config.yaml"), config).unwrap();
    let mut once = program();
    once.args(["once", "--log.level", "error", "--config.file", "config.yaml"])
        .current_dir(directory.path())
        .env("AWS_ACCESS_KEY_ID", "AKIANORDWIND00000000")
        .env("AWS_SECRET_ACCESS_KEY", "s3cr3t");
    let (_, _, _, recording): (_, _, _, Recording) = record(once, directory.path()).await;
    let call = recording.calls("ListResourceDataSync")[0];
    assert!(call["body"].is_null(), "{call}");
    let body = BASE64_STANDARD.decode(call["body_base64"].as_str().unwrap()).unwrap();
    assert!(body.starts_with(b"{\"ResourceDataSyncItems\":[{\"SyncName\":\""), "{body:?}");
    assert!(body.ends_with(b"\xff\xfe-x\"}]}"), "{body:?}");
    assert!(!body.windows(8).any(|window| window == b"nordwind"));
}
