//! Tests with managed nodes of an independent implementation: moto lists its EC2 instances as managed
//! nodes, see `tests/python/moto_nodes.py`.

use std::collections::{BTreeMap, BTreeSet};

use fake_aws::{FakeAws, Identity, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::Scrape;
use crate::organization::{MANAGEMENT, Moto};
use crate::process::{ExporterProcess, program};
use crate::tools;

/// The regions that `eu-*-1` selects.
const REGIONS: [&str; 3] = ["eu-central-1", "eu-north-1", "eu-west-1"];

/// The active accounts of the organization, without the management account.
const ACCOUNTS: [&str; 4] = ["application", "database", "rooted", "sandbox"];

/// The number of managed nodes in an account, by its name, and region. All others have none.
type Nodes<'a> = BTreeMap<(&'a str, &'a str), u32>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn boto3_and_the_aws_cli_list_managed_nodes_of_the_fake_aws_as_those_of_moto() {
    let world = World::new();
    world.add_account("111122223333");
    world.add_account("222233334444");
    world.add_role("222233334444", "SsmSyncExporter", None);
    let fake = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let moto = Moto::with_ssm(&fake).await;
    let output = run_python("managed_nodes_test.py", vec![fake.url(), moto.organization.url.clone()]).await;
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("Ran 11 tests"), "{summary}");
}

/// Runs a script of `tests/python`, which must succeed.
async fn run_python(script: &str, arguments: Vec<String>) -> std::process::Output {
    let mut python = tools::python();
    python.arg(format!("{}/tests/python/{script}", env!("CARGO_MANIFEST_DIR"))).args(arguments);
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    output
}

/// The same organization in moto and in fake-aws, with a sync in each account. fake-aws also has the
/// syncs of moto.
struct Both {
    moto: Moto,
    fake: FakeAws,
}

impl Both {
    async fn start() -> Self {
        let world = World::new();
        world.trust_foreign_keys(true);
        world.create_organization(MANAGEMENT);
        let fake = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
        let moto = Moto::with_ssm(&fake).await;
        let (world, units) = (fake.world(), &moto.organization.units);
        world.add_unit(&units["outer"], "r-fake");
        world.add_unit(&units["inner"], &units["outer"]);
        world.add_unit(&units["beside"], "r-fake");
        let parents = [
            ("application", &*units["outer"]),
            ("database", &units["inner"]),
            ("closed", &units["inner"]),
            ("sandbox", &units["beside"]),
            ("rooted", "r-fake"),
        ];
        let allowed = ["ssm:ListResourceDataSync", "ssm:DescribeInstanceInformation", "account:ListRegions"];
        let policy = json!({"Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": allowed, "Resource": "*"}});
        for (name, parent) in parents {
            let account = &moto.organization.accounts[name];
            world.add_member(account, name, parent);
            world.add_role(account, "SsmSyncExporter", None);
            let role = Identity::role("SsmSyncExporter");
            world.set_policies(account, &role, &[("exporter", &policy.to_string())]).unwrap();
            let sync = json!({"SyncName": format!("of-{name}"), "LastStatus": "Successful",
                "LastSuccessfulSyncTime": 1_700_000_000});
            world.put_item(account, "eu-west-1", SyncKind::ToDestination, sync);
        }
        world.set_account_state(&moto.organization.accounts["closed"], Some("CLOSED"), Some("SUSPENDED"));
        Self { moto, fake }
    }

    fn account(&self, name: &str) -> &str {
        &self.moto.organization.accounts[name]
    }

    async fn set_nodes(&self, nodes: &Nodes<'_>) {
        let mut arguments = vec![self.moto.organization.url.clone()];
        for ((name, region), number) in nodes {
            let account = self.account(name);
            self.fake.world().set_managed_nodes(account, region, *number);
            arguments.push(format!("{account}/{region}={number}"));
        }
        run_python("moto_nodes.py", arguments).await;
    }

    /// Runs the program on moto, or on fake-aws. Only fake-aws serves the API of regions.
    fn run(&self, on_moto: bool) -> ExporterProcess {
        let fake = self.fake.url();
        let url = if on_moto { &self.moto.organization.url } else { &fake };
        let key = if on_moto { "AKIAMOTO".to_owned() } else { World::access_key(MANAGEMENT) };
        let organization = format!(
            "{{member_role: 'arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter', \
             exclude_accounts: ['{MANAGEMENT}'], managed_nodes: {{enabled: true, interval: 1s}}}}"
        );
        ExporterProcess::start(program().envs([
            ("AWS_ACCESS_KEY_ID", key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ENDPOINT_URL_ACCOUNT", &fake),
            ("SSM_SYNC_EXPORTER_INTERVAL", "1s"),
            ("SSM_SYNC_EXPORTER_REGIONS", "['eu-*-1']"),
            ("SSM_SYNC_EXPORTER_ORGANIZATION", &organization),
            ("SSM_SYNC_EXPORTER_HEALTH", "{max_success_age: 5s}"),
        ]))
    }

    /// The lines of `aws_ssm_managed_nodes_present` of all targets.
    fn present(&self, nodes: &Nodes<'_>) -> BTreeSet<String> {
        let targets = ACCOUNTS.iter().flat_map(|name| REGIONS.map(|region| (*name, region)));
        targets
            .map(|(name, region)| {
                let present = u8::from(nodes.get(&(name, region)).is_some_and(|number| *number > 0));
                let account = self.account(name);
                format!(
                    "aws_ssm_managed_nodes_present{{aws_account_id=\"{account}\",aws_region=\"{region}\"}} {present}"
                )
            })
            .collect()
    }

    /// Waits until the metrics have exactly these nodes, and exactly the syncs of these accounts are stale.
    async fn wait_for(&self, running: &ExporterProcess, nodes: &Nodes<'_>, stale: &[&str]) -> Scrape {
        let present = self.present(nodes);
        let stale: BTreeSet<&str> = stale.iter().map(|name| self.account(name)).collect();
        let is_reached = |metrics: &str| {
            let stale_lines = metrics.lines().filter(|line| line.contains("health=\"stale\""));
            let found: BTreeSet<&str> = stale_lines.filter_map(|line| line.split('"').nth(1)).collect();
            lines(metrics, "aws_ssm_managed_nodes_present") == present && found == stale
        };
        let what = format!("{present:#?} and stale syncs of {stale:?}");
        Scrape(running.metrics_when(&what, is_reached).await)
    }
}

/// The samples of a family.
fn lines(metrics: &str, family: &str) -> BTreeSet<String> {
    let start = format!("{family}{{");
    metrics.lines().filter(|line| line.starts_with(&start)).map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn managed_nodes_decide_which_old_syncs_are_stale_on_moto_as_on_the_fake_aws() {
    let aws = Both::start().await;
    // More than a page of nodes, a single node, and nodes in a region without syncs.
    let before = Nodes::from([
        (("application", "eu-west-1"), 6),
        (("rooted", "eu-west-1"), 1),
        (("sandbox", "eu-north-1"), 1),
    ]);
    aws.set_nodes(&before).await;
    let (on_moto, on_fake) = (aws.run(true), aws.run(false));
    let scrapes = [
        aws.wait_for(&on_moto, &before, &["application", "rooted"]).await,
        aws.wait_for(&on_fake, &before, &["application", "rooted"]).await,
    ];
    for scrape in &scrapes {
        assert_eq!(scrape.values("aws_ssm_managed_nodes_last_checked_timestamp_seconds").len(), 12);
        assert_eq!(scrape.samples("ssm_sync_exporter_managed_nodes_down_reason"), "");
    }

    // The node of `rooted` stays, those of `application` are removed, and `database` gets its first.
    let changes = Nodes::from([(("application", "eu-west-1"), 0), (("database", "eu-west-1"), 1)]);
    aws.set_nodes(&changes).await;
    let mut after = before;
    after.extend(changes);
    let on_moto = aws.wait_for(&on_moto, &after, &["database", "rooted"]).await;
    let on_fake = aws.wait_for(&on_fake, &after, &["database", "rooted"]).await;
    for family in [
        "aws_ssm_resource_data_syncs_by_health",
        "ssm_sync_exporter_target_health",
        "ssm_sync_exporter_target_info",
    ] {
        let found = lines(&on_moto.0, family);
        assert!(!found.is_empty(), "{family}");
        assert_eq!(found, lines(&on_fake.0, family));
    }
}
