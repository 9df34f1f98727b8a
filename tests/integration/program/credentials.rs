//! Tests of where credentials and the default region come from.

use std::time::Duration;

use fake_aws::{SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{ACCOUNT, HUB, fake_aws, up};
use crate::local_server::{LocalServer, path};
use crate::process::{ExporterProcess, program, run, run_check, with_ambient_credentials};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_the_ambient_account_is_polled_in_its_default_region() {
    let aws = fake_aws().await;
    aws.world().put_item(
        HUB,
        "eu-north-1",
        SyncKind::ToDestination,
        json!({"SyncName": "ours", "LastStatus": "Failed"}),
    );
    let mut command = program();
    let running =
        ExporterProcess::start(with_ambient_credentials(&mut command, &aws).env("AWS_REGION", "eu-north-1"));
    let labels = format!("aws_account_id=\"{HUB}\",aws_region=\"eu-north-1\"");
    let metrics = running.metrics_containing(&format!("ssm_sync_exporter_target_up{{{labels}}} 1")).await;
    assert!(metrics.contains(&format!(
        "aws_ssm_resource_data_sync_last_status{{{labels},sync_type=\"SyncToDestination\",sync_name=\"ours\",status=\"Failed\"}} 1"
    )));
    let (status, took, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10));
    for line in log.lines() {
        assert!(line.starts_with("ts=") && line.contains(" level=info "), "{line}");
    }
    assert!(log.contains("signal=SIGTERM"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ec2_instance_provides_region_and_credentials() {
    let aws = fake_aws().await;
    let metadata = LocalServer::start(|request| {
        let body = match path(request) {
            "/latest/api/token" => "token".to_owned(),
            "/latest/meta-data/placement/region" => "ap-south-1".to_owned(),
            "/latest/meta-data/iam/security-credentials/" => "role".to_owned(),
            "/latest/meta-data/iam/security-credentials/role" => json!({
                "Code": "Success", "AccessKeyId": World::access_key(HUB), "SecretAccessKey": "x", "Token": "x",
                "Expiration": "2099-01-01T00:00:00Z"
            })
            .to_string(),
            path => panic!("{path}"),
        };
        ("200 OK", body)
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let endpoint = metadata.url();
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("");
    let on_instance = |variables: [(&str, &str); 1]| {
        let mut command = program();
        command.env_remove("AWS_EC2_METADATA_DISABLED").env("AWS_CONFIG_FILE", &file);
        command.env("AWS_ENDPOINT_URL", aws.url()).envs(variables);
        command
    };
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str())];
    let running = ExporterProcess::start(&mut on_instance(variables));
    running.metrics_containing(&up(HUB, "ap-south-1", 1)).await;
    let checked = run_check(on_instance(variables).arg("--config.check"));
    assert_eq!(checked, (Some(0), "the configuration is valid\n".to_owned(), String::new()));

    // The profile has the address of the service, and the role needs the credentials of the instance.
    aws.world().add_role(ACCOUNT, "SsmSyncExporter", None);
    write(&format!(
        "[profile app]\n  ec2_metadata_service_endpoint = {endpoint}\n  credential_source = Ec2InstanceMetadata\n  role_arn = \
         arn:aws:iam::{ACCOUNT}:role/SsmSyncExporter\n"
    ));
    let running = ExporterProcess::start(
        on_instance([("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")]).env("AWS_PROFILE", "app"),
    );
    running.metrics_containing(&up(ACCOUNT, "ap-south-1", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_iam_identity_center_is_used_and_one_whose_session_has_ended_is_reported() {
    let aws = fake_aws().await;
    let sso = LocalServer::start(|request| {
        if !path(request).contains("role_name=good") {
            let body = json!({"message": "Session token not found or invalid"});
            return ("401 Unauthorized", body.to_string());
        }
        let credentials = json!({
            "accessKeyId": World::access_key(HUB), "secretAccessKey": "x", "sessionToken": "x",
            "expiration": 4_070_908_800_000_u64
        });
        ("200 OK", json!({"roleCredentials": credentials}).to_string())
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    // The SHA-1 hash of the session.
    std::fs::write(
        cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json"),
        "{\"accessToken\": \"s3cr3t\", \"expiresAt\": \"2099-01-31T23:59:59Z\"}",
    )
    .unwrap();
    let file = home.path().join("config");
    let profile = |name: &str| {
        format!(
            "[profile '{name}']\n  region = eu-west-1\n  sso_session = dev\n  sso_account_id = {HUB}\n  sso_role_name = {name}\n"
        )
    };
    let session =
        "[sso-session dev]\n  sso_region = eu-west-1\n  sso_start_url = https://example.com/start\n";
    std::fs::write(&file, profile("good") + session + &profile("bad role")).unwrap();
    let once = |profile: &str| {
        let mut command = program();
        command
            .args(["once", "--format", "json"])
            .env("HOME", home.path())
            .env("AWS_CONFIG_FILE", &file)
            .env("AWS_ENDPOINT_URL", aws.url())
            .env("AWS_ENDPOINT_URL_SSO", sso.url())
            .env("AWS_PROFILE", profile);
        let (_, stdout, stderr) = run(&mut command);
        assert!(!stdout.contains("s3cr3t") && !stderr.contains("s3cr3t"), "{stdout}{stderr}");
        let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        document["targets"][0].clone()
    };
    let target = once("good");
    assert_eq!((&target["up"], &target["aws_account_id"]), (&true.into(), &HUB.into()), "{target}");
    let target = once("bad role");
    let message = target["message"].as_str().unwrap();
    let expected = "the session of IAM Identity Center has ended; run `aws sso login --profile 'bad role'`: ";
    assert!(message.starts_with(expected), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_profile_sets_account_and_region() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = format!(
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = {}\naws_secret_access_key = x\n",
        World::access_key(HUB)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program();
    command.env("AWS_CONFIG_FILE", &file).env("AWS_PROFILE", "dev").env("AWS_ENDPOINT_URL", aws.url());
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(HUB, "ap-south-1", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_profile_overrides_credentials_in_the_environment() {
    // The SDK's default chain uses the environment first, which would report the syncs of the wrong
    // account.
    let aws = fake_aws().await;
    aws.world().add_account(ACCOUNT);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    let text = format!(
        "[other]\nregion = eu-west-3\naws_access_key_id = {}\naws_secret_access_key = x\n",
        World::access_key(ACCOUNT)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program();
    with_ambient_credentials(&mut command, &aws)
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env("AWS_REGION", "eu-north-1")
        .env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: other}]");
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(ACCOUNT, "eu-west-3", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_is_fixed_later_is_used() {
    // The SDK's own provider would read the file only once.
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, "").unwrap();
    let mut command = program();
    command
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("SSM_SYNC_EXPORTER_INTERVAL", "1s")
        .env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: late, regions: [eu-west-1]}]");
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing("reason=\"credentials\"").await;
    let text = format!("[late]\naws_access_key_id = {}\naws_secret_access_key = x\n", World::access_key(HUB));
    std::fs::write(&file, text).unwrap();
    running.metrics_containing(&up(HUB, "eu-west-1", 1)).await;
}
