//! Tests the program with an independent implementation of AWS Organizations: moto serves
//! STS and Organizations, and fake-aws serves SSM and the account API.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use fake_aws::{FakeAws, SyncKind, World};
use pretty_assertions::assert_eq;
use serde::Deserialize;
use serde_json::json;

use crate::exporter::Scrape;
use crate::process::{ExporterProcess, program};
use crate::tools;

/// The management account of moto's organization.
pub(crate) const MANAGEMENT: &str = "123456789012";

/// The European regions that are always enabled.
const REGIONS: [&str; 5] = ["eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"];

/// The output of `tests/python/moto_organization.py`.
#[derive(Deserialize)]
pub(crate) struct Organization {
    pub(crate) url: String,
    pub(crate) units: BTreeMap<String, String>,
    pub(crate) accounts: BTreeMap<String, String>,
}

/// A moto process with an organization. Dropping it ends the process.
pub(crate) struct Moto {
    pub(crate) organization: Organization,
    _process: tools::KillOnDrop,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Also serves SSM: moto lists its EC2 instances as managed nodes, and forwards lists of syncs to this
    /// fake-aws.
    pub(crate) async fn with_ssm(fake: &FakeAws) -> Self {
        Self::start_with(&[fake.url()]).await
    }

    async fn start_with(arguments: &[String]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/moto_organization.py");
        let mut python = tools::python();
        python.arg(script).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (process, line) = tokio::task::spawn_blocking(move || {
            let mut moto = tools::KillOnDrop(python.spawn().unwrap());
            let mut line = String::new();
            BufReader::new(moto.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            (moto, line)
        })
        .await
        .unwrap();
        let organization = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { organization, _process: process }
    }
}

/// moto with an organization, and fake-aws with a sync in each account.
struct Aws {
    moto: Moto,
    fake: FakeAws,
}

impl Aws {
    async fn start() -> Self {
        let moto = Moto::start().await;
        let world = World::new();
        world.trust_foreign_keys(true);
        for (name, account) in &moto.organization.accounts {
            world.add_account(account);
            let sync = json!({"SyncName": format!("of-{name}"), "LastStatus": "Successful"});
            world.put_item(account, "eu-west-1", SyncKind::ToDestination, sync);
        }
        world.add_account(MANAGEMENT);
        let fake = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
        Self { moto, fake }
    }

    /// Runs the program with these keys in the section `organization`. Scrapes it once this
    /// many accounts are up in all regions.
    async fn scrape(&self, keys: &str, accounts: usize) -> Scrape {
        let all_are_up = |metrics: &str| {
            let up = Scrape(metrics.to_owned()).values("ssm_sync_exporter_target_up");
            up.len() == accounts * REGIONS.len() && up.iter().all(|up| *up == 1.0)
        };
        let running = self.run(keys, &[]);
        Scrape(running.metrics_when(&format!("{accounts} accounts that are up"), all_are_up).await)
    }

    /// Runs the program with these keys in the section `organization` and with further environment
    /// variables.
    fn run(&self, keys: &str, environment: &[(&str, &str)]) -> ExporterProcess {
        let organization =
            format!("{{member_role: 'arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter', {keys}}}");
        let (moto, fake) = (&self.moto.organization.url, self.fake.url());
        let mut program = program();
        program.envs([
            ("AWS_ACCESS_KEY_ID", "AKIAMOTO"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_ENDPOINT_URL_STS", moto),
            ("AWS_ENDPOINT_URL_ORGANIZATIONS", moto),
            ("AWS_ENDPOINT_URL_SSM", &fake),
            ("AWS_ENDPOINT_URL_ACCOUNT", &fake),
            ("SSM_SYNC_EXPORTER_INTERVAL", "1s"),
            ("SSM_SYNC_EXPORTER_REGIONS", "['eu-*']"),
            ("SSM_SYNC_EXPORTER_ORGANIZATION", &organization),
        ]);
        ExporterProcess::start(program.envs(environment.iter().copied()))
    }

    /// The `target_info` lines of these accounts.
    fn targets(&self, names: &[&str]) -> BTreeSet<String> {
        let info = |(name, region): (&&str, &str)| {
            let account = &self.moto.organization.accounts[*name];
            format!(
                "ssm_sync_exporter_target_info{{aws_account_id=\"{account}\",aws_region=\"{region}\",account_name=\"{name}\",partition=\"aws\"}} 1"
            )
        };
        names.iter().flat_map(|name| REGIONS.map(|region| (name, region))).map(info).collect()
    }
}

fn lines(scrape: &Scrape, family: &str) -> BTreeSet<String> {
    scrape.samples(&format!("{family}{{")).lines().map(ToOwned::to_owned).collect()
}

/// The names of all syncs in a scrape.
fn syncs(scrape: &Scrape) -> BTreeSet<&str> {
    scrape.0.split("sync_name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn only_accounts_below_the_organizational_unit_are_polled_with_moto() {
    let aws = Aws::start().await;
    let keys = format!("organizational_units: [{}]", aws.moto.organization.units["outer"]);
    let scrape = aws.scrape(&keys, 2).await;
    assert_eq!(lines(&scrape, "ssm_sync_exporter_target_info"), aws.targets(&["application", "database"]));
    assert_eq!(syncs(&scrape), ["of-application", "of-database"].into());
    for absent in ["closed", "sandbox", "rooted"] {
        assert!(!scrape.0.contains(&aws.moto.organization.accounts[absent]), "{absent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn all_active_accounts_of_the_organization_are_polled_with_moto() {
    let aws = Aws::start().await;
    let scrape = aws.scrape(&format!("exclude_accounts: ['{MANAGEMENT}']"), 4).await;
    let all = ["application", "database", "rooted", "sandbox"];
    assert_eq!(lines(&scrape, "ssm_sync_exporter_target_info"), aws.targets(&all));
    assert_eq!(syncs(&scrape), ["of-application", "of-database", "of-rooted", "of-sandbox"].into());
    assert!(!scrape.0.contains(MANAGEMENT) && !scrape.0.contains(&aws.moto.organization.accounts["closed"]));
    assert!(scrape.has("ssm_sync_exporter_discovery_failures_total{kind=\"organization\"} 0"));
    assert!(scrape.has("ssm_sync_exporter_discovery_failures_total{kind=\"regions\"} 0"));
    assert_eq!(scrape.samples("ssm_sync_exporter_api_request_failures_total"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn expectations_select_the_accounts_of_nested_units_with_moto() {
    let aws = Aws::start().await;
    let expectations = ["outer", "inner", "beside"].map(|unit| {
        let id = &aws.moto.organization.units[unit];
        format!("{{name: {unit}, organizational_units: [{id}], regions: [eu-west-1], request: {{SyncName: 'of-*'}}}}")
    });
    let expectations = format!("[{}]", expectations.join(", "));
    let running = aws.run(
        &format!("exclude_accounts: ['{MANAGEMENT}']"),
        &[("SSM_SYNC_EXPORTER_EXPECTATIONS", &expectations)],
    );
    let met = |unit: &str, number: u8| {
        format!("ssm_sync_exporter_expectation_targets{{expectation=\"{unit}\",state=\"met\"}} {number}")
    };
    // `inner` is below `outer`. The account that is closed is not polled.
    let expected = [met("outer", 2), met("inner", 1), met("beside", 1)];
    let all_are_met = |metrics: &str| expected.iter().all(|line| Scrape(metrics.to_owned()).has(line));
    let scrape = Scrape(running.metrics_when("expectations that are met", all_are_met).await);
    let judged: BTreeSet<String> = lines(&scrape, "ssm_sync_exporter_expectation_met")
        .iter()
        .map(|line| line.rsplit("expectation=").next().unwrap().to_owned())
        .collect();
    assert_eq!(judged, ["\"beside\"} 1", "\"inner\"} 1", "\"outer\"} 1"].map(ToOwned::to_owned).into());
    let unselected = &aws.moto.organization.accounts["rooted"];
    assert!(!scrape.samples("ssm_sync_exporter_expectation_met{").contains(unselected));
}
