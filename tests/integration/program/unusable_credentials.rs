//! Tests of credentials, and of texts with which they are obtained, that no request can carry.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use fake_aws::{FakeAws, Fault, FaultRule, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, fake_aws};
use crate::local_server::LocalServer;
use crate::process::{program, run};

/// Texts that no HTTP header can carry, with what is said about them.
const UNUSABLE: [(&str, &str); 6] = [
    ("AKIAs3cr3t\n", "contains a control character, such as a line end"),
    ("AKIAs3cr3t\r\n", "contains a control character, such as a line end"),
    ("AKIA\ns3cr3t", "contains a control character, such as a line end"),
    ("AKIAs3cr3t\u{1b}[31m", "contains a control character, such as a line end"),
    ("AKIAs3cr3tü", "contains a character that is not ASCII"),
    ("AKIAs3cr3t\u{202e}", "contains a character that is not ASCII"),
];

/// One-shot mode for one target.
fn once(aws: &FakeAws) -> Command {
    let mut command = program();
    command
        .args(["once", "--format", "json", "--log.format", "json"])
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_REGION", REGION)
        .env("SSM_SYNC_EXPORTER_TIMEOUT", "8s");
    command
}

/// Runs the program and returns the reason and the message of the failure of its target.
#[track_caller]
fn failure(command: &mut Command) -> (String, String) {
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(1), "{stderr}");
    for output in [&stdout, &stderr] {
        assert!(!output.contains("panicked") && !output.contains("s3cr3t"), "{output}");
    }
    // One warning, and the error that ends the program.
    let warnings: Vec<Value> = stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(warnings.iter().filter(|line| line["level"] == "warn").count(), 1, "{stderr}");
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let target = &document["targets"][0];
    (target["reason"].as_str().unwrap().to_owned(), target["message"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_the_environment_with_a_line_end_are_reported_without_a_panic() {
    // The SDK panicked in every collection, so the reason was `other`.
    let aws = fake_aws().await;
    let key = World::access_key(HUB);
    for (text, problem) in UNUSABLE {
        for (variable, name) in [
            ("AWS_ACCESS_KEY_ID", "access key id"),
            ("AWS_SECRET_ACCESS_KEY", "secret access key"),
            ("AWS_SESSION_TOKEN", "session token"),
        ] {
            let mut command = once(&aws);
            command.env("AWS_ACCESS_KEY_ID", &key).env("AWS_SECRET_ACCESS_KEY", "any").env(variable, text);
            // The SDK itself trims the session token.
            if variable == "AWS_SESSION_TOKEN" && text.ends_with('\n') {
                continue;
            }
            let expected = format!("the {name} {problem}; the credentials are from environment variables");
            assert_eq!(failure(&mut command), ("credentials".to_owned(), expected));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_utf_8_are_reported_without_showing_them() {
    // The error of the SDK contained the secret access key.
    let aws = fake_aws().await;
    let key = World::access_key(HUB);
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let mut command = once(&aws);
        command
            .env("AWS_ACCESS_KEY_ID", &key)
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env(variable, OsStr::from_bytes(b"s3cr3t\xff"));
        let (reason, message) = failure(&mut command);
        assert_eq!(reason, "credentials");
        let expected = format!("the environment variable {variable} is not valid UTF-8");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_output_of_a_process_is_checked() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let output = directory.path().join("output");
    let config = format!(
        "[default]\ncredential_process = cat '{0}'\n[profile app]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\nsource_profile = \
         default\n",
        output.display()
    );
    std::fs::write(&file, config).unwrap();
    let long = "s3cr3t".repeat(30_000);
    let unusable = UNUSABLE.into_iter().chain([
        ("AKIAs3cr3t\0", "contains a control character, such as a line end"),
        ("", "is empty"),
        (long.as_str(), "is longer than"),
    ]);
    for (text, problem) in unusable {
        for (field, name) in [
            ("AccessKeyId", "access key id"),
            ("SecretAccessKey", "secret access key"),
            ("SessionToken", "session token"),
        ] {
            // An empty session token counts as none.
            if text.is_empty() && field == "SessionToken" {
                continue;
            }
            let mut json =
                json!({"Version": 1, "AccessKeyId": World::access_key(HUB), "SecretAccessKey": "any"});
            json[field] = text.into();
            std::fs::write(&output, json.to_string()).unwrap();
            for profile in ["default", "app"] {
                let mut command = once(&aws);
                command
                    .env("AWS_CONFIG_FILE", &file)
                    .env("AWS_PROFILE", profile)
                    .env("PATH", std::env::var_os("PATH").unwrap());
                let (reason, message) = failure(&mut command);
                assert_eq!(reason, "credentials");
                assert!(message.contains(&format!("the {name} {problem}")), "{message}");
                let provider = "; the credentials are from the output of a `credential_process`";
                assert!(message.ends_with(provider), "{message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_texts_in_the_environment_are_named_if_they_are_unusable() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cr3t").unwrap();
    let bad_token = directory.path().join("bad-token");
    std::fs::write(&bad_token, "s3cr3t\n").unwrap();
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
    let closed = "http://127.0.0.1:1/";
    for (variables, culprit) in [
        ([("AWS_PROFILE", "s3cr3t\n"), ("A", ""), ("B", "")], "environment variable AWS_PROFILE"),
        (
            [
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
                ("AWS_ROLE_ARN", "arn:s3cr3t\r\n"),
                ("A", ""),
            ],
            "environment variable AWS_ROLE_ARN",
        ),
        (
            [
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
                ("AWS_ROLE_ARN", &arn),
                ("AWS_ROLE_SESSION_NAME", "s3cr3t\u{1b}"),
            ],
            "environment variable AWS_ROLE_SESSION_NAME",
        ),
        (
            [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", closed),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "s3cr3t\n"),
                ("A", ""),
            ],
            "environment variable AWS_CONTAINER_AUTHORIZATION_TOKEN",
        ),
        (
            [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", closed),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", bad_token.to_str().unwrap()),
                ("A", ""),
            ],
            &format!("file {} that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names", bad_token.display()),
        ),
        (
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/s3cr3t\n"), ("A", ""), ("B", "")],
            "environment variable AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
    ] {
        let (reason, message) = failure(once(&aws).envs(variables));
        assert_eq!(reason, "credentials", "{message}");
        let expected = format!("the {culprit} contains a control character, such as a line end");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_endpoint_urls_are_rejected_at_startup() {
    // With an empty URL, the SDK panicked in every call. Its error about an invalid one contained
    // the request, including the external id.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let usage_error = |variable: &str, url: &str| {
        let mut command = program();
        command.arg("once").env("AWS_REGION", REGION).env("AWS_CONFIG_FILE", &file).env(variable, url);
        let (status, _, stderr) = run(&mut command);
        assert_eq!(status, Some(2), "{variable}={url}: {stderr}");
        assert!(stderr.lines().count() == 1 && !stderr.contains("s3cr3t"), "{stderr}");
        stderr
    };
    let expected =
        "expected a URL such as `http://host:port` or `https://host`, without a user and without a query";
    std::fs::write(&file, "").unwrap();
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_STS"] {
        for url in [
            "",
            "s3cr3t",
            "/",
            "http://",
            "ftp://s3cr3t",
            "http://a:s3cr3t@b",
            "http://s3cr3t\n",
            "http://\u{1b}",
            "http://ü",
        ] {
            assert_eq!(
                usage_error(variable, url),
                format!(
                    "ssm-sync-exporter: regions: the environment variable {variable} is invalid; {expected}, or unset it\n"
                )
            );
        }
    }
    std::fs::write(&file, "[default]\nendpoint_url = s3cr3t\n").unwrap();
    assert_eq!(
        usage_error("A", ""),
        format!(
            "ssm-sync-exporter: regions: the `endpoint_url` of SSM in the shared AWS configuration is invalid; {expected}\n"
        )
    );
}

#[test]
fn an_unusable_region_in_the_environment_is_one_line() {
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        for region in ["eu-west-1\n", "eu-west-1\r\n", "\u{1b}[31m", "ü", "us east", &"x".repeat(100_000)] {
            let (status, _, stderr) = run(program().arg("once").env(variable, region));
            assert_eq!(status, Some(2), "{stderr}");
            assert!(stderr.lines().count() == 1 && stderr.len() < 500, "{stderr}");
            assert!(stderr.contains("the default region of the credentials is invalid"), "{stderr}");
            assert!(
                stderr.ends_with(&format!("; it is set by the environment variable {variable}\n")),
                "{stderr}"
            );
            assert!(!stderr.contains('\u{1b}'), "{stderr}");
        }
    }
}

/// Web identity tokens are often written with `echo`, and STS may accept them. Regression test:
/// every failure to assume the role was blamed on the line end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_end_after_a_web_identity_token_is_reported_only_if_sts_rejects_the_token() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cr3t\r\n").unwrap();
    let missing = directory.path().join("missing");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
    let failure_with = async |token: &Path, code: &str| {
        let body = format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>because</Message></Error></ErrorResponse>"
        );
        let sts = LocalServer::start(move |_| ("403 Forbidden", body.clone())).await;
        let mut command = once(&aws);
        command
            .env("AWS_ENDPOINT_URL_STS", sts.url())
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
            .env("AWS_ROLE_ARN", &arn);
        failure(&mut command)
    };
    let (reason, message) = failure_with(&token, "AccessDenied").await;
    assert_eq!(reason, "assume_role_denied");
    let expected = "cannot assume the role of the profile or web identity: AccessDenied: because";
    assert_eq!(message, expected);

    let credentials = |message: &str| ("credentials".to_owned(), message.to_owned());
    assert_eq!(
        failure_with(&token, "InvalidIdentityToken").await,
        credentials(&format!(
            "the file {} that AWS_WEB_IDENTITY_TOKEN_FILE names contains a control character, such as a line end",
            token.display()
        ))
    );
    // The message did not say which file.
    assert_eq!(
        failure_with(&missing, "AccessDenied").await,
        credentials(&format!(
            "the file {} that AWS_WEB_IDENTITY_TOKEN_FILE names cannot be read: No such file or directory (os error 2)",
            missing.display()
        ))
    );
}

/// Regression test: the message named neither the file nor the line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_a_profile_file_names_the_file_and_the_line() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, "[default]\naws_access_key_id s3cr3t\n").unwrap();
    let (reason, message) = failure(once(&aws).env("AWS_SHARED_CREDENTIALS_FILE", &file));
    assert_eq!(reason, "credentials");
    let expected =
        format!("the profile `default` cannot be read: {}:2: expected `key = value`", file.display());
    assert_eq!(message, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_responses_of_the_container_endpoint_and_of_sts_are_checked() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let config = format!(
        "[profile app]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\ncredential_source = EcsContainer\n"
    );
    std::fs::write(&file, config).unwrap();
    for (text, problem) in UNUSABLE {
        for (field, name) in [
            ("AccessKeyId", "access key id"),
            ("SecretAccessKey", "secret access key"),
            ("Token", "session token"),
        ] {
            let mut json = json!({
                "AccessKeyId": World::access_key(HUB),
                "SecretAccessKey": "any",
                "Token": "any",
                "Expiration": "2099-01-01T00:00:00Z"
            });
            json[field] = text.into();
            let endpoint = LocalServer::start(move |_| ("200 OK", json.to_string())).await;
            for profile in ["default", "app"] {
                let mut command = once(&aws);
                command
                    .env("AWS_CONFIG_FILE", &file)
                    .env("AWS_PROFILE", profile)
                    .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url());
                let (reason, message) = failure(&mut command);
                assert_eq!(reason, "credentials", "{message}");
                let expected = format!(
                    "the {name} {problem}; the credentials are from the container credentials endpoint (ECS or EKS)"
                );
                assert!(message.ends_with(&expected), "{message}");
            }

            let field = if field == "Token" { "SessionToken" } else { field };
            let element = |name: &str| {
                let value = if name == field {
                    text.replace('\n', "&#10;").replace('\r', "&#13;").replace('\u{1b}', "&#27;")
                } else {
                    "any".to_owned()
                };
                format!("<{name}>{value}</{name}>")
            };
            let body = format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>{}{}{}\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
                element("AccessKeyId"),
                element("SecretAccessKey"),
                element("SessionToken"),
            );
            let fault = Fault::Response { status: 200, body };
            aws.world().set_faults(vec![FaultRule::new(fault).operation("AssumeRole")]);
            let role = format!("[{{assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}]");
            let mut command = once(&aws);
            command
                .env("AWS_ACCESS_KEY_ID", World::access_key(HUB))
                .env("AWS_SECRET_ACCESS_KEY", "any")
                .env("SSM_SYNC_EXPORTER_ACCOUNTS", role);
            let (reason, message) = failure(&mut command);
            aws.world().set_faults(Vec::new());
            assert_eq!(reason, "credentials", "{message}");
            assert_eq!(message, format!("the {name} {problem}; the credentials are from AssumeRole"));
        }
    }
}
