//! Credentials of every source: what is recorded of the requests for them.

use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

use super::record;
use crate::exporter::{REGION, fake_aws};
use crate::local_server::{LocalServer, path};
use crate::once::Setup;
use crate::process::program;

const SECRETS: [&str; 6] =
    ["s3cr3t", "t0ken", "ASIANORDWIND00000001", "nordwind", "210987654321", "secret-path"];

/// An answer with credentials of a container or an instance.
fn credentials() -> String {
    json!({
        "Code": "Success", "AccessKeyId": "ASIANORDWIND00000001", "SecretAccessKey": "s3cr3t/of/the+host", "Token": "t0ken-of-host",
        "AccountId": "210987654321", "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

fn once(directory: &TempDir) -> Command {
    let mut once = program();
    once.args(["once", "--log.level", "error"]);
    once.env("SSM_SYNC_EXPORTER_REGIONS", format!("[{REGION}]"));
    once.env("SSM_SYNC_EXPORTER_TIMEOUT", "8s");
    once.current_dir(directory.path());
    once
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_for_credentials_are_recorded_without_their_bodies() {
    let aws = fake_aws().await;
    let server = LocalServer::start(|request| match path(request) {
        "/latest/meta-data/iam/security-credentials/" => ("200 OK", "nordwind-host-role".to_owned()),
        "/latest/api/token" => ("200 OK", "t0ken-of-metadata".to_owned()),
        _ => ("200 OK", credentials()),
    })
    .await;
    for instance in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let mut once = once(&directory);
        once.env("AWS_ENDPOINT_URL", aws.url());
        if instance {
            once.env("AWS_EC2_METADATA_DISABLED", "false")
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url());
        } else {
            let url = format!("{}/secret-path/for/nordwind", server.url());
            once.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
            once.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t0ken-of-container");
        }
        // The fake AWS does not know the key.
        let (_, _, err, recording) = record(once, directory.path()).await;
        for secret in SECRETS {
            assert!(!recording.text.contains(secret), "{secret}: {}", recording.text);
        }
        let unsigned: Vec<_> = recording
            .lines
            .iter()
            .filter(|line| line["service"].is_null() && line["kind"] == "call")
            .collect();
        assert!(!unsigned.is_empty(), "{err}");
        for call in unsigned {
            assert_eq!(
                (&call["status"], &call["request"], &call["body"]),
                (&json!(200), &json!(""), &json!(null)),
                "{call}"
            );
        }
        let key = &recording.credentials()[0]["access_key_id"];
        assert!(key.as_str().unwrap().starts_with("ASIA"), "{key}");
        let call = recording.calls("GetCallerIdentity")[0];
        assert_eq!((&call["access_key_id"], call["body"].is_string()), (key, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_identity_is_recorded_without_its_token() {
    let server = LocalServer::start(|request| {
        if request.contains("Action=AssumeRoleWithWebIdentity") {
            let body = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>\
                        ASIANORDWIND00000001</AccessKeyId><SecretAccessKey>s3cr3t</SecretAccessKey><SessionToken>t0ken\
                        </SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
                        <SubjectFromWebIdentityToken>system:serviceaccount:nordwind:nordwind</SubjectFromWebIdentityToken>\
                        <AssumedRoleUser><Arn>arn:aws:sts::210987654321:assumed-role/nordwind/x</Arn></AssumedRoleUser>\
                        </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
            ("200 OK", body.to_owned())
        } else {
            ("400 Bad Request", "{\"__type\":\"AccessDeniedException\",\"message\":\"t0ken.web.identity\"}".to_owned())
        }
    })
    .await;
    for raw in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "t0ken.web.identity").unwrap();
        let mut once = once(&directory);
        once.env("AWS_ENDPOINT_URL", server.url())
            .env("AWS_ROLE_ARN", "arn:aws:iam::210987654321:role/nordwind")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", directory.path().join("token"));
        if raw {
            once.arg("--record.raw");
        }
        let (_, _, _, recording) = record(once, directory.path()).await;
        let secrets = if raw { &SECRETS[..3] } else { &SECRETS[..] };
        for secret in secrets.iter().filter(|secret| !(raw && **secret == "t0ken")) {
            assert!(!recording.text.contains(secret), "{secret}: {}", recording.text);
        }
        let call = recording.calls("AssumeRoleWithWebIdentity")[0];
        assert!(call["request"].as_str().unwrap().contains("WebIdentityToken=redacted"), "{call}");
        assert!(call["body"].as_str().unwrap().contains("<SessionToken>redacted</SessionToken>"), "{call}");
        let call = recording.calls("GetCallerIdentity")[0];
        assert_eq!(
            call["account"].as_str().map(str::len),
            Some(12),
            "the account of the key is known: {call}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_cannot_be_obtained_are_recorded_with_the_reason() {
    let config = format!("regions: [{REGION}]\naccounts: [{{id: '210987654321', profile: nordwind}}]\n");
    let setup = Setup::with_config(fake_aws().await, &config);
    let (status, _, _, recording) = record(setup.once(), setup.directory()).await;
    assert_eq!(status, Some(1));
    let failure = &recording.credentials()[0];
    assert_eq!(failure["failure"]["reason"], "credentials");
    assert_eq!(failure["access_key_id"], json!(null));
    let profile = &recording.header["configuration"]["accounts"][0]["profile"];
    assert_eq!(failure["profile"], *profile);
    assert!(!recording.text.contains("nordwind"), "{}", recording.text);
}
