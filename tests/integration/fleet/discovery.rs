//! Tests which accounts and regions are polled.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use fake_aws::{FakeAws, Fault, FaultRule, World};
use pretty_assertions::assert_eq;
use ssm_sync_exporter::fleet::Shard;

use super::{
    ACCOUNTS, EXCLUDED, FAULTY_ACCOUNT, REGIONS, TARGET_COUNT, TargetLabels, add_member_with_role,
    assert_no_overruns, by_target, config, config_without_regions, label, nothing_faulty, organization,
    wait_until_up,
};
use crate::exporter::{Exporter, HUB, ROLE, Scrape, Setup};

/// The European regions that are always enabled.
const EUROPE: [&str; 5] = ["eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"];

/// All targets of a scrape.
fn targets(scrape: &Scrape) -> BTreeSet<TargetLabels> {
    by_target(scrape, "ssm_sync_exporter_target_info").into_keys().collect()
}

/// The ids and names of all accounts of a scrape.
fn accounts(scrape: &Scrape) -> BTreeSet<(String, String)> {
    let infos =
        scrape.series().into_iter().filter(|series| series.starts_with("ssm_sync_exporter_target_info"));
    infos
        .map(|series| (label(series, "aws_account_id").to_owned(), label(series, "account_name").to_owned()))
        .collect()
}

/// The regions of an account in a scrape.
fn regions_of(scrape: &Scrape, account: &str) -> Vec<String> {
    targets(scrape).into_iter().filter(|(of, _)| of == account).map(|(_, region)| region).collect()
}

#[tokio::test]
async fn accounts_of_the_organization_are_polled_except_the_excluded_one() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let scrape = wait_until_up(&exporter, TARGET_COUNT).await;
    let expected = ACCOUNTS.map(|(account, name)| (account.to_owned(), name.to_owned()));
    assert_eq!(accounts(&scrape), expected.into());
    assert!(aws.world().assumed_roles().iter().all(|assumed| !assumed.role.contains(EXCLUDED)));
}

#[tokio::test]
async fn only_active_accounts_below_the_organizational_unit_are_polled() {
    let world = World::new();
    world.create_organization(HUB);
    for (unit, parent) in [
        ("ou-fake-00000001", "r-fake"),
        ("ou-fake-00000002", "ou-fake-00000001"),
        ("ou-fake-00000003", "ou-fake-00000002"),
        ("ou-fake-00000004", "r-fake"),
    ] {
        world.add_unit(unit, parent);
    }
    for (account, name, parent) in [
        ("100000000001", "upper", "ou-fake-00000001"),
        ("100000000002", "middle", "ou-fake-00000002"),
        ("100000000003", "lower", "ou-fake-00000003"),
        ("100000000004", "beside", "ou-fake-00000004"),
        ("100000000005", "above", "r-fake"),
        ("100000000006", "suspended by state", "ou-fake-00000001"),
        ("100000000007", "suspended by status", "ou-fake-00000002"),
        ("100000000008", "active by status", "ou-fake-00000003"),
        ("100000000009", "neither", "ou-fake-00000003"),
    ] {
        add_member_with_role(&world, account, name, parent);
    }
    world.set_account_state("100000000006", Some("SUSPENDED"), Some("ACTIVE"));
    world.set_account_state("100000000007", None, Some("SUSPENDED"));
    world.set_account_state("100000000008", None, Some("ACTIVE"));
    world.set_account_state("100000000009", None, None);
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let config = config().replace(EXCLUDED, FAULTY_ACCOUNT) + "  organizational_units: [ou-fake-00000001]\n";
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = wait_until_up(&exporter, 4 * REGIONS.len()).await;
    // The configuration excludes the account `middle`.
    let expected = [
        ("100000000001", "upper"),
        ("100000000003", "lower"),
        ("100000000008", "active by status"),
        ("100000000009", "neither"),
    ];
    let expected = expected.map(|(account, name)| (account.to_owned(), name.to_owned()));
    assert_eq!(accounts(&scrape), expected.into());
    assert_eq!(aws.world().calls("ListAccounts"), 0);
}

#[tokio::test]
async fn nested_organizational_units_yield_an_account_once() {
    let aws = organization().await;
    aws.world().add_unit("ou-fake-00000001", "r-fake");
    add_member_with_role(aws.world(), "100000000005", "below", "ou-fake-00000001");
    let config = config() + "  organizational_units: [r-fake, ou-fake-00000001]\n";
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = wait_until_up(&exporter, TARGET_COUNT + REGIONS.len()).await;
    assert_eq!(targets(&scrape).len(), TARGET_COUNT + REGIONS.len());
    let assumed = super::assumed_roles(aws.world());
    assert!(
        assumed.len() == ACCOUNTS.len() + 1 && assumed.values().all(|number| *number == 1),
        "{assumed:?}"
    );
}

#[tokio::test]
async fn configured_accounts_are_polled_while_an_organizational_unit_does_not_exist() {
    let aws = organization().await;
    let entry = format!(
        "accounts:\n  - {{name: by hand, profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{FAULTY_ACCOUNT}:role/{ROLE}'}}]}}\n"
    );
    let config = format!("{}  organizational_units: [ou-fake-00000001]\n{entry}", config());
    let exporter = Exporter::start(&aws, &config).await;
    wait_until_up(&exporter, REGIONS.len()).await;
    let failed = async || {
        let failures = exporter.scrape().await.sum("ssm_sync_exporter_discovery_failures_total");
        (failures >= 1.0).then_some(())
    };
    exporter.wait_for("a failure", failed).await;
    // The accounts of the organization are still pending.
    let ready = exporter.get("/-/ready").await;
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (
            503,
            "not ready: 0 of 3 targets have not had their first collection; discovery is still in progress, so there may be more targets\n"
        )
    );
    aws.world().add_unit("ou-fake-00000001", "r-fake");
    add_member_with_role(aws.world(), "100000000005", "below", "ou-fake-00000001");
    wait_until_up(&exporter, 2 * REGIONS.len()).await;
}

#[tokio::test]
async fn a_configured_account_overrides_that_of_the_organization() {
    let aws = organization().await;
    let entry = format!(
        "accounts:\n  - profile: hub\n    assume_roles: [{{arn: 'arn:aws:iam::{FAULTY_ACCOUNT}:role/{ROLE}'}}]\n    regions: \
         [sa-east-1, eu-west-1]\n"
    );
    let exporter = Exporter::start_ready(&aws, &(config() + &entry)).await;
    let scrape = wait_until_up(&exporter, TARGET_COUNT - REGIONS.len() + 2).await;
    assert_eq!(regions_of(&scrape, FAULTY_ACCOUNT), ["eu-west-1", "sa-east-1"]);
    // The entry has no name, so the organization's is used.
    assert!(accounts(&scrape).contains(&(FAULTY_ACCOUNT.to_owned(), "staging".to_owned())));
    assert_eq!(super::assumed_roles(aws.world())[&format!("arn:aws:iam::{FAULTY_ACCOUNT}:role/{ROLE}")], 1);
    assert_no_overruns(&exporter, nothing_faulty).await;
    assert_eq!(aws.world().calls_of(FAULTY_ACCOUNT, "us-east-1", "ListResourceDataSync"), 0);
}

#[tokio::test]
async fn wildcards_match_the_regions_that_an_account_has_enabled() {
    let aws = organization().await;
    aws.world().set_region("100000000001", "eu-south-2", "ENABLED");
    aws.world().set_region("100000000001", "eu-central-2", "DISABLING");
    let config = format!("regions: ['eu-*', me-south-1]\nrefresh_interval: 1s\n{}", config_without_regions());
    let exporter = Exporter::start_ready(&aws, &config).await;
    let regions_per_account = EUROPE.len() + 1;
    let scrape = wait_until_up(&exporter, ACCOUNTS.len() * regions_per_account + 1).await;
    let mut expected = [EUROPE.as_slice(), &["me-south-1"]].concat();
    assert_eq!(regions_of(&scrape, FAULTY_ACCOUNT), expected, "named regions are polled, enabled or not");
    expected.insert(2, "eu-south-2");
    assert_eq!(regions_of(&scrape, "100000000001"), expected);
    assert_eq!(aws.world().calls_of(FAULTY_ACCOUNT, "us-east-1", "ListResourceDataSync"), 0);

    aws.world().set_region(FAULTY_ACCOUNT, "eu-south-1", "ENABLED");
    let scrape = wait_until_up(&exporter, ACCOUNTS.len() * regions_per_account + 2).await;
    assert!(regions_of(&scrape, FAULTY_ACCOUNT).contains(&"eu-south-1".to_owned()));

    aws.world().set_region(FAULTY_ACCOUNT, "eu-south-1", "DISABLING");
    let scrape = wait_until_up(&exporter, ACCOUNTS.len() * regions_per_account + 1).await;
    assert!(!scrape.0.contains("eu-south-1"));
}

#[tokio::test]
async fn an_account_whose_regions_cannot_be_listed_is_polled_in_those_always_enabled() {
    let aws = organization().await;
    aws.world().set_region(FAULTY_ACCOUNT, "eu-south-1", "ENABLED");
    aws.world()
        .set_faults(vec![FaultRule::new(Fault::Deny).account(FAULTY_ACCOUNT).operation("ListRegions")]);
    let config = format!("regions: ['eu-*']\nrefresh_interval: 1s\n{}", config_without_regions());
    let exporter = Exporter::start_ready(&aws, &config).await;
    let all = ACCOUNTS.len() * EUROPE.len();
    let scrape = wait_until_up(&exporter, all).await;
    assert_eq!(regions_of(&scrape, FAULTY_ACCOUNT), EUROPE);
    assert!(scrape.0.contains("ssm_sync_exporter_discovery_failures_total{kind=\"regions\"} "));
    assert!(scrape.sum("ssm_sync_exporter_discovery_failures_total") >= 1.0);
    assert!(
        scrape.samples("ssm_sync_exporter_api_request_failures_total").contains("operation=\"ListRegions\"")
    );

    aws.world().set_faults(Vec::new());
    let scrape = wait_until_up(&exporter, all + 1).await;
    assert!(regions_of(&scrape, FAULTY_ACCOUNT).contains(&"eu-south-1".to_owned()));
    // The last result is kept when a later lookup fails.
    aws.world()
        .set_faults(vec![FaultRule::new(Fault::Deny).account(FAULTY_ACCOUNT).operation("ListRegions")]);
    let failures = exporter.scrape().await.sum("ssm_sync_exporter_discovery_failures_total");
    let fails_again = async || {
        let scrape = exporter.scrape().await;
        (scrape.sum("ssm_sync_exporter_discovery_failures_total") >= failures + 2.0).then_some(scrape)
    };
    let scrape = exporter.wait_for("failures to list regions", fails_again).await;
    assert_eq!(targets(&scrape).len(), all + 1);
}

#[tokio::test]
async fn three_shards_poll_every_target_once() {
    let aws = organization().await;
    let all = targets(&wait_until_up(&Exporter::start(&aws, &config()).await, TARGET_COUNT).await);
    let total = NonZeroU32::new(3).unwrap();
    let mut of_all_shards = Vec::new();
    for index in 0..total.get() {
        let setup = Setup { shard: Shard::new(index, total).unwrap(), ..Setup::default() };
        let exporter = Exporter::start_with(&aws, &config(), &setup).await;
        exporter.wait_until_ready().await;
        let of_shard = targets(&exporter.scrape().await);
        assert!(!of_shard.is_empty() && of_shard.len() < TARGET_COUNT, "{index}: {of_shard:?}");
        let scrape = exporter.scrape().await;
        assert!(scrape.has(&format!("ssm_sync_exporter_shard_index {index}")));
        assert!(scrape.has("ssm_sync_exporter_shards 3"));
        wait_until_up(&exporter, of_shard.len()).await;
        of_all_shards.extend(of_shard);
    }
    of_all_shards.sort();
    assert_eq!(of_all_shards, all.into_iter().collect::<Vec<_>>());
}
