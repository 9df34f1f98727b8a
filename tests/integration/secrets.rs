//! Tests that no secret appears in any output of the program: logs, errors, HTTP responses,
//! and metrics.

use std::process::Command;
use std::time::{Duration, Instant};

use fake_aws::{Fault, FaultRule, SyncKind, World};
use serde_json::json;
use tokio::time::sleep;

use crate::exporter::{ACCOUNT, HUB, ROLE, Scrape, aws_settings, fake_aws};
use crate::http;
use crate::process::{ExporterProcess, program};
use crate::web_security::{WebFiles, hash};

/// Texts that must not appear in any output. Secret keys and tokens of the fake AWS begin with `fake-secret-` and
/// `fake-token-`. The last one is `ann:web-password` in base64, as a client sends it.
const SECRETS: [&str; 8] = [
    "hub-secret",
    "fake-secret-",
    "fake-token-",
    "xid-of-",
    "AKIA",
    "web-password",
    "PRIVATE KEY",
    "YW5uOndlYi1wYXNzd29yZA==",
];

/// The header that contains the user's password.
const AUTHORIZATION: (&str, &str) = ("Authorization", "Basic YW5uOndlYi1wYXNzd29yZA==");

#[track_caller]
fn assert_no_secrets(secrets: &[&str], place: &str, text: &str) {
    for secret in secrets {
        for line in text.lines() {
            assert!(!line.contains(secret), "{secret} appears in {place}: {line}");
        }
    }
}

/// Each fault, and the region to inject it in. One exporter that polls all of these regions
/// meets all faults.
fn faults() -> Vec<(&'static str, Fault)> {
    // AWS's error for a wrong signature, which repeats the session token.
    let signature = json!({
        "__type": "InvalidSignatureException",
        "message": "The request signature we calculated does not match the signature you provided.\n\n\
                    The Canonical String for this request should have been\n'POST\n/\n\nhost:ssm\n\
                    x-amz-security-token:fake-token-ASIA0000000000000000\n\nhost;x-amz-security-token'\n",
    });
    vec![
        ("eu-west-1", Fault::Throttle),
        ("eu-west-2", Fault::Deny),
        ("eu-west-3", Fault::DenyByScp),
        ("eu-central-1", Fault::ExpiredToken),
        ("eu-north-1", Fault::RegionDisabled),
        ("us-east-1", Fault::ServerError),
        ("us-east-2", Fault::Stall),
        ("us-west-1", Fault::TruncatedBody),
        ("us-west-2", Fault::Response { status: 200, body: "<html>".to_owned() }),
        ("ca-central-1", Fault::Response { status: 400, body: signature.to_string() }),
        ("sa-east-1", Fault::RepeatToken),
        ("ap-south-1", Fault::EndlessPages),
        ("ap-northeast-1", Fault::Delay(3000)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one program runs through all cases")]
async fn no_secret_appears_in_any_output() {
    let aws = fake_aws().await;
    let world = aws.world();
    world.create_organization(HUB);
    for (account, external_id) in [("222233334444", "xid-of-others"), ("333344445555", "xid-of-members")] {
        world.add_member(account, "member", "r-fake");
        world.add_role(account, ROLE, Some(external_id));
    }
    world.add_role(ACCOUNT, "Guarded", Some("xid-of-production"));
    world.add_member("444455556666", "denied", "r-fake");
    world.add_denied_role("444455556666", ROLE);
    world
        .set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "a"}), json!({"SyncName": "b"})]);
    let all_faults: Vec<FaultRule> = faults()
        .into_iter()
        .map(|(region, fault)| FaultRule::new(fault).region(region).account(ACCOUNT))
        .collect();
    world.set_faults(all_faults.clone());

    let directory = tempfile::tempdir().unwrap();
    let regions: Vec<&str> = faults().iter().map(|(region, _)| *region).collect();
    let config = format!(
        "interval: 1s\ntimeout: 2s\nregions: [{}]\naccounts:\n  - id: '{ACCOUNT}'\n    profile: hub\n    assume_roles: [{{arn: \
         'arn:aws:iam::{ACCOUNT}:role/Guarded', external_id: xid-of-production}}]\norganization:\n  profile: hub\n  \
         member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  external_id: xid-of-members\n  regions: \
         [eu-west-1]\n{}",
        regions.join(", "),
        aws_settings(&aws, directory.path()),
    );
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, &config).unwrap();
    let hash = hash("web-password");
    let files = WebFiles::new(&format!("basic_auth_users: {{ann: {hash}}}\n"));
    let web_file = files.path("web.yaml");
    let with_files = |command: &mut Command| {
        command.arg("--config.file").arg(&file).arg("--web.config.file").arg(&web_file);
    };
    let mut command = program();
    with_files(command.args(["--log.level=debug", "--web.enable-lifecycle"]));
    let running = ExporterProcess::start(&mut command);
    let get = async |path: &str| http::request_with(running.address, "GET", path, &[AUTHORIZATION]).await;
    let reload = async || http::request_with(running.address, "POST", "/-/reload", &[AUTHORIZATION]).await;

    // Wait until every fault has taken effect.
    let expected = regions.len() + 4;
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let metrics = Scrape(get("/metrics").await.body);
        if metrics.values("ssm_sync_exporter_target_up").len() >= expected {
            break;
        }
        assert!(Instant::now() < deadline, "{}", metrics.samples("ssm_sync_exporter_target_up"));
        sleep(Duration::from_millis(50)).await;
    }
    // Faults in discovery and in obtaining credentials.
    for fault in [Fault::Deny, Fault::ExpiredToken, Fault::ServerError] {
        for operation in ["AssumeRole", "ListAccounts", "GetCallerIdentity"] {
            world.set_faults(vec![FaultRule::new(fault.clone()).operation(operation)]);
            sleep(Duration::from_millis(300)).await;
        }
    }

    // Invalid configurations whose error is in or next to a secret.
    let mut outputs = Vec::new();
    for (valid, invalid) in [
        ("external_id: xid-of-members", "external_id: 'xid-of-members with spaces'"),
        ("external_id: xid-of-members", "external_id: [xid-of-members]"),
        ("external_id: xid-of-members", "externalid: xid-of-members"),
        ("external_id: xid-of-members", "external_id: 'xid-of-members"),
        ("xid-of-production}", "xid-of-production"),
        ("endpoint_url: 'http://", "endpoint_url: 'http://user:hub-secret@"),
    ] {
        assert!(config.contains(valid), "{valid}");
        std::fs::write(&file, config.replace(valid, invalid)).unwrap();
        let rejected = reload().await;
        assert_eq!(rejected.status, 500, "{invalid}");
        outputs.push(("the response to a reload", rejected.body));
        let mut check = program();
        with_files(check.arg("--config.check"));
        outputs.push(("the error of --config.check", utf8(check.output().unwrap().stderr)));
    }
    std::fs::write(&file, &config).unwrap();
    assert_eq!(reload().await.status, 200);
    let key = std::fs::read_to_string(files.path("client.key")).unwrap().replace('\n', "\n    ");
    for invalid in [
        "basic_auth_users: {ann: web-password}\n".to_owned(),
        "basic_auth_users: [web-password]\n".to_owned(),
        format!("basic_auth_users: {{ann: {}}}\n", &hash[..50]),
        format!("tls_server_config:\n  cert_file: server.crt\n  key: |\n    {key}\n"),
        format!("tls_server_config:\n  cert_file: server.crt\n  key_file: |\n    {key}\n"),
        format!("tls_server_config:\n  cert_file: server.crt\n  kye: |\n    {key}\n"),
    ] {
        files.write("web.yaml", &invalid);
        let rejected = reload().await;
        assert_eq!(rejected.status, 500, "{invalid}");
        outputs.push(("the response to a reload", rejected.body));
    }
    files.write("web.yaml", &format!("basic_auth_users: {{ann: {hash}}}\n"));
    assert_eq!(reload().await.status, 200);
    outputs.push(("a 401 response", http::request(running.address, "GET", "/").await.body));

    let document = "/api/v1/status";
    for path in ["/metrics", "/", "/-/ready", "/-/healthy", "/?account=333344445555", document] {
        outputs.push((path, get(path).await.body));
    }
    let openmetrics = [AUTHORIZATION, ("Accept", "application/openmetrics-text;version=1.0.0")];
    outputs.push((
        "OpenMetrics",
        http::request_with(running.address, "GET", "/metrics", &openmetrics).await.body,
    ));
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("level=debug"), "{log}");
    outputs.push(("the log", log));

    world.set_faults(all_faults.clone());
    for format in ["prometheus", "openmetrics", "json", "table"] {
        let mut once = program();
        with_files(once.args(["once", "--log.level=debug", "--format", format]));
        let output = once.output().unwrap();
        outputs.push(("the output of once", utf8(output.stdout)));
        outputs.push(("the log of once", utf8(output.stderr)));
    }

    // Texts beside the secrets appear, so the outputs would contain secrets that were not
    // redacted.
    let appears = |text: &str| outputs.iter().any(|(_, output)| output.contains(text));
    for public in ["Guarded", "request signature", ACCOUNT] {
        assert!(appears(public), "{public}");
    }
    assert!(!appears("xid"));
    assert!(World::access_key(HUB).starts_with("AKIA"));
    for (place, text) in &outputs {
        assert_ne!(text, "", "{place}");
        assert_no_secrets(&SECRETS, place, text);
        assert_no_secrets(&[&hash[hash.len() - 20..], key.lines().nth(1).unwrap().trim()], place, text);
    }
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
