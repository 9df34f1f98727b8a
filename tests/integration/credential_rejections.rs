//! Tests that credentials are replaced when AWS rejects them, and that the wrong answer of one
//! endpoint does not take them from the others.

use fake_aws::{FakeAws, Fault, FaultRule};
use futures_util::future::join_all;
use pretty_assertions::assert_eq;

use crate::exporter::{ACCOUNT, Exporter, HUB, REGION, ROLE, Scrape, fake_aws, one_target, up};

const REGIONS: [&str; 4] = ["eu-west-1", "eu-west-2", "us-east-1", "us-east-2"];
const LYING: &str = "us-east-2";

/// Error codes by which AWS rejects credentials, and that do not say that a region is disabled.
const CODES: [&str; 4] =
    ["ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId", "InvalidAccessKeyId"];

/// A configuration with one account in all of [`REGIONS`], accessed by a role.
fn four_targets() -> String {
    one_target().replace(&format!("[{REGION}]"), &format!("[{}]", REGIONS.join(", ")))
}

fn rejection(code: &str) -> Fault {
    let body = format!(r#"{{"__type": "{code}", "message": "the words of AWS"}}"#);
    Fault::Response { status: 400, body }
}

/// One region rejects the credentials of all callers.
fn lying_region(code: &str) -> FaultRule {
    FaultRule::new(rejection(code)).region(LYING).operation("ListResourceDataSync")
}

/// Waits for three collections of every target. Checks that only the region that lies has failed,
/// for the right reason and with AWS's message.
async fn check_only_one_is_down(exporter: &Exporter, account: &str, case: &str) -> Scrape {
    exporter.scrape_after_next_collection().await;
    let scrape = exporter.scrape_after_next_collection().await;
    let failures = scrape.samples("ssm_sync_exporter_target_collection_failures_total");
    let expected = format!(
        "ssm_sync_exporter_target_collection_failures_total{{aws_account_id=\"{account}\",aws_region=\"{LYING}\",reason=\"credentials\"}} "
    );
    assert!(failures.lines().count() == 1 && failures.starts_with(&expected), "{case}: {failures}");
    assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 3.0, "{case}");
    let page = exporter.get("/").await.body;
    assert!(page.contains("the words of AWS"), "{case}: {page}");
    scrape
}

/// How often STS was called: to assume roles, and to ask who the caller is.
fn sts_calls(aws: &FakeAws) -> (u64, u64) {
    (aws.world().calls("AssumeRole"), aws.world().calls("GetCallerIdentity"))
}

#[tokio::test]
async fn a_region_that_wrongly_rejects_credentials_takes_them_from_no_other() {
    // The role was assumed again in every collection, or all regions were down for a while.
    join_all(CODES.iter().flat_map(|code| [(code, true), (code, false)]).map(async |(code, from_start)| {
        let aws = fake_aws().await;
        if from_start {
            aws.world().set_faults(vec![lying_region(code)]);
        }
        let exporter = Exporter::start_ready(&aws, &four_targets()).await;
        aws.world().set_faults(vec![lying_region(code)]);
        check_only_one_is_down(&exporter, ACCOUNT, code).await;
        assert_eq!(sts_calls(&aws), (1, 1), "{code}");

        aws.world().set_faults(Vec::new());
        exporter.scrape_until(&up(ACCOUNT, LYING, 1)).await;
        assert_eq!(sts_calls(&aws), (1, 1), "{code}");
    }))
    .await;
}

#[tokio::test]
async fn static_credentials_that_one_region_rejects_are_kept() {
    let ids = ["", &format!("id: '{HUB}', ")];
    join_all(ids.iter().flat_map(|id| CODES.map(|code| (id, code))).map(async |(id, code)| {
        let aws = fake_aws().await;
        let regions = REGIONS.join(", ");
        let config =
            format!("interval: 1s\ntimeout: 16s\nregions: [{regions}]\naccounts: [{{{id}profile: hub}}]\n");
        let exporter = Exporter::start_ready(&aws, &config).await;
        aws.world().set_faults(vec![lying_region(code)]);
        check_only_one_is_down(&exporter, HUB, code).await;
        assert_eq!(sts_calls(&aws), (0, 2), "{code}: the account id, and one check");
    }))
    .await;
}

#[tokio::test]
async fn credentials_are_kept_if_sts_says_nothing_or_is_wrong_too() {
    let sts_faults = [
        Fault::ServerError,
        Fault::Deny,
        Fault::Stall,
        Fault::Response { status: 200, body: "<html>".to_owned() },
        // STS is wrong as well, so the role is assumed again, but not in every collection.
        Fault::ExpiredToken,
        Fault::RegionDisabled,
    ];
    join_all(sts_faults.map(async |fault| {
        let aws = fake_aws().await;
        let exporter = Exporter::start_ready(&aws, &four_targets()).await;
        let sts = FaultRule::new(fault.clone()).operation("GetCallerIdentity");
        aws.world().set_faults(vec![lying_region("ExpiredTokenException"), sts]);
        let case = format!("{fault:?}");
        check_only_one_is_down(&exporter, ACCOUNT, &case).await;
        assert_eq!(aws.world().calls("AssumeRole"), 2, "{case}");
    }))
    .await;
}

#[tokio::test]
async fn new_credentials_that_a_wrong_region_and_sts_reject_first_are_kept() {
    // The rejection was cached if it came before another region had accepted the credentials.
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &four_targets()).await;
    let sts = FaultRule::new(Fault::ExpiredToken).operation("GetCallerIdentity");
    let slow_regions = REGIONS
        .iter()
        .filter(|region| **region != LYING)
        .map(|region| FaultRule::new(Fault::Delay(1000)).region(region).operation("ListResourceDataSync"));
    let faults = [lying_region("ExpiredTokenException"), sts].into_iter().chain(slow_regions);
    aws.world().set_faults(faults.collect());
    check_only_one_is_down(&exporter, ACCOUNT, "slow regions").await;
    assert_eq!(aws.world().calls("AssumeRole"), 2);
}

#[tokio::test]
async fn credentials_stay_in_use_if_sts_cannot_be_reached() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &four_targets()).await;
    let sts = FaultRule::new(Fault::ServerError).service("sts");
    aws.world().set_faults(vec![lying_region("ExpiredTokenException"), sts]);
    check_only_one_is_down(&exporter, ACCOUNT, "STS is down").await;
    let attempts = aws.world().calls("AssumeRole");
    assert!(attempts <= 1 + 3, "the attempts of one refresh: {attempts}");
}

#[tokio::test]
async fn credentials_that_have_expired_are_replaced_for_all_regions_together() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &four_targets()).await;
    aws.world().expire_sessions();
    let scrape = exporter.scrape_after_next_collection().await;
    assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 4.0);
    assert_eq!(aws.world().calls("AssumeRole"), 2);
}

#[tokio::test]
async fn expired_credentials_of_a_jump_role_are_replaced() {
    let aws = fake_aws().await;
    aws.world().add_role(HUB, "Jump", None);
    let config = format!(
        "interval: 1s\nregions: [{REGION}]\naccounts:\n  - profile: hub\n    assume_roles:\n      - arn: arn:aws:iam::{HUB}:role/Jump\n      - arn: arn:aws:iam::{ACCOUNT}:role/{ROLE}\n"
    );
    let exporter = Exporter::start_ready(&aws, &config).await;
    aws.world().expire_sessions();
    let are_replaced = async || (aws.world().calls("AssumeRole") >= 4).then_some(());
    exporter.wait_for("both roles to be assumed again", are_replaced).await;
    exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
    assert_eq!(aws.world().calls("AssumeRole"), 4);
}

#[tokio::test]
async fn a_service_of_discovery_that_wrongly_rejects_credentials_takes_them_from_no_target() {
    join_all(CODES.map(async |code| {
        let aws = fake_aws().await;
        aws.world().set_faults(vec![FaultRule::new(rejection(code)).operation("ListRegions")]);
        let config = one_target().replace(&format!("[{REGION}]"), "['eu-west-*']");
        let exporter = Exporter::start_ready(&aws, &config).await;
        let scrape = exporter.scrape_after_next_collection().await;
        assert!(scrape.has("ssm_sync_exporter_discovery_failing_lookups{kind=\"regions\"} 1"), "{code}");
        assert_eq!(scrape.samples("ssm_sync_exporter_target_collection_failures_total"), "", "{code}");
        assert_eq!(sts_calls(&aws), (1, 1), "{code}");
    }))
    .await;
}

#[tokio::test]
async fn a_list_of_accounts_that_wrongly_rejects_credentials_takes_them_from_no_target() {
    join_all(CODES.map(async |code| {
        let aws = fake_aws().await;
        aws.world().create_organization(HUB);
        aws.world().add_member(ACCOUNT, "production", "r-fake");
        let config = format!(
            "interval: 1s\ntimeout: 16s\nregions: [{REGION}]\naccounts: [{{profile: hub, id: '{HUB}'}}]\n\
             organization:\n  profile: hub\n  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  \
             refresh_interval: 1s\n"
        );
        let exporter = Exporter::start_ready(&aws, &config).await;
        exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
        aws.world().set_faults(vec![FaultRule::new(rejection(code)).operation("ListAccounts")]);
        exporter.scrape_until("ssm_sync_exporter_discovery_failing_lookups{kind=\"organization\"} 1").await;
        exporter.scrape_after_next_collection().await;
        let scrape = exporter.scrape_after_next_collection().await;
        assert_eq!(scrape.samples("ssm_sync_exporter_target_collection_failures_total"), "", "{code}");
        assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 2.0, "{code}");
        assert_eq!(sts_calls(&aws), (1, 2), "{code}");
    }))
    .await;
}
