//! Tests of empty and malformed environment variables of the AWS SDK.

use std::path::Path;
use std::process::Command;

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exporter::{HUB, fake_aws};
use crate::process::{program, run};

/// What container platforms, Helm charts and Compose files leave of a variable without a value.
const BLANK: [&str; 3] = ["", " ", "\t"];

/// Variables that count as not set if they are blank.
const IGNORED: [&str; 31] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ACCOUNT_ID",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_SDK_UA_APP_ID",
    "AWS_DEFAULTS_MODE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_DISABLE_REQUEST_COMPRESSION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
];

/// One-shot mode with the files in the home directory `home`.
fn once(aws: &FakeAws, home: &Path) -> Command {
    let mut command = program();
    command
        .env_remove("AWS_CONFIG_FILE")
        .env_remove("AWS_SHARED_CREDENTIALS_FILE")
        .env("HOME", home)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("SSM_SYNC_EXPORTER_TIMEOUT", "8s")
        .args(["once", "--format", "json", "--log.level", "error"]);
    command
}

fn write_profile(home: &Path) {
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    let key = World::access_key(HUB);
    let text =
        format!("[default]\nregion = eu-north-1\naws_access_key_id = {key}\naws_secret_access_key = x\n");
    std::fs::write(home.join(".aws/config"), text).unwrap();
}

/// The state of the only target.
#[track_caller]
fn target(command: &mut Command) -> Value {
    let (_, stdout, stderr) = run(command);
    let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
    document["targets"][0].clone()
}

/// Regression test: an empty `AWS_REGION` was an invalid region, an empty `AWS_PROFILE` a profile
/// without a name, and an empty path a file that does not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_variable_counts_as_not_set() {
    let aws = fake_aws().await;
    let home = tempfile::tempdir().unwrap();
    write_profile(home.path());
    for blank in BLANK {
        let mut all = once(&aws, home.path());
        for variable in IGNORED {
            let target = target(once(&aws, home.path()).env(variable, blank));
            assert_eq!(target["up"], true, "{variable}={blank:?}: {target}");
            assert_eq!(target["aws_region"], "eu-north-1", "{variable}={blank:?}");
            all.env(variable, blank);
        }
        assert_eq!(target(&mut all)["up"], true, "all of them");
    }
    // The next variable in the order of precedence is used.
    for blank in BLANK {
        let mut command = once(&aws, home.path());
        command.envs([("AWS_REGION", blank), ("AWS_DEFAULT_REGION", "eu-west-3")]);
        assert_eq!(target(&mut command)["aws_region"], "eu-west-3");
    }
}

#[test]
fn a_blank_region_and_nothing_else_is_no_region() {
    for blank in BLANK {
        let (status, _, err) =
            run(program().arg("once").envs([("AWS_REGION", blank), ("AWS_DEFAULT_REGION", blank)]));
        assert_eq!(status, Some(2));
        assert_eq!(
            err,
            "ssm-sync-exporter: regions: no region is set; set `regions`, AWS_REGION, or `region` in the AWS profile\n"
        );
    }
}

/// Of these, the SDK cannot be told that they are not set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_variable_that_has_an_effect_is_named() {
    let aws = fake_aws().await;
    let home = tempfile::tempdir().unwrap();
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/");
    for variable in ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
        let mut command = once(&aws, home.path());
        command.envs([full, (variable, ""), ("AWS_REGION", "eu-west-1")]);
        let expected = format!(
            "the environment variable {variable} is empty; unset it, or set it as the container platform does"
        );
        assert_eq!(target(&mut command)["message"], expected);
    }
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_STS"] {
        let mut command = once(&aws, home.path());
        let (status, _, err) = run(command.envs([(variable, ""), ("AWS_REGION", "eu-west-1")]));
        assert_eq!(status, Some(2), "{err}");
        assert!(
            err.contains(&format!("the environment variable {variable} is invalid; expected a URL")),
            "{err}"
        );
    }
}

/// Regression test: the SDK ignored them, so that FIPS endpoints were not used, or used the
/// credentials of another source, which may belong to another account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_variable_is_named() {
    let aws = fake_aws().await;
    let home = tempfile::tempdir().unwrap();
    write_profile(home.path());
    let switch = "expected `true` or `false`";
    for (variable, value, expected) in [
        ("AWS_USE_FIPS_ENDPOINT", "yes", switch),
        ("AWS_USE_FIPS_ENDPOINT", "1", switch),
        ("AWS_USE_DUALSTACK_ENDPOINT", "on", switch),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True ", switch),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "169.254.169.254",
            "expected a URL such as `http://169.254.169.254`",
        ),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "6", "expected `IPv4` or `IPv6`"),
    ] {
        let (status, _, err) = run(once(&aws, home.path()).env(variable, value));
        assert_eq!(status, Some(2), "{variable}={value}: {err}");
        let expected = format!(
            "ssm-sync-exporter: regions: the environment variable {variable} is invalid; {expected}\n"
        );
        assert_eq!(err, expected);
    }
    for value in ["eu-west-1 ", " eu-west-1", "eu west", "eu-west-1a", "\"eu-west-1\""] {
        let (status, _, err) = run(once(&aws, home.path()).env("AWS_REGION", value));
        assert_eq!(status, Some(2), "{value}: {err}");
        let expected = format!(
            "ssm-sync-exporter: regions: the default region of the credentials is invalid: `{value}` is not an AWS region \
             name; expected a name such as `eu-west-1` or `us-gov-east-1`; it is set by the environment variable AWS_REGION\n"
        );
        assert_eq!(err, expected);
    }
    let message = target(once(&aws, home.path()).env("AWS_ACCESS_KEY_ID", "AKIA"))["message"].clone();
    assert_eq!(
        message,
        "the environment variable AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set both, or neither"
    );
    // What the exporter sets itself, or has no use for.
    let mut command = once(&aws, home.path());
    command.envs([
        ("AWS_MAX_ATTEMPTS", "many"),
        ("AWS_RETRY_MODE", "never"),
        ("AWS_SDK_UA_APP_ID", "ü"),
        ("AWS_SECRET_ACCESS_KEY", "alone"),
        ("AWS_ROLE_ARN", "alone"),
    ]);
    assert_eq!(target(&mut command)["up"], true);
}
