//! Tests that `doctor` names the provider of credentials and what it reads, whether or not the
//! credentials can be obtained.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::exporter::{HUB, REGION, fake_aws};
use crate::local_server::{LocalServer, path};
use crate::process::{program, run};

/// A secret that is in every file and answer, and must not be shown.
const SECRET: &str = "s3cr3t";

struct Setup {
    aws: FakeAws,
    home: TempDir,
}

impl Setup {
    async fn new() -> Self {
        Self { aws: fake_aws().await, home: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The outcome of the check of credentials and, if it failed, the message.
    fn check(&self, variables: &[(&str, &str)]) -> Checked {
        let mut command = program();
        command
            .args(["doctor", "--format", "json"])
            .env_remove("AWS_CONFIG_FILE")
            .env_remove("AWS_SHARED_CREDENTIALS_FILE")
            .env("HOME", self.home.path())
            .env("AWS_REGION", REGION)
            .env("AWS_ENDPOINT_URL", self.aws.url())
            .envs(variables.iter().copied());
        check(&mut command, self.home.path())
    }
}

/// Provider, source, and the message if there are no credentials.
type Checked = (String, String, Option<String>);

fn check(command: &mut Command, home: &Path) -> Checked {
    let (status, stdout, stderr) = run(command);
    assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "{stdout}{stderr}");
    let document: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    let checks = document["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["step"] == "credentials").unwrap();
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.replace(home.to_str().unwrap(), "~")
    };
    let failed = match check["status"].as_str().unwrap() {
        "passed" => None,
        "failed" => Some(text(&check["message"])),
        other => panic!("{other}"),
    };
    assert_eq!(status, Some(i32::from(failed.is_some())), "{stdout}{stderr}");
    let credentials = &check["credentials"];
    (text(&credentials["provider"]), text(&credentials["source"]), failed)
}

#[track_caller]
fn assert_origin(checked: &Checked, provider: &str, source: &str, message: Option<&str>) {
    assert_eq!((checked.0.as_str(), checked.1.as_str()), (provider, source), "{checked:?}");
    match (&checked.2, message) {
        (None, None) => {}
        (Some(found), Some(expected)) if found.contains(expected) => {}
        _ => panic!("{checked:?} instead of {message:?}"),
    }
}

fn xml(operation: &str, result: &str) -> String {
    format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environment_variables_are_named() {
    let setup = Setup::new().await;
    let key = World::access_key(HUB);
    let (provider, source) = ("environment", "AWS_ACCESS_KEY_ID");
    let good = setup.check(&[("AWS_ACCESS_KEY_ID", &key), ("AWS_SECRET_ACCESS_KEY", SECRET)]);
    assert_origin(&good, provider, source, None);
    let bad = setup.check(&[("AWS_ACCESS_KEY_ID", &key)]);
    assert_origin(&bad, provider, source, Some("AWS_SECRET_ACCESS_KEY is not; set both"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_are_named_with_the_line_that_selects_the_provider() {
    let setup = Setup::new().await;
    let key = World::access_key(HUB);
    let process = setup.write(
        "process",
        &format!(
            "#!/bin/sh\necho '{}'\n",
            json!({"Version": 1, "AccessKeyId": key, "SecretAccessKey": SECRET, "SessionToken": SECRET})
        ),
    );
    let failing = setup.write("failing", "#!/bin/sh\nexit 7\n");
    setup.write(
        ".aws/config",
        &format!(
            "[profile keys]\n  aws_access_key_id = {key}\n  aws_secret_access_key = {SECRET}\n[profile half]\n  \
             aws_access_key_id = {key}\n[profile process]\ncredential_process = {process}\n[profile failing]\n\
             credential_process = {failing}\n"
        ),
    );
    let keys = "profile_keys";
    for (profile, provider, source, message) in [
        ("keys", keys, "profile `keys`, ~/.aws/config:2", None),
        ("half", keys, "profile `half`, ~/.aws/config:5", Some("it has `aws_access_key_id` but no")),
        ("process", "credential_process", "profile `process`, ~/.aws/config:7", None),
        ("failing", "credential_process", "profile `failing`, ~/.aws/config:9", Some("exited with code 7")),
        ("nosuch", "", "", Some("the profile `nosuch` (selected by AWS_PROFILE) is not defined in")),
    ] {
        assert_origin(&setup.check(&[("AWS_PROFILE", profile)]), provider, source, message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_identity_token_is_named_with_its_file() {
    let setup = Setup::new().await;
    let credentials = format!(
        "<AccessKeyId>{}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{SECRET}</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration>",
        World::access_key(HUB)
    );
    let sts = LocalServer::start(move |request| {
        if request.contains("Action=GetCallerIdentity") {
            ("200 OK", xml("GetCallerIdentity", &format!("<Account>{HUB}</Account>")))
        } else if request.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111") {
            let error = "<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>";
            ("403 Forbidden", format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"))
        } else {
            let credentials = format!("<Credentials>{credentials}</Credentials>");
            ("200 OK", xml("AssumeRoleWithWebIdentity", &credentials))
        }
    })
    .await;
    let (token, sts) = (setup.write("token", SECRET), sts.url());
    let check = |token: &str, account: &str| {
        let role = format!("arn:aws:iam::{account}:role/exporter");
        setup.check(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
            ("AWS_ROLE_ARN", &role),
            ("AWS_ENDPOINT_URL_STS", &sts),
            ("AWS_ENDPOINT_URL_SSM", &setup.aws.url()),
        ])
    };
    let source = "~/token (AWS_WEB_IDENTITY_TOKEN_FILE)";
    assert_origin(&check(&token, HUB), "web_identity", source, None);
    let denied = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
    assert_origin(&check(&token, "111111111111"), "web_identity", source, Some(denied));
    let missing = setup.path("missing");
    let source = "~/missing (AWS_WEB_IDENTITY_TOKEN_FILE)";
    let checked = check(missing.to_str().unwrap(), HUB);
    assert_origin(&checked, "web_identity", source, Some("No such file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_and_an_instance_are_named_with_their_endpoints() {
    let setup = Setup::new().await;
    let credentials = json!({
        "Code": "Success", "AccessKeyId": World::access_key(HUB), "SecretAccessKey": SECRET, "Token": SECRET,
        "Expiration": "2099-01-01T00:00:00Z"
    })
    .to_string();
    let server = LocalServer::start(move |request| match path(request) {
        "/container" | "/latest/meta-data/iam/security-credentials/role" => ("200 OK", credentials.clone()),
        "/latest/api/token" => ("200 OK", SECRET.to_owned()),
        "/latest/meta-data/iam/security-credentials/" => ("200 OK", "role".to_owned()),
        _ => ("404 Not Found", String::new()),
    })
    .await;
    let url = server.url();
    let container = |path: &str| {
        let uri = url.clone() + path;
        setup.check(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)])
    };
    let (provider, source) = ("container", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    assert_origin(&container("/container"), provider, source, None);
    assert_origin(&container("/nothing"), provider, source, Some(""));
    let instance = |url: &str| {
        setup.check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url), ("AWS_EC2_METADATA_DISABLED", "false")])
    };
    let provider = "instance_metadata";
    assert_origin(&instance(&url), provider, &url, None);
    let nobody = "http://127.0.0.1:1";
    assert_origin(&instance(nobody), provider, nobody, Some("127.0.0.1:1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_of_iam_identity_center_is_named_with_its_file() {
    let setup = Setup::new().await;
    let sso = LocalServer::start(|request| {
        if !path(request).contains("role_name=good") {
            return (
                "401 Unauthorized",
                json!({"message": "Session token not found or invalid"}).to_string(),
            );
        }
        let credentials = json!({
            "accessKeyId": World::access_key(HUB), "secretAccessKey": SECRET, "sessionToken": SECRET,
            "expiration": 4_070_908_800_000_u64
        });
        ("200 OK", json!({"roleCredentials": credentials}).to_string())
    })
    .await;
    // The SHA-1 hash of the session.
    let token = "34c6fceca75e456f25e7e99531e2425c6c1de443.json";
    let write_token = |expires_at: &str| {
        let text = json!({"accessToken": SECRET, "expiresAt": expires_at}).to_string();
        setup.write(&format!(".aws/sso/cache/{token}"), &text);
    };
    let profile = |name: &str| {
        format!("[profile {name}]\nsso_session = dev\nsso_account_id = {HUB}\nsso_role_name = {name}\n")
    };
    let session = "[sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start\n";
    setup.write(".aws/config", &(profile("good") + &profile("bad") + session));
    let url = sso.url();
    let check = |profile: &str| setup.check(&[("AWS_PROFILE", profile), ("AWS_ENDPOINT_URL_SSO", &url)]);
    let source = |profile: &str, line| {
        format!("~/.aws/sso/cache/{token}, selected by profile `{profile}`, ~/.aws/config:{line}")
    };
    let provider = "sso_cache";
    write_token("2099-01-31T23:59:59Z");
    assert_origin(&check("good"), provider, &source("good", 2), None);
    let ended = "the session of IAM Identity Center has ended; run `aws sso login --profile bad`";
    assert_origin(&check("bad"), provider, &source("bad", 6), Some(ended));
    write_token("2020-01-31T23:59:59Z");
    assert_origin(&check("good"), provider, &source("good", 2), Some("has expired at 2020-01-31T23:59:59Z"));
}
