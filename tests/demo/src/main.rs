//! A demo: runs the exporter against a fake AWS with a small organization.
//!
//! `cargo run --package demo [ADDRESS]` needs no AWS account and no other software. The exporter
//! listens on 127.0.0.1:10144, or on a free port if that one is in use, until it is interrupted.
//! `SSM_SYNC_EXPORTER_METRICS` and the variables that begin like it change `metrics` in its
//! configuration.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use fake_aws::{FakeAws, Fault, FaultRule, RunSchedule, SyncKind, World};
use serde_json::{Value, json};
use ssm_sync_exporter::app::{App, Options};
use ssm_sync_exporter::clock::Clock;
use ssm_sync_exporter::config::Config;
use ssm_sync_exporter::logging::{Log, Verbosity};
use ssm_sync_exporter::signals::Signals;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const HUB: &str = "999900000000";
const ROLE: &str = "SsmSyncExporter";

/// The ids and names of the accounts of the organization.
const ACCOUNTS: [(&str, &str); 5] = [
    ("111122223333", "production"),
    ("222233334444", "staging"),
    ("333344445555", "security"),
    ("444455556666", "data"),
    ("555566667777", "sandbox"),
];

/// An account outside the organization, without a name.
const STANDALONE: &str = "666677778888";

/// The account and region without managed nodes.
const IDLE: (&str, &str) = ("444455556666", "eu-central-1");

const REGIONS: [&str; 3] = ["eu-west-1", "eu-central-1", "us-east-1"];

/// What should be there. `org-inventory` is violated in two ways: one sync is missing, and one has another
/// bucket and prefix. The others are met.
const EXPECTATIONS: &str = "\
expectations:
  - name: org-inventory
    request:
      SyncName: org-inventory
      SyncType: SyncToDestination
      S3Destination:
        BucketName: org-inventory
        Prefix: inventory
        SyncFormat: JsonSerDe
        Region: eu-west-1
        DestinationDataSharing: {DestinationDataSharingType: Organization}
  - name: explorer
    accounts: [production]
    regions: [eu-west-1]
    request:
      SyncName: AWS-QuickSetup-SSM-explorer
      SyncType: SyncFromSource
      SyncSource:
        SourceType: AwsOrganizations
        SourceRegions: [eu-west-1, eu-central-1, us-east-1]
        EnableAllOpsDataSources: false
  - name: only-shared-in-europe
    managed_by: [customer]
    presence: allowed
    request:
      SyncType: SyncToDestination
      S3Destination:
        Region: eu-*
        DestinationDataSharing: {DestinationDataSharingType: Organization}
";

/// The environment variables that change the configuration. Cargo sets others with the same prefix.
fn settings() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SSM_SYNC_EXPORTER_METRICS"))
}

const USAGE: &str = "\
Runs the exporter against a fake AWS with a small organization.

Usage: demo [ADDRESS]

ADDRESS is a host and a port to listen on. By default, it is 127.0.0.1:10144, or
a free port if that one is in use.
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let ended = match arguments.iter().filter_map(|argument| argument.to_str()).collect::<Vec<_>>()[..] {
        ["--help" | "-h"] => std::io::stdout().write_all(USAGE.as_bytes()).map_err(Into::into),
        [] => run(&free_address()).await,
        [address] if !address.starts_with('-') => run(address).await,
        _ => Err(anyhow::anyhow!("expected an address or no argument; see --help")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _written = writeln!(std::io::stderr(), "demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo until a signal ends it.
async fn run(address: &str) -> anyhow::Result<()> {
    let address = address.parse()?;
    let log = Log::new(Clock::system());
    log.start(std::io::stderr())?;
    log.subscribe(Verbosity::Info)?;
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    // Without a receiver of reloads, SIGHUP ends the demo, as it should when its terminal is closed. It may be closed
    // at any time from here on.
    let (reloads, _) = mpsc::channel(1);
    tasks.spawn(Signals::install()?.handle(shutdown.clone(), CancellationToken::new(), reloads));
    let aws = FakeAws::start(organization()?, "127.0.0.1:0").await.context("cannot start the fake AWS")?;
    let directory = tempfile::tempdir()?;
    let config = Config::load(Some(&configure(&aws, directory.path())?), settings())?;

    let options = Options { enable_lifecycle: true, log_counters: log.counters(), ..Options::new(address) };
    let app = Box::pin(App::build(config, options, Clock::system())).await?;
    let url =
        format!("http://{}", app.local_addresses().first().context("the exporter has no listening address")?);

    // The demo goes on without its instructions, for example if they are piped to `head`.
    let _written = std::io::stdout().write_all(instructions(&url).as_bytes());
    app.run(shutdown).await?;
    log.finish(Duration::from_millis(500));
    Ok(())
}

/// What to look at while the demo runs.
fn instructions(url: &str) -> String {
    let problems = [
        ("'sync_problem{'", "syncs that failed, are stale or stuck, or have a faulty source"),
        ("'target_down_reason{'", "an account that cannot be polled"),
        ("'data_syncs{.*} 5'", "an account that has used up its quota"),
        ("'cost_risk{'", "a sync whose settings can cause unexpected costs"),
        ("'expectation_violation{'", "a sync that is missing, and one in the wrong place"),
        ("'managed_nodes_down_reason{'", "an account whose managed nodes cannot be looked up"),
    ]
    .map(|(pattern, problem)| format!("  # {problem}\n  curl -s {url}/metrics | grep {pattern}\n"))
    .concat();
    format!(
        "\nThe exporter polls a fake AWS every 5 seconds: an organization of {} accounts\n\
         in {} regions, and one account outside it.\n\n\
         \x20 {url}/         status page\n\
         \x20 {url}/metrics  metrics for Prometheus\n\n\
         The demo has these problems to look at:\n\n\
         {problems}\n\
         Press Ctrl-C to stop the demo. The log follows; its warnings are about the account that\n\
         cannot be polled, and about the one whose managed nodes cannot be looked up.\n\n",
        ACCOUNTS.len(),
        REGIONS.len(),
    )
}

/// The exporter's default port on localhost, or a free port if it is in use.
fn free_address() -> String {
    let default = "127.0.0.1:10144";
    if TcpListener::bind(default).is_ok() { default.to_owned() } else { "127.0.0.1:0".to_owned() }
}

/// Writes the configuration and the credentials of the exporter to `directory`. Returns the path
/// of the configuration.
fn configure(aws: &FakeAws, directory: &Path) -> anyhow::Result<std::path::PathBuf> {
    let (profiles, credentials) = (directory.join("profiles"), directory.join("credentials"));
    std::fs::write(&profiles, "")?;
    let key = World::access_key(HUB);
    std::fs::write(
        &credentials,
        format!("[demo]\naws_access_key_id = {key}\naws_secret_access_key = demo\n"),
    )?;

    let text = format!(
        "interval: 5s\ntimeout: 5s\nmanaged_nodes: {{enabled: true, interval: 1m}}\nregions: [{}]\naws:\n  endpoint_url: {}\n  shared_config_file: '{}'\n  \
         shared_credentials_file: '{}'\norganization:\n  profile: demo\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  exclude_accounts: ['{HUB}']\naccounts:\n  - profile: demo\n    regions: [eu-west-1]\n    \
         assume_roles:\n      - arn: arn:aws:iam::{STANDALONE}:role/{ROLE}\n{EXPECTATIONS}",
        REGIONS.join(", "),
        aws.url(),
        profiles.display(),
        credentials.display(),
    );
    let file = directory.join("config.yaml");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Creates accounts with mostly healthy syncs, and one example of each kind of problem.
fn organization() -> anyhow::Result<Arc<World>> {
    let world = World::new();
    world.set_run_schedule(RunSchedule {
        duration: Duration::from_secs(3),
        interval: Duration::from_secs(30),
    });
    world.create_organization(HUB);
    for (id, name) in ACCOUNTS {
        world.add_member(id, name, "r-fake");
        if name == "sandbox" {
            world.add_denied_role(id, ROLE);
            continue;
        }
        world.add_role(id, ROLE, None);
        for region in REGIONS {
            let (bucket, prefix) = match (name, region) {
                ("security", "us-east-1") => ("old-inventory", "security"),
                _ => ("org-inventory", "inventory"),
            };
            let request = json!({
                "SyncName": "org-inventory",
                "S3Destination": {
                    "BucketName": bucket, "Prefix": prefix, "SyncFormat": "JsonSerDe", "Region": "eu-west-1",
                    "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
                },
            });
            world.create_sync(id, region, &request).map_err(anyhow::Error::msg)?;
        }
    }
    let explorer = json!({
        "SyncName": "AWS-QuickSetup-SSM-explorer",
        "SyncType": "SyncFromSource",
        "SyncSource": {
            "SourceType": "AwsOrganizations",
            "AwsOrganizationsSource": {"OrganizationSourceType": "EntireOrganization"},
            "SourceRegions": REGIONS, "IncludeFutureRegions": true, "EnableAllOpsDataSources": false,
        },
    });
    world.create_sync("111122223333", "eu-west-1", &explorer).map_err(anyhow::Error::msg)?;

    let put = |account, region, item| world.put_item(account, region, SyncKind::ToDestination, item);
    put(
        "222233334444",
        "eu-west-1",
        json!({
            "SyncName": "patch-compliance", "S3Destination": bucket("staging-patch-compliance"),
            "LastStatus": "Failed", "LastSyncTime": ago(60.0), "LastSuccessfulSyncTime": ago(26.0 * 3600.0),
            "LastSyncStatusMessage": "The bucket policy does not allow ssm.amazonaws.com to call s3:PutObject",
            "SyncCreatedTime": ago(200.0 * 86400.0),
        }),
    );
    put(
        "333344445555",
        "eu-central-1",
        json!({
            "SyncName": "InspectorResourceDataSync-do-not-delete", "S3Destination": bucket("inspector-inventory"),
            "LastStatus": "Successful", "LastSyncTime": ago(9.0 * 86400.0), "LastSuccessfulSyncTime": ago(9.0 * 86400.0),
            "SyncCreatedTime": ago(400.0 * 86400.0),
        }),
    );
    put(
        "444455556666",
        "us-east-1",
        json!({
            "SyncName": "license-manager-sync", "S3Destination": bucket("licences"),
            "LastStatus": "InProgress", "LastSyncTime": ago(3.0 * 3600.0),
            "SyncCreatedTime": ago(3.0 * 3600.0),
        }),
    );
    world.put_item(
        "444455556666",
        "eu-west-1",
        SyncKind::FromSource,
        json!({
            "SyncName": "closed-units", "SyncType": "SyncFromSource",
            "SyncSource": {
                "SourceType": "AwsOrganizations",
                "AwsOrganizationsSource": {
                    "OrganizationSourceType": "OrganizationalUnits",
                    "OrganizationalUnits": [{"OrganizationalUnitId": "ou-fake-11111111"}],
                },
                "SourceRegions": ["eu-west-1"], "IncludeFutureRegions": false, "State": "InvalidOrganizationalUnit",
            },
            "SyncCreatedTime": ago(300.0 * 86400.0), "SyncLastModifiedTime": ago(90.0 * 86400.0),
        }),
    );
    world.add_role(STANDALONE, ROLE, None);
    fill_quota(&world);
    add_managed_nodes(&world);
    Ok(world)
}

/// Adds managed nodes everywhere except in one account and region, whose old sync is healthy for that reason. The role
/// in `production` does not allow managed-node lookups.
fn add_managed_nodes(world: &World) {
    world.set_default_managed_nodes(3);
    let (account, region) = IDLE;
    world.set_managed_nodes(account, region, 0);
    let item = json!({
        "SyncName": "patch-inventory", "S3Destination": bucket("data-patches"),
        "LastStatus": "Successful", "LastSyncTime": ago(20.0 * 86400.0), "LastSuccessfulSyncTime": ago(20.0 * 86400.0),
        "SyncCreatedTime": ago(90.0 * 86400.0),
    });
    world.put_item(account, region, SyncKind::ToDestination, item);
    let denied = FaultRule::new(Fault::Deny).account("111122223333").operation("DescribeInstanceInformation");
    world.set_faults(vec![denied]);
}

/// Uses up the quota of syncs of the standalone account, mostly with syncs that AWS services create.
fn fill_quota(world: &World) {
    for name in [
        "InspectorResourceDataSync-do-not-delete",
        "license-manager-default-sync",
        "license-manager-usage-sync",
        "AWS-QuickSetup-inventory",
        "inventory",
    ] {
        let mut destination = bucket(&format!("{name}-{STANDALONE}").to_lowercase());
        if name == "inventory" {
            destination["AWSKMSKeyARN"] = json!(format!("arn:aws:kms:eu-west-1:{STANDALONE}:key/demo"));
        }
        let item = json!({
            "SyncName": name, "S3Destination": destination,
            "LastStatus": "Successful", "LastSyncTime": ago(3600.0), "LastSuccessfulSyncTime": ago(3600.0),
            "SyncCreatedTime": ago(30.0 * 86400.0),
        });
        world.put_item(STANDALONE, "eu-west-1", SyncKind::ToDestination, item);
    }
}

fn bucket(name: &str) -> Value {
    json!({"BucketName": name, "SyncFormat": "JsonSerDe", "Region": "eu-west-1"})
}

/// The Unix time that was `seconds` ago.
#[expect(clippy::disallowed_methods, reason = "the demo's times must be recent")]
fn ago(seconds: f64) -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64().floor()
        - seconds
}
