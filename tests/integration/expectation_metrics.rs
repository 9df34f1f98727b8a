//! The metrics about expectations: their exact text, how they follow collections, discovery and
//! reloads, and how they can be left out.

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::deploy::text;
use crate::exporter::{
    ACCOUNT, Exporter, REGION, ROLE, Scrape, Setup, fake_aws, fake_organization, one_target, put_sync,
};

const PREFIX: &str = "ssm_sync_exporter_expectation_";

/// The configuration of a single target that is collected only once during a test.
fn collected_once(rest: &str) -> String {
    format!("{}{rest}", one_target().replace("interval: 1s", "interval: 1h"))
}

/// An expectation that a sync `inventory` is there, with these further keys.
fn inventory(keys: &str) -> String {
    format!(
        "expectations:\n  - {{name: inventory, request: {{SyncName: inventory, SyncType: SyncToDestination}}{keys}}}\n"
    )
}

async fn start_reloadable(aws: &FakeAws, config: &str) -> Exporter {
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(aws, config, &setup).await;
    exporter.wait_until_ready().await;
    exporter
}

/// The number of targets in each state that the expectation `inventory` is about: met, missing, drifted,
/// forbidden, unknown.
fn states(scrape: &Scrape) -> [f64; 5] {
    let states = scrape.samples(&format!("{PREFIX}targets{{expectation=\"inventory\""));
    let values: Vec<f64> =
        states.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    values.try_into().unwrap_or_else(|_| panic!("{states}"))
}

async fn wait_for_states(exporter: &Exporter, expected: [f64; 5]) -> Scrape {
    let scrape = async || Some(exporter.scrape().await).filter(|scrape| states(scrape) == expected);
    exporter.wait_for(&format!("{expected:?}"), scrape).await
}

/// `tests/golden/expectations.prom` has the families of one scrape, with comments.
#[tokio::test]
async fn the_families_are_exactly_those_of_the_golden_file() {
    let aws = fake_aws().await;
    let destination = |bucket: &str| json!({"BucketName": bucket, "SyncFormat": "JsonSerDe", "Region": "eu-west-1", "Prefix": "a \"b\""});
    for (name, bucket) in [("inventory", "org-inventory"), ("say \"hi\"", "elsewhere")] {
        let item = json!({"SyncName": name, "S3Destination": destination(bucket)});
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    let faults = FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync");
    aws.world().set_faults(vec![faults]);
    let expectations = "\
expectations:
  - name: met
    regions: [eu-*]
    request:
      SyncName: inventory
      SyncType: SyncToDestination
      S3Destination:
        BucketName: org-inventory
        DestinationDataSharing: {DestinationDataSharingType: Organization}
  - name: drifted
    presence: allowed
    request:
      SyncType: SyncToDestination
      S3Destination: {BucketName: 'org-*', Prefix: null}
  - name: missing
    request: {SyncName: 'explorer-{region}', SyncType: SyncFromSource}
  - name: none-would-do
    request: {SyncName: [patches, 'compliance-*'], SyncType: SyncToDestination}
  - name: forbidden
    presence: forbidden
    request: {SyncType: SyncToDestination, S3Destination: {BucketName: elsewhere}}
  - name: about-nothing
    accounts: [producton]
    request: {SyncType: SyncToDestination}
";
    let config =
        collected_once(expectations).replace(&format!("[{REGION}]"), &format!("[{REGION}, us-east-1]"));
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    let is_ours = |line: &&str| line.contains(PREFIX);
    let shown: Vec<&str> = scrape.0.lines().filter(is_ours).collect();
    let golden = text("tests/golden/expectations.prom");
    assert_eq!(shown, golden.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reload_judges_the_collected_syncs_without_calls_to_aws() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory"}));
    let exporter = start_reloadable(&aws, &collected_once("")).await;
    assert_eq!(exporter.scrape().await.samples(PREFIX), "");
    assert_eq!(exporter.reload(&collected_once(&inventory(""))).await.status, 200);
    assert_eq!(states(&exporter.scrape().await), [1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(exporter.reload(&collected_once(&inventory(", presence: forbidden"))).await.status, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(states(&scrape), [0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(scrape.values(&format!("{PREFIX}met")), [0.0]);
    assert_eq!(scrape.values(&format!("{PREFIX}violation")), [1.0]);
    assert_eq!(exporter.reload(&collected_once("")).await.status, 200);
    assert_eq!(exporter.scrape().await.samples(PREFIX), "");
    assert_eq!(aws.world().calls("ListResourceDataSync"), 2, "one for each sync type");
}

#[tokio::test]
async fn the_metrics_follow_what_happens_to_a_sync() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &format!("{}{}", one_target(), inventory(""))).await;
    let scrape = wait_for_states(&exporter, [0.0, 1.0, 0.0, 0.0, 0.0]).await;
    assert_eq!(
        scrape.samples(&format!("{PREFIX}violation")),
        format!(
            "{PREFIX}violation{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",sync_type=\"SyncToDestination\",\
             sync_name=\"inventory\",expectation=\"inventory\",field=\"presence\"}} 1\n"
        )
    );
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "inventory"}));
    let scrape = wait_for_states(&exporter, [1.0, 0.0, 0.0, 0.0, 0.0]).await;
    assert_eq!(scrape.samples(&format!("{PREFIX}violation")), "");
    // The target goes down. Its last good syncs count until `stale_after` has passed.
    aws.world().clear_syncs(ACCOUNT, REGION);
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListResourceDataSync")]);
    let scrape = exporter.scrape_after_next_collection().await;
    assert_eq!(states(&scrape), [1.0, 0.0, 0.0, 0.0, 0.0]);
    exporter.set_clock(1801);
    let scrape = wait_for_states(&exporter, [0.0, 0.0, 0.0, 0.0, 1.0]).await;
    assert_eq!(scrape.samples(&format!("{PREFIX}met")), "");
    assert_eq!(
        scrape.samples(&format!("{PREFIX}violation")),
        "",
        "nothing is missing where nothing is known"
    );
}

#[tokio::test]
async fn an_expectation_follows_the_names_of_accounts_without_a_collection() {
    let aws = fake_organization().await;
    let world = aws.world();
    let config = format!(
        "interval: 1h\nregions: [{REGION}]\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  exclude_accounts: ['999900000000']\n  refresh_interval: 1s\n{}",
        inventory(", accounts: [prod*]")
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    wait_for_states(&exporter, [0.0, 1.0, 0.0, 0.0, 0.0]).await;
    world.add_member(ACCOUNT, "sandbox", "r-fake");
    let scrape = wait_for_states(&exporter, [0.0; 5]).await;
    assert_eq!(scrape.samples(&format!("{PREFIX}violation")), "");
    world.add_member(ACCOUNT, "product", "r-fake");
    wait_for_states(&exporter, [0.0, 1.0, 0.0, 0.0, 0.0]).await;
    assert_eq!(world.calls_of(ACCOUNT, REGION, "ListResourceDataSync"), 2, "one for each sync type");
}

#[tokio::test]
async fn families_can_be_disabled_collected_and_excluded() {
    let aws = fake_aws().await;
    let families = async |exporter: &Exporter, path: &str| {
        let body = exporter.get(path).await.body;
        let names = body.lines().filter_map(|line| line.strip_prefix(&format!("# TYPE {PREFIX}")));
        names.map(|line| line.split_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let expectations = "expectations:\n  - {name: a, request: {SyncName: a, SyncType: SyncToDestination, \
                        S3Destination: {BucketName: b}}}\n";
    let exporter = Exporter::start_ready(&aws, &collected_once(expectations)).await;
    assert_eq!(families(&exporter, "/metrics").await, ["met", "targets", "unverified", "violation"]);
    for family in ["met", "targets", "unverified", "violation"] {
        assert_eq!(families(&exporter, &format!("/metrics?collect[]={PREFIX}{family}")).await, [family]);
    }
    let path = format!("/metrics?exclude[]={PREFIX}met&exclude[]={PREFIX}targets");
    assert_eq!(families(&exporter, &path).await, ["unverified", "violation"]);

    let disable = format!("metrics: {{disable: [{PREFIX}targets, {PREFIX}met]}}\n");
    let exporter = Exporter::start_ready(&aws, &collected_once(&format!("{disable}{expectations}"))).await;
    assert_eq!(families(&exporter, "/metrics").await, ["unverified", "violation"]);
    assert_eq!(exporter.get(&format!("/metrics?collect[]={PREFIX}targets")).await.status, 400);
}
