//! Tests of the IAM roles: `CloudFormation` templates, Terraform modules and policies.
//!
//! The templates are deployed to moto. fake-aws then gets the same roles, and its record of the
//! exporter's calls shows which permissions the exporter needs.

mod readme;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use fake_aws::{FakeAws, Identity, SessionCredentials, World};
use pretty_assertions::assert_eq;
use serde::Deserialize;
use serde_json::{Value, json};

use self::readme::{Lookups, README, allows_lookups, commands, readme_config, rollout};
use super::{place, succeed, text};
use crate::organization::{MANAGEMENT, Moto};
use crate::process::{program, run};
use crate::{http, tools};

const TEMPLATES: [&str; 2] = ["deploy/aws/hub-role.yaml", "deploy/aws/member-role.yaml"];

/// The organizational unit of the member accounts in fake-aws. Its id differs from those in moto,
/// which chooses its own.
const UNIT: &str = "ou-fake-00000001";

/// cfn-lint with all checks, for all regions of all partitions.
fn lint() -> Command {
    let mut lint = tools::python_program("cfn-lint");
    lint.args(["--include-checks", "I"])
        .args(["--non-zero-exit-code", "informational", "--regions", "ALL_REGIONS", "--"])
        .current_dir(place(""));
    lint
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn templates_pass_cfn_lint() {
    let output = succeed(lint().args(TEMPLATES));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{}", tools::written(&output));

    // cfn-lint detects these faults.
    let directory = tempfile::tempdir().unwrap();
    let faults = [
        ("Action: account:ListRegions", "Action: account:ListRegion"),
        ("Action: ssm:DescribeInstanceInformation", "Action: ssm:DescribeInstancesInformation"),
        ("Effect: Allow", "Effect: Permit"),
        ("!Ref ExternalId", "!Ref Id"),
        ("    Default: SsmSyncExporter\n", "    Default: a/b\n"),
    ];
    let file = |number: usize| directory.path().join(format!("wrong-{number}.yaml"));
    for (number, (right, wrong)) in faults.into_iter().enumerate() {
        let template = text(TEMPLATES[1]);
        assert!(template.contains(right), "{right}");
        std::fs::write(file(number), template.replacen(right, wrong, 1)).unwrap();
    }
    let output = lint().args((0..faults.len()).map(file)).output().unwrap();
    let report = tools::written(&output);
    for (number, (_, wrong)) in faults.into_iter().enumerate() {
        assert!(report.contains(&format!("wrong-{number}.yaml:")), "{wrong}: {report}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn templates_modules_and_policies_are_equivalent() {
    let script = place("tests/python/aws_roles_test.py");
    let output = succeed(
        tools::python()
            .arg(script)
            .env("CHECKPOINT_DISABLE", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(ANY_CREDENTIALS),
    );
    let ran = String::from_utf8_lossy(&output.stderr);
    assert!(ran.contains("Ran 16 tests"), "{ran}");
}

/// moto accepts any credentials.
const ANY_CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")];

/// The names of a template's parameters.
fn parameters(template: &str) -> BTreeSet<String> {
    let text = text(template);
    let (_, rest) = text.split_once("\nParameters:\n").unwrap();
    let (section, _) = rest.split_once("\n\n").unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    names.filter(|name| name.chars().all(char::is_alphanumeric)).map(ToOwned::to_owned).collect()
}

#[test]
fn parameters_and_links_in_the_readme_exist() {
    let (hub, member) = (parameters(TEMPLATES[0]), parameters(TEMPLATES[1]));
    assert!(hub.contains("Runtime") && member.contains("TrustRevision"), "{hub:?} {member:?}");
    let mut of_the_stack_set = Vec::new();
    // AWS rejects parameters that a template does not have, but moto does not.
    for command in commands() {
        let parameters = if command.contains("hub-role.yaml") { &hub } else { &member };
        let given: BTreeSet<String> = match command.split_once("--parameter-overrides ") {
            Some((_, overrides)) => {
                let words = overrides.split(['\n', ' ']).filter_map(|word| word.split_once('='));
                words.map(|(name, _)| name.to_owned()).filter(|name| !name.is_empty()).collect()
            }
            None => {
                let rest = command.split("ParameterKey=").skip(1);
                rest.map(|rest| rest.split(',').next().unwrap().to_owned()).collect()
            }
        };
        assert!(given.is_subset(parameters), "{given:?}: {command}");
        if command.contains("-member --template-file") {
            // The command keeps the parameters of a stack that exists.
            assert!(given.contains("ExternalId") || allows_lookups(&command), "{command}");
        }
        if command.contains("-stack-set ") {
            of_the_stack_set.push(given);
        }
    }
    // An update of the StackSet names the parameters that it keeps.
    let created = &of_the_stack_set[0];
    assert!(created.contains("ExternalId"), "{created:?}");
    assert_eq!(of_the_stack_set.len(), 3);
    for updated in &of_the_stack_set[1..] {
        assert!(updated.is_superset(created), "{updated:?} {created:?}");
    }
    let readme = text(README);
    let words = readme.split('`').skip(1).step_by(2);
    for name in
        words.filter_map(|word| Some(word.split_once('=')?.0)).filter(|name| !name.contains([' ', '\n']))
    {
        let is_shell_variable = commands()[0].contains(&format!("{name}="));
        assert!(hub.contains(name) || member.contains(name) || is_shell_variable, "{name}");
    }
    for link in readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let (file, _heading) = link.split_once('#').unwrap_or((link, ""));
        assert!(place("deploy/aws").join(file).exists(), "{link}");
    }
}

/// A role in the output of `tests/python/moto_roles.py`.
#[derive(Debug, Deserialize)]
struct Role {
    trust: Vec<Value>,
    permissions: Vec<Value>,
}

impl Role {
    fn trust_policy(&self) -> String {
        json!({"Version": "2012-10-17", "Statement": self.trust}).to_string()
    }

    fn permissions_policy(&self) -> String {
        json!({"Version": "2012-10-17", "Statement": self.permissions}).to_string()
    }

    /// The actions that the role allows.
    fn actions(&self) -> BTreeSet<String> {
        self.permissions.iter().flat_map(actions).collect()
    }
}

/// The actions of an Allow statement. Panics for a Deny statement.
fn actions(statement: &Value) -> BTreeSet<String> {
    assert_eq!(statement["Effect"], "Allow");
    match &statement["Action"] {
        Value::String(action) => [action.clone()].into(),
        list => serde_json::from_value(list.clone()).unwrap(),
    }
}

type Roles = BTreeMap<String, BTreeMap<String, Role>>;

/// Runs the commands of the README against moto, with `rooted` as the exporter's account. Returns
/// the resulting roles.
async fn roll_out(moto: &Moto, lookups: Lookups) -> Roles {
    let organization = &moto.organization;
    let (url, units, accounts) = (&organization.url, &organization.units, &organization.accounts);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let profiles = format!(
        "[profile management]\naws_access_key_id = any\naws_secret_access_key = any\n\
         [profile monitoring]\nsource_profile = management\nrole_arn = arn:aws:iam::{}:role/OrganizationAccountAccessRole\n",
        accounts["rooted"]
    );
    std::fs::write(&config, profiles).unwrap();

    let mut commands = rollout(lookups);
    assert!(commands[0].contains("UNITS=r-abcd ") && commands.len() > 4, "{commands:?}");
    commands[0] =
        commands[0].replace("UNITS=r-abcd ", &format!("UNITS={},{} ", units["outer"], units["beside"]));
    let script = format!("set -euo pipefail\n{}", commands.join("\n"));
    let programs = tools::python().get_program().to_owned();
    let path = std::env::join_paths(
        Path::new(&programs)
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(place("")).env_clear().env("PATH", path);
    shell
        .envs([("AWS_ENDPOINT_URL", url.as_str()), ("HOME", "/nonexistent")])
        .env("AWS_CONFIG_FILE", &config);

    let mut show = tools::python();
    show.arg(place("tests/python/moto_roles.py")).arg(url).arg(MANAGEMENT).args(accounts.values());
    let output = tokio::task::spawn_blocking(move || {
        succeed(&mut shell);
        succeed(&mut show)
    })
    .await
    .unwrap();
    drop(directory);
    serde_json::from_slice(&output.stdout).unwrap()
}

const HUB_ROLE: &str = "ssm-sync-exporter";
const MEMBER_ROLE: &str = "SsmSyncExporter";

/// Starts fake-aws with the roles of moto and evaluates their policies. The accounts with the member role
/// are in the unit; the exporter's account is outside it, in the same organization.
async fn with_roles(roles: &Roles, hub: &str) -> FakeAws {
    let world = World::new();
    world.create_organization(MANAGEMENT);
    world.add_unit(UNIT, "r-fake");
    world.add_member(hub, "hub", "r-fake");
    for (account, roles) in roles {
        if account != MANAGEMENT && roles.contains_key(MEMBER_ROLE) {
            world.add_member(account, "member", UNIT);
        }
        for (name, role) in roles.iter().filter(|(name, _)| [HUB_ROLE, MEMBER_ROLE].contains(&name.as_str()))
        {
            world.add_role(account, name, None);
            let policies = [("permissions", &*role.permissions_policy())];
            world.set_policies(account, &Identity::role(name), &policies).unwrap();
            if name == MEMBER_ROLE {
                world.set_trust_policy(account, name, &role.trust_policy()).unwrap();
            }
        }
    }
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// Runs the exporter with this configuration and its own role. Returns its exit status and output. The
/// path of the configuration in `arguments` is replaced.
async fn run_exporter(
    aws: &FakeAws,
    hub: &str,
    arguments: &str,
    config: &str,
) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let mut exporter = program();
    let arguments = arguments.split_whitespace();
    exporter.args(arguments.map(|word| if word.starts_with('/') { file.to_str().unwrap() } else { word }));
    set_credentials(&mut exporter, aws, hub, HUB_ROLE);
    tokio::task::spawn_blocking(move || run(&mut exporter)).await.unwrap()
}

/// Makes a client of AWS call fake-aws with a role.
fn set_credentials(client: &mut Command, aws: &FakeAws, account: &str, role: &str) {
    let SessionCredentials { access_key_id, secret_access_key, session_token } =
        aws.world().session_credentials(account, role, None).unwrap();
    client.env("AWS_ACCESS_KEY_ID", access_key_id).env("AWS_SECRET_ACCESS_KEY", secret_access_key);
    client.env("AWS_SESSION_TOKEN", session_token).env("AWS_ENDPOINT_URL", aws.url());
}

/// Runs `doctor` as the README says. All its checks have to pass. Returns the table that it prints.
async fn run_doctor(aws: &FakeAws, hub: &str, config: &str) -> String {
    let [command] = <[String; 1]>::try_from(
        commands()
            .into_iter()
            .filter(|command| command.starts_with("ssm-sync-exporter "))
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let arguments = command.strip_prefix("ssm-sync-exporter ").unwrap();
    let (status, table, log) = run_exporter(aws, hub, arguments, config).await;
    assert_eq!(status, Some(0), "{table}\n{log}");
    table
}

/// Polls all targets once. Returns the series.
async fn poll(aws: &FakeAws, hub: &str, config: &str) -> Vec<String> {
    let (status, series, log) = run_exporter(aws, hub, "once --config.file /config.yaml", config).await;
    assert_eq!(status, Some(0), "{log}");
    series.lines().map(ToOwned::to_owned).collect()
}

/// The number of series of a family whose line contains the text.
fn count(series: &[String], family: &str, text: &str) -> usize {
    let family = format!("{family}{{");
    series.iter().filter(|line| line.starts_with(&family) && line.contains(text)).count()
}

/// The operations that each account called.
async fn called(aws: &FakeAws) -> BTreeMap<String, BTreeSet<String>> {
    let address = aws.url().strip_prefix("http://").unwrap().parse().unwrap();
    let calls = http::request(address, "GET", "/_fake/calls").await.body;
    let mut called: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in serde_json::from_str::<Vec<Value>>(&calls).unwrap() {
        let part = |name: &str| call[name].as_str().unwrap().to_owned();
        called.entry(part("account")).or_default().insert(part("operation"));
    }
    called
}

/// The member roles trust only the exporter's role.
fn assert_trust(roles: &Roles, moto: &Moto, hub: &str) {
    let accounts = &moto.organization.accounts;
    let exporter = format!("arn:aws:iam::{hub}:role/{HUB_ROLE}");
    let members: Vec<_> =
        roles.iter().filter_map(|(id, roles)| Some((id, roles.get(MEMBER_ROLE)?))).collect();
    let expected = [
        MANAGEMENT,
        &accounts["application"],
        &accounts["database"],
        &accounts["closed"],
        &accounts["sandbox"],
    ];
    let ids: BTreeSet<&str> = members.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, expected.into());
    for (_, role) in members {
        let trust = json!([{
            "Sid": "AllowTheExporter",
            "Effect": "Allow",
            "Principal": {"AWS": exporter},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "example"}},
        }]);
        assert_eq!(json!(role.trust), trust);
    }
}

/// With this configuration, the exporter calls every operation that the roles allow, and no other.
async fn assert_permissions_are_exact(aws: &FakeAws, roles: &Roles, hub: &str, config: &str) {
    let table = run_doctor(aws, hub, config).await;
    assert!(table.contains("✓ list SyncFromSource: 85 passed ("), "{table}");
    run_doctor(aws, hub, &format!("{config}  organizational_units: [{UNIT}]\n")).await;
    let mut sessions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for assumed in aws.world().assumed_roles() {
        assert_eq!(assumed.caller_account, hub);
        let account = assumed.role.split(':').nth(4).unwrap().to_owned();
        let policy: Value = serde_json::from_str(&assumed.policy.unwrap()).unwrap();
        sessions
            .entry(account)
            .or_default()
            .extend(policy["Statement"].as_array().unwrap().iter().flat_map(actions));
    }
    let called = called(aws).await;
    assert_eq!(called.keys().collect::<Vec<_>>(), roles.keys().collect::<Vec<_>>());
    for (account, operations) in called {
        let name = if account == hub { HUB_ROLE } else { MEMBER_ROLE };
        let allowed = roles[&account][name].actions();
        let names = allowed.iter().map(|action| action.split(':').nth(1).unwrap().to_owned());
        assert_eq!(operations, names.collect(), "{account}");
        if account == hub {
            assert_eq!(allowed, ["sts:AssumeRole".to_owned()].into());
        } else {
            assert_eq!(sessions[&account], allowed, "{account}");
        }
    }
}

/// Whether the AWS CLI may make the call with the member role of the account.
async fn may(aws: &FakeAws, account: &str, call: &str) -> bool {
    let mut cli = tools::python_program("aws");
    cli.args(["ssm", "--region", "eu-west-1"]).args(call.split(' '));
    set_credentials(&mut cli, aws, account, MEMBER_ROLE);
    let output = tokio::task::spawn_blocking(move || cli.output().unwrap()).await.unwrap();
    let written = tools::written(&output);
    assert!(output.status.success() || written.contains("is not authorized to perform: ssm:"), "{written}");
    output.status.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_rollout_in_the_readme_grants_exactly_the_permissions_that_the_exporter_uses() {
    let moto = Moto::start().await;
    let hub = moto.organization.accounts["rooted"].as_str();
    let roles = roll_out(&moto, Lookups::Never).await;
    assert_trust(&roles, &moto, hub);
    let aws = with_roles(&roles, hub).await;
    let config = readme_config(hub);
    assert_permissions_are_exact(&aws, &roles, hub, &config).await;
    assert!(may(&aws, MANAGEMENT, "list-resource-data-sync").await);
    assert!(!may(&aws, MANAGEMENT, LOOKUP).await);

    // Syncs are collected even if no role allows lookups.
    let series = poll(&aws, hub, &with_lookups(&config)).await;
    assert_eq!(count(&series, "ssm_sync_exporter_target_up", "} 1"), TARGETS);
    assert_eq!(
        count(&series, "ssm_sync_exporter_managed_nodes_down_reason", r#"reason="access_denied"} 1"#),
        TARGETS
    );
    assert_eq!(count(&series, "aws_ssm_managed_nodes_present", ""), 0);
}

/// The number of accounts times the number of regions.
const TARGETS: usize = 85;

/// The configuration with managed-node lookups.
fn with_lookups(config: &str) -> String {
    format!("managed_nodes: {{ enabled: true }}\n{config}")
}

/// A managed-node lookup.
const LOOKUP: &str = "describe-instance-information --max-results 5";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_commands_in_the_readme_allow_managed_node_lookups_in_new_and_existing_roles() {
    for lookups in [Lookups::FromTheStart, Lookups::Later] {
        let moto = Moto::start().await;
        let hub = moto.organization.accounts["rooted"].as_str();
        let roles = roll_out(&moto, lookups).await;
        assert_trust(&roles, &moto, hub);
        for (account, roles) in &roles {
            for (name, role) in roles {
                let may_look_up = role.actions().contains("ssm:DescribeInstanceInformation");
                assert_eq!(may_look_up, name == MEMBER_ROLE, "{lookups:?} {account} {name}");
            }
        }
        let aws = with_roles(&roles, hub).await;
        let config = with_lookups(&readme_config(hub));
        assert_permissions_are_exact(&aws, &roles, hub, &config).await;
        let account = &moto.organization.accounts["application"];
        assert!(may(&aws, account, LOOKUP).await);
        assert!(!may(&aws, account, "delete-resource-data-sync --sync-name any").await);
        aws.world().set_managed_nodes(account, "eu-west-1", 2);
        let series = poll(&aws, hub, &config).await;
        assert_eq!(count(&series, "aws_ssm_managed_nodes_present", "} 0"), TARGETS - 1);
        assert_eq!(count(&series, "aws_ssm_managed_nodes_present", "} 1"), 1);
        assert_eq!(count(&series, "ssm_sync_exporter_managed_nodes_down_reason", ""), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_are_not_listed_without_wildcards() {
    let world = World::new();
    world.add_account("999900000000");
    world.add_role("999900000000", HUB_ROLE, None);
    world.add_role("111122223333", MEMBER_ROLE, Some("example"));
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let config = "regions: [eu-west-1]\naccounts:\n  - assume_roles:\n      - arn: arn:aws:iam::111122223333:role/SsmSyncExporter\n        external_id: example\n";
    run_doctor(&aws, "999900000000", config).await;
    assert_eq!(called(&aws).await["111122223333"], ["ListResourceDataSync".to_owned()].into());
}
