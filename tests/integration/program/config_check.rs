//! Tests that `--config.check` refuses what `serve` and `once` refuse at start, with the same error.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;

use crate::exporter::{ACCOUNT, HUB, ROLE, aws_settings};
use crate::local_server::LocalServer;
use crate::process::{program, run, run_check};

/// A reason not to start.
#[derive(Default)]
struct Case {
    /// A part of the error.
    error: &'static str,
    config: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// The file of profiles.
    profiles: &'static str,
    arguments: &'static [&'static str],
    /// The web configuration, which `once` ignores.
    web: Option<&'static str>,
}

/// The operations whose calls a check tells.
const OPERATIONS: [&str; 5] =
    ["ListResourceDataSync", "AssumeRole", "ListRegions", "ListAccounts", "DescribeInstanceInformation"];

const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");

fn cases() -> Vec<Case> {
    let case = |error, config| Case { error, config, environment: &[REGION], ..Case::default() };
    let environment = |error, environment| Case { error, environment, ..Case::default() };
    let profiles = |error, profiles| Case { error, profiles, ..Case::default() };
    let arguments = |error, arguments| Case { error, arguments, environment: &[REGION], ..Case::default() };
    let web = |error, web| Case { error, web: Some(web), environment: &[REGION], ..Case::default() };
    vec![
        // The configuration by itself.
        case("not YAML", "regions: [\n"),
        case("unknown key", "intervall: 5m\n"),
        case("is too short", "interval: 1ms\n"),
        case(
            "is already polled by",
            "accounts: [{id: '111122223333', profile: a}, {id: '111122223333', profile: b}]\nregions: [eu-west-1]\n",
        ),
        case(
            "but the role",
            "accounts: [{assume_roles: [{arn: 'arn:aws:iam::111122223333:role/x'}], regions: [cn-north-1]}]\n",
        ),
        case("no FIPS endpoint in eu-west-3", "aws: {use_fips: true}\nregions: [eu-west-3]\n"),
        environment("SSM_SYNC_EXPORTER_CONCURRENCY", &[("SSM_SYNC_EXPORTER_CONCURRENCY", "none"), REGION]),
        arguments("cannot read the configuration file /nonexistent", &["--config.file", "/nonexistent"]),
        arguments("--shard.total requires", &["--shard.total", "2"]),
        arguments("shard index 2 is out of range", &["--shard.total", "2", "--shard.index", "2"]),
        // With the environment and the shared AWS configuration.
        environment("no region is set", &[]),
        environment("no region is set", &[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", " ")]),
        environment(
            "it is set by the environment variable AWS_DEFAULT_REGION",
            &[("AWS_DEFAULT_REGION", "eu west")],
        ),
        environment(
            "the profile `nope` (selected by AWS_PROFILE) is not defined",
            &[("AWS_PROFILE", "nope")],
        ),
        environment("which AWS_CONFIG_FILE names, cannot be read", &[("AWS_CONFIG_FILE", "/nonexistent")]),
        environment("AWS_USE_FIPS_ENDPOINT is invalid", &[REGION, ("AWS_USE_FIPS_ENDPOINT", "yes")]),
        environment("AWS_ENDPOINT_URL_STS is invalid", &[REGION, ("AWS_ENDPOINT_URL_STS", "localhost")]),
        environment(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is invalid",
            &[REGION, ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5")],
        ),
        environment(
            "no FIPS endpoint in eu-west-3",
            &[("AWS_REGION", "eu-west-3"), ("AWS_USE_FIPS_ENDPOINT", "true")],
        ),
        environment("dual-stack", &[("AWS_REGION", "us-iso-east-1"), ("AWS_USE_DUALSTACK_ENDPOINT", "true")]),
        profiles("/profiles:2)", "[default]\nregion = \"eu-west-1\"\n"),
        profiles("/profiles:1)", "[default]\noutput = json\n"),
        profiles("/profiles:2: expected `key = value`", "[default]\nregion eu-west-1\n"),
        profiles("`use_fips_endpoint`", "[default]\nregion = us-east-1\nuse_fips_endpoint = yes\n"),
        profiles("`endpoint_url` of SSM", "[default]\nregion = us-east-1\nendpoint_url = localhost\n"),
        Case {
            error: "the profile `nope`",
            config: "accounts: [{profile: nope}]\n",
            profiles: "[profile nop]\nregion = eu-west-1\n",
            ..Case::default()
        },
        Case {
            error: "accounts[0] polls eu-west-1 with the same credentials",
            config: "accounts: [{profile: a}, {profile: a}]\n",
            profiles: "[profile a]\nregion = eu-west-1\n",
            ..Case::default()
        },
        Case {
            error: "is in the partition aws-cn, but the role",
            config: "accounts: [{profile: a, assume_roles: [{arn: 'arn:aws:iam::111122223333:role/x'}], regions: [cn-north-1]}]\n",
            profiles: "[profile a]\nregion = cn-north-1\n",
            ..Case::default()
        },
        // The web configuration.
        web("unknown key", "tls_server: {}\n"),
        web("missing.crt", "tls_server_config: {cert_file: missing.crt, key_file: missing.key}\n"),
        web("basic_auth_users", "basic_auth_users: {a: b}\n"),
    ]
}

impl Case {
    fn run(&self, directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
        let write = |name: &str, text: &str| {
            std::fs::write(directory.join(name), text).unwrap();
            directory.join(name)
        };
        let mut command: Command = program();
        command.args(arguments).args(self.arguments).env("AWS_CONFIG_FILE", write("profiles", self.profiles));
        command.envs(self.environment.iter().copied());
        if !self.config.is_empty() {
            command.arg("--config.file").arg(write("config.yaml", self.config));
        }
        if let Some(web) = self.web {
            command.arg("--web.config.file").arg(write("web.yaml", web));
        }
        run_check(&mut command)
    }
}

/// Regression test: what depends on the environment and the shared AWS configuration was not
/// checked.
#[test]
fn config_check_refuses_what_serve_and_once_refuse() {
    let directory = tempfile::tempdir().unwrap();
    for case in cases() {
        let refused = case.run(directory.path(), &["serve", "--web.listen-address", "127.0.0.1:0"]);
        let (status, stdout, stderr) = &refused;
        assert_eq!((*status, stdout.as_str()), (Some(2), ""), "{}: {stderr}", case.error);
        assert!(stderr.contains(case.error) && stderr.lines().count() == 1, "{}: {stderr}", case.error);
        assert_eq!(case.run(directory.path(), &["--config.check"]), refused);
        assert_eq!(case.run(directory.path(), &["serve", "--config.check"]), refused);
        if case.web.is_none() {
            assert_eq!(case.run(directory.path(), &["once", "--config.check"]), refused);
            assert_eq!(case.run(directory.path(), &["once"]), refused);
        }
    }
}

/// Regression test: the check waited for the service for each profile without a region. Outside of EC2,
/// that took two seconds for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_region_of_the_instance_is_looked_up_once_for_all_profiles() {
    // On a busy machine, the SDK repeats a request that took longer than a second.
    const MAX_ATTEMPTS: usize = 4;
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    // The service is switched off, so the request is not repeated.
    let service = LocalServer::start(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        ("403 Forbidden", String::new())
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    let profile = |n: usize| format!("[profile p{n}]\ncredential_process = x\n");
    std::fs::write(&profiles, (0..20).map(profile).collect::<String>()).unwrap();
    let connections_for = |accounts: &str| {
        let mut command = program();
        command
            .env("AWS_CONFIG_FILE", &profiles)
            .env_remove("AWS_EC2_METADATA_DISABLED")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url())
            .env("SSM_SYNC_EXPORTER_ACCOUNTS", accounts)
            .arg("--config.check");
        let (status, _, stderr) = run(&mut command);
        assert_eq!(status, Some(2), "{stderr}");
        assert!(stderr.contains("accounts[0]: no region is set"), "{stderr}");
        connections.swap(0, Ordering::Relaxed)
    };
    let accounts = |number: usize| {
        let entries: Vec<String> = (0..number).map(|n| format!("{{profile: p{n}}}")).collect();
        format!("[{}]", entries.join(", "))
    };
    for number in [1, 20] {
        let connections = connections_for(&accounts(number));
        assert!((1..=MAX_ATTEMPTS).contains(&connections), "{connections} for {number} profiles");
    }
}

/// A profile that has no credentials yet does not keep the exporter from starting.
#[test]
fn config_check_warns_of_profiles_without_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let case = Case {
        config: "regions: [eu-west-1]\naccounts:\n  - profile: nope\n  - {profile: nope, assume_roles: [{arn: \
                 'arn:aws:iam::111122223333:role/x'}]}\n  - profile: wrong\n",
        profiles: "[profile dev]\n[profile wrong]\nregion\n",
        ..Case::default()
    };
    let (status, stdout, stderr) = case.run(directory.path(), &["--config.check"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let stdout = stdout.replace(&format!("{}/", directory.path().display()), "");
    assert_eq!(
        stdout,
        "the configuration is valid\nwarning: config.yaml:3:5: accounts[0]: the profile `nope` (selected by `profile`) is not defined in profiles or \
         /dev/null; they have `dev`, `wrong`\nwarning: config.yaml:5:5: accounts[2]: the profile `wrong` cannot be read: \
         profiles:3: expected `key = value`\n"
    );
}

/// The numbers of calls that a check tells, by operation. Those for the accounts of an organization are for
/// 100 accounts.
fn calls_per_hour(report: &str) -> BTreeMap<&str, f64> {
    let (_, rows) = report.split_once("\nAPI calls per hour").unwrap();
    let mut calls = BTreeMap::new();
    for line in rows.lines().skip(1) {
        let mut words = line.split_whitespace();
        let operation = words.next().and_then(|word| word.split_once(':'));
        let number = words.next().and_then(|word| word.parse::<f64>().ok());
        if let (Some((_, operation)), Some(number)) = (operation, number) {
            *calls.entry(operation).or_default() += number;
        }
    }
    calls
}

/// Each target and each lookup has one round an hour, so the calls of an hour are those of `once`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_per_hour_are_those_that_the_exporter_makes() {
    let organization = || {
        let world = World::new();
        world.create_organization(HUB);
        world.add_role(HUB, ROLE, None);
        // A hundred accounts with the hub.
        for number in 1..100 {
            let id = format!("{:012}", 111_122_220_000_u64 + number);
            world.add_member(&id, "member", "r-fake");
            world.add_role(&id, ROLE, None);
        }
        world
    };
    let accounts = || {
        let world = World::new();
        world.add_account(HUB);
        for id in [ACCOUNT, "222233334444"] {
            world.add_role(id, ROLE, None);
        }
        world
    };
    let role = |id: &str| format!("{{arn: 'arn:aws:iam::{id}:role/{ROLE}'}}");
    let listed = format!(
        "managed_nodes: {{interval: 1h}}\naccounts:\n  - {{profile: hub, assume_roles: [{}], managed_nodes: {{enabled: \
         true}}}}\n  - {{profile: hub, assume_roles: [{}], regions: ['eu-*']}}\n",
        role(ACCOUNT),
        role("222233334444")
    );
    let members = format!(
        "organization:\n  profile: hub\n  managed_nodes: {{enabled: true, interval: 1h}}\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n"
    );
    for (world, settings) in [(accounts(), listed), (organization(), members)] {
        let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        let settings = format!(
            "interval: 1h\nregions: [eu-west-1, us-east-1]\n{settings}{}",
            aws_settings(&aws, directory.path())
        );
        std::fs::write(&file, settings).unwrap();
        let command = |arguments: &[&str]| {
            let mut command = program();
            command.args(arguments).arg("--config.file").arg(&file);
            tokio::task::spawn_blocking(move || run(&mut command))
        };
        let (status, report, err) = command(&["--config.check"]).await.unwrap();
        assert_eq!((status, err.as_str()), (Some(0), ""));
        for operation in OPERATIONS {
            assert_eq!(aws.world().calls(operation), 0, "{operation}");
        }
        let (status, _, err) = command(&["once", "--format", "json"]).await.unwrap();
        assert_eq!(status, Some(0), "{err}");
        let expected = calls_per_hour(&report);
        assert!(expected.len() >= 4, "{report}");
        for operation in OPERATIONS {
            let made = f64::from(u32::try_from(aws.world().calls(operation)).unwrap());
            let told = expected.get(operation).copied().unwrap_or_default();
            let told = match operation {
                // A role's credentials are renewed after 55 minutes.
                "AssumeRole" => (told * 55.0 / 60.0).round(),
                // Regions that cannot be disabled are counted in advance, and no others are enabled.
                _ => told,
            };
            assert!((made - told).abs() < f64::EPSILON, "{operation}: {made} calls\n{report}");
        }
    }
}
