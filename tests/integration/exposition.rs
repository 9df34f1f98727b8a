//! Tests of what a scrape contains: every field of a sync, failed and stale targets, ages and
//! account ids.

use std::collections::HashSet;

use fake_aws::{Fault, FaultRule, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, Exporter, HUB, NOW, REGION, Scrape, fake_aws, one_target, put_sync, up};

/// The lines of the families with this prefix, without the families that change from run to run.
fn stable_lines(scrape: &Scrape, prefix: &str) -> String {
    let is_stable = |line: &&str| {
        let family = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        family.starts_with(prefix) && !family.contains("duration") && !family.contains("_collections_total")
    };
    scrape.0.lines().filter(is_stable).flat_map(|line| [line, "\n"]).collect()
}

/// A sync to S3 with every field, as AWS lists it.
pub(crate) fn s3_sync() -> Value {
    json!({
        // Without SyncType, as in the examples of the AWS documentation.
        "SyncName": "org-inventory",
        "S3Destination": {
            "BucketName": "inventory-bucket", "Prefix": "all/of it", "SyncFormat": "JsonSerDe",
            "Region": "us-east-1", "AWSKMSKeyARN": "arn:aws:kms:us-east-1:111122223333:key/1",
            "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
        },
        "LastSyncTime": NOW - 60, "LastSuccessfulSyncTime": NOW as f64 - 3600.5,
        "SyncLastModifiedTime": NOW - 86400, "LastStatus": "Failed",
        "SyncCreatedTime": 1_543_235_736.72, "LastSyncStatusMessage": "no access",
    })
}

#[tokio::test]
async fn a_sync_to_s3_exposes_every_field() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, s3_sync());
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    exporter.set_clock(0);
    let scrape = exporter.scrape().await;
    assert_eq!(stable_lines(&scrape, "aws_"), include_str!("../golden/s3_sync.prom"));
}

/// AWS lists a region twice. It counts twice, as AWS says, but a series must not occur twice.
#[tokio::test]
async fn a_sync_from_a_source_exposes_every_field() {
    let aws = fake_aws().await;
    put_sync(
        &aws,
        SyncKind::FromSource,
        json!({
            "SyncName": "AWS-QuickSetup-explorer", "SyncType": "SyncFromSource",
            "SyncSource": {
                "SourceType": "AwsOrganizations",
                "AwsOrganizationsSource": {
                    "OrganizationSourceType": "OrganizationalUnits",
                    "OrganizationalUnits": [
                        {"OrganizationalUnitId": "ou-abcd-11111111"}, {"OrganizationalUnitId": "ou-abcd-22222222"},
                    ],
                },
                "SourceRegions": ["us-east-1", "eu-west-2", "eu-west-1", "eu-west-2"],
                "IncludeFutureRegions": true, "EnableAllOpsDataSources": false,
                "State": "TrustedAccessDisabled",
            },
            "LastSyncTime": NOW - 120, "LastSuccessfulSyncTime": NOW - 240,
            "SyncLastModifiedTime": NOW - 86400, "SyncCreatedTime": NOW - 172_800,
        }),
    );
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let scrape = exporter.scrape().await;
    assert_eq!(stable_lines(&scrape, "aws_"), include_str!("../golden/source_sync.prom"));
}

#[tokio::test]
async fn targets_that_are_up_and_down_are_exposed() {
    let aws = fake_aws().await;
    aws.world()
        .set_faults(vec![FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync")]);
    let config = one_target().replace("[eu-west-1]", "[eu-west-1, us-east-1]").replace("1s", "1h");
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    assert_eq!(stable_lines(&scrape, "ssm_sync_exporter_target"), include_str!("../golden/targets.prom"));
    for region in ["eu-west-1", "us-east-1"] {
        assert!(scrape.has(&format!(
            "ssm_sync_exporter_target_collections_total{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{region}\"}} 1"
        )));
        let duration = scrape.samples(&format!(
            "ssm_sync_exporter_target_collection_duration_seconds{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{region}\"}}"
        ));
        let seconds: f64 = duration.trim().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(seconds > 0.0 && seconds < 16.0, "{duration}");
    }
    // The target that is up has no syncs, so it has counts of 0. The one that is down has no counts.
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_syncs{"),
        format!(
            "aws_ssm_resource_data_syncs{{aws_account_id=\"{ACCOUNT}\",aws_region=\"eu-west-1\",sync_type=\"SyncToDestination\"}} 0\n\
             aws_ssm_resource_data_syncs{{aws_account_id=\"{ACCOUNT}\",aws_region=\"eu-west-1\",sync_type=\"SyncFromSource\"}} 0\n"
        )
    );
}

#[tokio::test]
async fn the_exporter_exposes_metrics_about_itself() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    let scrape = exporter.scrape().await;
    for line in [
        "ssm_sync_exporter_targets 1",
        "ssm_sync_exporter_shard_index 0",
        "ssm_sync_exporter_shards 1",
        "ssm_sync_exporter_collections_in_flight 0",
        "ssm_sync_exporter_collection_overruns_total 0",
        "ssm_sync_exporter_log_lines_dropped_total 0",
        "ssm_sync_exporter_panics_total 0",
        "ssm_sync_exporter_config_last_reload_successful 1",
        &format!("ssm_sync_exporter_config_last_reload_success_timestamp_seconds {NOW}"),
        "ssm_sync_exporter_api_requests_total{operation=\"AssumeRole\",service=\"STS\"} 1",
        "ssm_sync_exporter_api_requests_total{operation=\"ListResourceDataSync\",service=\"SSM\"} 2",
        "ssm_sync_exporter_api_request_duration_seconds_count{operation=\"ListResourceDataSync\",service=\"SSM\"} 2",
    ] {
        assert!(scrape.has(line), "{line}\n{}", scrape.0);
    }
    assert!(scrape.0.contains("ssm_sync_exporter_build_info{revision=\""));
    assert!(scrape.0.contains("\nprocess_resident_memory_bytes "));
    assert_eq!(scrape.samples("ssm_sync_exporter_api_request_failures_total"), "");
}

#[tokio::test]
async fn fields_that_aws_omits_yield_no_series() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "bare"}));
    put_sync(
        &aws,
        SyncKind::ToDestination,
        json!({"SyncName": "bucket", "S3Destination": {"BucketName": "b", "SyncFormat": "JsonSerDe", "Region": "r"}}),
    );
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "source", "SyncSource": {}}));
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let labels = |kind, name| {
        format!(
            "aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",sync_type=\"{kind}\",sync_name=\"{name}\""
        )
    };
    let (bare, bucket) = (labels("SyncToDestination", "bare"), labels("SyncToDestination", "bucket"));
    let source = labels("SyncFromSource", "source");
    let mut expected = vec![
        format!(
            "aws_ssm_resource_data_sync_destination_data_sharing{{{bucket},sharing_type=\"Organization\"}} 0"
        ),
        format!(
            "aws_ssm_resource_data_sync_destination_data_sharing{{{bucket},sharing_type=\"NotReported\"}} 1"
        ),
        format!("aws_ssm_resource_data_sync_info{{{bare},managed_by=\"customer\"}} 1"),
        format!(
            "aws_ssm_resource_data_sync_info{{{bucket},bucket_name=\"b\",bucket_region=\"r\",sync_format=\"JsonSerDe\",managed_by=\"customer\"}} 1"
        ),
        format!("aws_ssm_resource_data_sync_info{{{source},managed_by=\"customer\"}} 1"),
    ];
    // Not a field: the limit comes from the configuration.
    for labels in [&bare, &bucket, &source] {
        expected.push(format!("aws_ssm_resource_data_sync_max_success_age_seconds{{{labels}}} 172800"));
    }
    for state in
        ["OrganizationNotExists", "NoPermissions", "InvalidOrganizationalUnit", "TrustedAccessDisabled"]
    {
        expected.push(format!("aws_ssm_resource_data_sync_source_state{{{source},state=\"{state}\"}} 0"));
    }
    let scrape = exporter.scrape().await;
    let series: Vec<&str> =
        scrape.0.lines().filter(|line| line.starts_with("aws_") && line.contains("sync_name=")).collect();
    assert_eq!(series, expected, "{}", scrape.samples("ssm_sync"));
}

#[tokio::test]
async fn unknown_enum_values_keep_their_raw_names() {
    let aws = fake_aws().await;
    put_sync(
        &aws,
        SyncKind::ToDestination,
        json!({
            "SyncName": "s3", "LastStatus": "Paused",
            "S3Destination": {
                "BucketName": "b", "SyncFormat": "Parquet", "Region": "mars-north-1",
                "DestinationDataSharing": {"DestinationDataSharingType": "Planet"},
            },
        }),
    );
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "source", "SyncSource": {"State": "Confused"}}));
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "third", "SyncType": "SyncToMoon"}));
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let scrape = exporter.scrape().await;
    let values = |family: &str| -> Vec<(String, String)> {
        let label = |line: &str| line.split('"').rev().nth(1).unwrap().to_owned();
        let value = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
        scrape.samples(family).lines().map(|line| (label(line), value(line))).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(
        values("aws_ssm_resource_data_sync_last_status"),
        pairs(&[("Successful", "0"), ("Failed", "0"), ("InProgress", "0"), ("Paused", "1")])
    );
    assert_eq!(
        values("aws_ssm_resource_data_sync_destination_data_sharing"),
        pairs(&[("Organization", "0"), ("Planet", "1")])
    );
    assert_eq!(
        values("aws_ssm_resource_data_sync_source_state"),
        pairs(&[
            ("OrganizationNotExists", "0"),
            ("NoPermissions", "0"),
            ("InvalidOrganizationalUnit", "0"),
            ("TrustedAccessDisabled", "0"),
            ("Confused", "1"),
        ])
    );
    assert!(scrape.0.contains("sync_format=\"Parquet\""));
    assert_eq!(
        values("aws_ssm_resource_data_syncs{"),
        pairs(&[("SyncToDestination", "1"), ("SyncFromSource", "1"), ("SyncToMoon", "1")])
    );
}

#[tokio::test]
async fn no_series_is_exposed_twice() {
    let aws = fake_aws().await;
    let duplicate = json!({"SyncName": "twice", "SyncType": "SyncToDestination", "LastStatus": "Successful"});
    put_sync(&aws, SyncKind::ToDestination, duplicate.clone());
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "other"}));
    // The call for one type also lists a sync of the other type.
    put_sync(&aws, SyncKind::FromSource, duplicate);
    let hostile = "quote\" back\\slash\nline} 1\n# ünï";
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": hostile}));
    aws.world().set_faults(vec![FaultRule::new(Fault::PageSize(1))]);
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let scrape = exporter.scrape().await;
    let series = scrape.series();
    let distinct: HashSet<&str> = series.iter().copied().collect();
    assert_eq!(series.len(), distinct.len());
    assert_eq!(scrape.sum("aws_ssm_resource_data_syncs"), 3.0);
    assert!(scrape.0.contains(r#"sync_name="quote\" back\\slash\nline} 1\n# ünï","#), "{}", scrape.0);
}

#[tokio::test]
async fn ages_are_computed_when_scraped() {
    let aws = fake_aws().await;
    put_sync(
        &aws,
        SyncKind::ToDestination,
        json!({"SyncName": "a", "LastSyncTime": NOW - 5, "LastSuccessfulSyncTime": NOW - 9}),
    );
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    let ages = async || {
        let scrape = exporter.scrape().await;
        (
            scrape.sum("aws_ssm_resource_data_sync_last_sync_age_seconds"),
            scrape.sum("aws_ssm_resource_data_sync_last_successful_sync_age_seconds"),
        )
    };
    assert_eq!(ages().await, (5.0, 9.0));
    exporter.set_clock(1000);
    assert_eq!(ages().await, (1005.0, 1009.0));
}

#[tokio::test]
async fn a_deleted_sync_disappears_with_the_next_collection() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "here", "LastStatus": "Successful"}));
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    assert!(exporter.scrape().await.0.contains("sync_name=\"here\""));
    aws.world().clear_syncs(ACCOUNT, REGION);
    let scrape = exporter.scrape_after_next_collection().await;
    assert!(!scrape.0.contains("sync_name="), "{}", scrape.0);
    assert_eq!(scrape.sum("aws_ssm_resource_data_syncs"), 0.0);
    assert_eq!(scrape.sum("ssm_sync_exporter_target_up"), 1.0);
}

#[tokio::test]
async fn a_failing_target_keeps_its_syncs_until_stale_after() {
    let aws = fake_aws().await;
    put_sync(
        &aws,
        SyncKind::ToDestination,
        json!({"SyncName": "here", "LastStatus": "Successful", "LastSyncTime": NOW}),
    );
    let exporter = Exporter::start_ready(&aws, &format!("{}stale_after: 10m\n", one_target())).await;

    aws.world().set_faults(vec![FaultRule::new(Fault::Deny)]);
    let scrape = exporter.scrape_until(&up(ACCOUNT, REGION, 0)).await;
    assert!(scrape.0.contains("sync_name=\"here\""), "within stale_after");
    exporter.set_clock(600);
    let scrape = exporter.scrape().await;
    assert!(scrape.has(&format!(
        "aws_ssm_resource_data_sync_last_sync_age_seconds{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",\
         sync_type=\"SyncToDestination\",sync_name=\"here\"}} 600"
    )));
    exporter.set_clock(601);
    let scrape = exporter.scrape().await;
    assert!(!scrape.0.contains("sync_name="), "after stale_after");
    assert_eq!(scrape.samples("aws_ssm_resource_data_syncs"), "", "unknown, not 0");
    assert!(scrape.has(&up(ACCOUNT, REGION, 0)));
    assert!(scrape.0.contains("ssm_sync_exporter_target_info{"), "the target itself is kept");

    aws.world().set_faults(Vec::new());
    let scrape = exporter.scrape_until(&up(ACCOUNT, REGION, 1)).await;
    assert!(scrape.0.contains("sync_name=\"here\""), "the next success restores the syncs");
    assert_eq!(scrape.sum("ssm_sync_exporter_target_consecutive_failures"), 0.0);
}

#[tokio::test]
async fn an_account_without_an_id_gets_it_from_its_credentials() {
    let aws = fake_aws().await;
    let config = format!("interval: 1s\nregions: [{REGION}, us-east-1]\naccounts: [{{profile: hub}}]\n");
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape_after_next_collection().await;
    for region in [REGION, "us-east-1"] {
        assert!(scrape.has(&up(HUB, region, 1)));
    }
    assert_eq!(aws.world().calls("GetCallerIdentity"), 1, "one call for both regions and all rounds");
    assert!(scrape.has(&format!(
        "ssm_sync_exporter_discovery_last_success_timestamp_seconds{{kind=\"identity\"}} {NOW}"
    )));
}

#[tokio::test]
async fn a_target_is_down_if_its_credentials_are_for_another_account() {
    // Otherwise the syncs of one account would be exposed under the id of another.
    let aws = fake_aws().await;
    let config =
        format!("interval: 1s\nregions: [{REGION}]\naccounts: [{{profile: hub, id: '{ACCOUNT}'}}]\n");
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape_after_next_collection().await;
    let labels = format!("aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"");
    assert!(scrape.has(&format!("ssm_sync_exporter_target_up{{{labels}}} 0")));
    assert!(scrape.0.contains("reason=\"credentials\""));
    assert_eq!(aws.world().calls("ListResourceDataSync"), 0);
}

#[tokio::test]
async fn an_id_that_cannot_be_verified_is_used_as_configured() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("GetCallerIdentity")]);
    let config = format!("interval: 1s\nregions: [{REGION}]\naccounts: [{{profile: hub, id: '{HUB}'}}]\n");
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape_after_next_collection().await;
    assert!(scrape.has(&up(HUB, REGION, 1)));
    assert!(
        aws.world().calls("GetCallerIdentity") < aws.world().calls("ListResourceDataSync") / 2,
        "verified less often than collected"
    );
}

#[tokio::test]
async fn an_account_with_an_unknown_id_stays_visible() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("GetCallerIdentity")]);
    let config = format!("interval: 1s\nregions: [{REGION}]\naccounts: [{{profile: hub, name: main}}]\n");
    let exporter = Exporter::start_ready(&aws, &config).await;
    let scrape = exporter.scrape().await;
    let labels = format!("aws_account_id=\"unknown (profile hub)\",aws_region=\"{REGION}\"");
    assert!(scrape.has(&format!("ssm_sync_exporter_target_up{{{labels}}} 0")));
    assert!(scrape.has(&format!(
        "ssm_sync_exporter_target_info{{{labels},account_name=\"main\",partition=\"aws\"}} 1"
    )));
    assert!(scrape.0.contains("ssm_sync_exporter_discovery_failures_total{kind=\"identity\"} "));
    aws.world().set_faults(Vec::new());
    let scrape = exporter.scrape_until(&up(HUB, REGION, 1)).await;
    assert!(!scrape.0.contains("unknown"), "{}", scrape.0);
}
