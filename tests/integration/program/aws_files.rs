//! Tests of the files of the shared AWS configuration and of tokens: what the AWS CLI reads is
//! read, and an error names the file.

use std::path::{Path, PathBuf};
use std::process::Command;

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;
use serde_json::Value;
use tempfile::TempDir;

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, fake_aws};
use crate::process::{program, run};

/// A home directory with files of the shared AWS configuration.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(home.path(".aws/sso/cache")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// One-shot mode with the files of this directory.
    fn once(&self, aws: &FakeAws) -> Command {
        let mut command = program();
        command
            .env_remove("AWS_CONFIG_FILE")
            .env_remove("AWS_SHARED_CREDENTIALS_FILE")
            .env("HOME", self.0.path())
            .env("AWS_ENDPOINT_URL", aws.url())
            .env("SSM_SYNC_EXPORTER_TIMEOUT", "8s")
            .args(["once", "--format", "json", "--log.level", "error"]);
        command
    }

    /// The paths in a message, relative to this directory.
    fn shorten(&self, message: &str) -> String {
        message.replace(&format!("{}/", self.0.path().display()), "")
    }

    /// The reason and message of the failure of the only target.
    #[track_caller]
    fn failure(&self, command: &mut Command) -> String {
        let (status, stdout, stderr) = run(command);
        assert_eq!(status, Some(1), "{stderr}");
        let document: Value = serde_json::from_str(&stdout).unwrap();
        let target = &document["targets"][0];
        let message = target["message"].as_str().unwrap();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!message.contains("s3cr3t"), "{message}");
        format!("{}: {}", target["reason"].as_str().unwrap(), self.shorten(message))
    }

    /// The region and the account of the only target, which is up.
    #[track_caller]
    fn target(command: &mut Command) -> (String, String) {
        let (status, stdout, stderr) = run(command);
        assert_eq!(status, Some(0), "{stderr}");
        let document: Value = serde_json::from_str(&stdout).unwrap();
        let text = |key: &str| document["targets"][0][key].as_str().unwrap().to_owned();
        (text("aws_region"), text("aws_account_id"))
    }
}

fn make_pipe(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

/// Regression test: these said that no region was set or that a provider was not enabled, and one
/// bad line made every profile unusable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_that_the_aws_cli_reads_are_used() {
    let aws = fake_aws().await;
    let home = Home::new();
    let keys = format!("aws_access_key_id = {}\n  aws_secret_access_key = x\n", World::access_key(HUB));
    home.write(
        ".aws/config",
        &format!(
            "\u{feff}# comment\n[profile indented]\n  region = eu-north-1\n  # comment\n  {keys}\n\
             [profile broken\nregion = nope\n[profile wrong]\nregion nope\n[foo]\nregion = nope\n\
             [profile \"my team\"]\nregion = eu-west-3\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\n\
             source_profile = hub of team\n[profile 'hub of team']\n  {keys}\n[default]\nregion: ap-south-1\n"
        ),
    );
    home.write(".aws/credentials", &format!("[default]\n  {keys}[profile wrong]\nnonsense"));
    let hub = HUB.to_owned();
    assert_eq!(
        Home::target(home.once(&aws).env("AWS_PROFILE", "indented")),
        ("eu-north-1".to_owned(), hub.clone())
    );
    assert_eq!(Home::target(&mut home.once(&aws)), ("ap-south-1".to_owned(), hub.clone()));
    assert_eq!(
        Home::target(home.once(&aws).env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: my team}]")),
        ("eu-west-3".to_owned(), ACCOUNT.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_profile_names_the_file_and_the_line() {
    let aws = fake_aws().await;
    let home = Home::new();
    home.write(
        ".aws/config",
        "[foo]\nregion = eu-west-1\n[profile wrong]\naws_access_key_id s3cr3t\n[profile app]\nrole_arn = \
         arn:aws:iam::1:role/x\nsource_profile = nope\n[profile nothing]\nregion = eu-west-1\n",
    );
    home.write(".aws/credentials", "[profile bar]\n");
    for (profile, error) in [
        (
            "foo",
            "the profile `foo` (selected by AWS_PROFILE) is not defined in .aws/config or .aws/credentials; .aws/config:1: `[foo]` is not a profile; write `[profile foo]`",
        ),
        (
            "bar",
            "the profile `bar` (selected by AWS_PROFILE) is not defined in .aws/config or .aws/credentials; .aws/credentials:1: `[profile bar]` is not a profile; write `[bar]`",
        ),
        ("wrong", "the profile `wrong` cannot be read: .aws/config:4: expected `key = value`"),
        (
            "app",
            "the profile `nope`, the `source_profile` of `app` (.aws/config:7), is not defined in .aws/config or .aws/credentials; they have `app`, `nothing`, `wrong`",
        ),
    ] {
        let mut command = home.once(&aws);
        command.env("AWS_PROFILE", profile).env("AWS_REGION", REGION);
        assert_eq!(home.failure(&mut command), format!("credentials: {error}"));
    }
    // The profile is configured, so its credentials have to be its own.
    let mut command = home.once(&aws);
    command.env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: nothing}]");
    let expected = "credentials: the profile `nothing` of .aws/config and .aws/credentials has no credentials; add \
                    `role_arn` with its source, `sso_session`, `credential_process`, or keys";
    assert_eq!(home.failure(&mut command), expected);
}

/// Regression test: the SDK waits for a pipe forever, and for a directory or a missing file it
/// silently uses no profile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_missing_or_no_files_are_named_and_do_not_block() {
    let aws = fake_aws().await;
    let home = Home::new();
    let pipe = home.path("pipe");
    make_pipe(&pipe);
    let large = home.path("large");
    std::fs::File::create(&large).unwrap().set_len(1 << 30).unwrap();
    for (path, error) in [
        (home.path("nope"), "No such file or directory (os error 2)"),
        (home.path(".aws"), "it is a directory; expected a regular file"),
        (pipe.clone(), "it is a pipe; expected a regular file"),
        (large.clone(), "it is larger than 4 MiB"),
    ] {
        let shown = path.file_name().unwrap().to_str().unwrap();
        let mut command = home.once(&aws);
        command.env("AWS_REGION", REGION).env("AWS_CONFIG_FILE", &path);
        assert_eq!(
            home.failure(&mut command),
            format!(
                "credentials: found no credentials in the environment, the profile `default` of {shown} and \
                 .aws/credentials (the file {shown}, which AWS_CONFIG_FILE names, cannot be read: {error}) or a \
                 container, and none of the EC2 instance: IMDS disabled by AWS_EC2_METADATA_DISABLED env var set to \
                 `true`"
            )
        );
        command.env("AWS_PROFILE", "dev");
        assert_eq!(
            home.failure(&mut command),
            format!(
                "credentials: the profile `dev` (selected by AWS_PROFILE) is not defined in {shown} or .aws/credentials; \
                 the file {shown}, which AWS_CONFIG_FILE names, cannot be read: {error}"
            )
        );

        // Tokens, of which each source has its own error.
        let error = if path == large { "it is larger than 1 MiB" } else { error };
        let mut command = home.once(&aws);
        command
            .env("AWS_REGION", REGION)
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &path)
            .env("AWS_ROLE_ARN", format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"));
        let named = |variable: &str| {
            format!("credentials: the file {shown} that {variable} names cannot be read: {error}")
        };
        assert_eq!(home.failure(&mut command), named("AWS_WEB_IDENTITY_TOKEN_FILE"));
        let mut command = home.once(&aws);
        command
            .env("AWS_REGION", REGION)
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &path);
        assert_eq!(home.failure(&mut command), named("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));

        home.write(
            ".aws/config",
            &format!(
                "[default]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\nweb_identity_token_file = {}\n",
                path.display()
            ),
        );
        assert_eq!(
            home.failure(home.once(&aws).env("AWS_REGION", REGION)),
            format!(
                "credentials: the profile `default` (.aws/config:3) is unusable: the web identity token file {shown} \
                 cannot be read: {error}"
            )
        );
        std::fs::remove_file(home.path(".aws/config")).unwrap();
    }
    let mut command = home.once(&aws);
    command.env("AWS_REGION", REGION).env("AWS_WEB_IDENTITY_TOKEN_FILE", home.write("token", "s3cr3t"));
    assert_eq!(
        home.failure(&mut command),
        "credentials: the environment variable AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not; set both, or \
         neither"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_token_of_iam_identity_center_is_named_with_the_command_that_renews_it() {
    // The name of the file is the SHA-1 hash of the session or, without one, of the start URL.
    const SESSION: &str = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
    const START_URL: &str = ".aws/sso/cache/b343494cf15ba6b81449840ea93161cf3b27e5e3.json";
    let aws = fake_aws().await;
    let home = Home::new();
    home.write(
        ".aws/config",
        "[profile session]\nsso_session = dev\nsso_account_id = 111122223333\nsso_role_name = x\n[sso-session dev]\n\
         sso_region = eu-west-1\nsso_start_url = https://example.com\n[profile start url]\nregion = x\n\
         [profile 'start url']\nsso_start_url = https://example.com/start\nsso_region = eu-west-1\nsso_account_id = \
         111122223333\nsso_role_name = x\n",
    );
    for (token, problem) in [
        (None, "cannot be read: No such file or directory (os error 2)"),
        (Some(""), "is empty"),
        (Some("s3cr3t"), "is not a JSON object"),
        (Some("{}"), "has no `accessToken`"),
        (
            Some("{\"accessToken\": \"s3cr3t\"}"),
            "has no `expiresAt` with a time such as `2030-01-31T23:59:59Z`",
        ),
        (
            Some("{\"accessToken\": \"s3cr3t\", \"expiresAt\": \"2020-01-31T23:59:59Z\"}"),
            "has expired at 2020-01-31T23:59:59Z",
        ),
    ] {
        for (profile, place, file, quoted) in [
            ("session", ".aws/config:2", SESSION, "session"),
            ("start url", ".aws/config:11", START_URL, "'start url'"),
        ] {
            let _absent = std::fs::remove_file(home.path(file));
            if let Some(token) = token {
                home.write(file, token);
            }
            let mut command = home.once(&aws);
            command.env("AWS_REGION", REGION).env("AWS_PROFILE", profile);
            assert_eq!(
                home.failure(&mut command),
                format!(
                    "credentials: the profile `{profile}` ({place}) is unusable: the SSO token {file} {problem}; run \
                     `aws sso login --profile {quoted}`"
                )
            );
        }
    }
}
