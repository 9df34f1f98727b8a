//! Tests of the advice for syncs and concerns.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fleet::{Account, Target, TargetList};
use crate::health::tests::sync;
use crate::health::{ConcernKind, FailureCause, Health, HealthPolicy};
use crate::model::{
    Destination, Failure, Reason, SharingType, Source, SourceState, SyncStatus, SyncType, UnixSeconds,
};
use crate::snapshot::{NodeReport, Report, Store};

const NOW: UnixSeconds = 1_763_800_000.0;

/// The target with these syncs, in this region.
fn assess_in(region: &str, syncs: Vec<DataSync>) -> AssessedTarget {
    assess_by(&HealthPolicy::default(), region, syncs)
}

/// The target with these syncs, in this region, assessed by this policy.
pub(super) fn assess_by(policy: &HealthPolicy, region: &str, syncs: Vec<DataSync>) -> AssessedTarget {
    assess_with_nodes(None, policy, region, syncs)
}

/// The same, with this result of a managed-node lookup. `None` if lookups are not enabled.
fn assess_with_nodes(
    nodes: Option<Result<bool, Failure>>,
    policy: &HealthPolicy,
    region: &str,
    syncs: Vec<DataSync>,
) -> AssessedTarget {
    let store = Store::new(Duration::from_hours(1));
    let account = Account {
        id: Some("111122223333".parse().unwrap()),
        managed_nodes_interval: nodes.is_some().then_some(Duration::from_hours(6)),
        ..Account::default()
    };
    let target = Target { account: Arc::new(account), region: region.parse().unwrap() };
    let slots = store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
    let took = Duration::from_secs(1);
    store.record(
        &slots[0],
        Report { account: None, ended: NOW, took, outcome: Ok(syncs), invalid_items: None },
    );
    if let Some(outcome) = nodes {
        store.record_managed_nodes(&slots[0], NodeReport { account: None, ended: NOW, outcome });
    }
    AssessedTarget::of_slot(&store, &slots[0], policy, NOW)
}

fn advice_in(region: &str, sync: DataSync) -> Advice {
    let target = assess_in(region, vec![sync]);
    for_sync(&target, target.syncs().next().unwrap()).unwrap()
}

fn advice(sync: DataSync) -> Advice {
    advice_in("eu-west-1", sync)
}

pub(super) fn destination() -> Destination {
    Destination {
        bucket_name: Some("org-inventory".to_owned()),
        prefix: Some("ssm/".to_owned()),
        region: Some("eu-central-1".to_owned()),
        format: Some("JsonSerDe".to_owned()),
        kms_key_arn: Some("arn:aws:kms:eu-central-1:444455556666:key/abc".to_owned()),
        sharing: None,
    }
}

fn failed(name: &str, message: &str) -> DataSync {
    DataSync {
        last_status: Some(SyncStatus::Failed),
        last_status_message: Some(message.to_owned()),
        destination: Some(destination()),
        ..sync(name, Some(NOW))
    }
}

pub(super) fn from_source(name: &str, state: Option<SourceState>) -> DataSync {
    let source = Source {
        source_type: Some("AwsOrganizations".to_owned()),
        organization_source_type: Some("OrganizationalUnits".to_owned()),
        organizational_units: Some(vec!["ou-abcd-11111111".to_owned(), "ou-abcd-22222222".to_owned()]),
        regions: Some(vec!["eu-west-1".to_owned()]),
        has_unreadable_entries: false,
        include_future_regions: Some(true),
        enable_all_ops_data_sources: Some(true),
        state,
    };
    DataSync { sync_type: SyncType::FromSource, source: Some(source), last_status: None, ..sync(name, None) }
}

/// All commands and documents, one after the other.
pub(super) fn details(advice: &Advice) -> String {
    let mut text = String::new();
    for step in &advice.steps {
        match &step.detail {
            Some(Detail::Command { text: command, .. }) => text += command,
            Some(Detail::Document(document)) => text += document,
            Some(Detail::List(names)) => text += &names.join(", "),
            Some(Detail::OmittedCommand) => text += "(omitted)",
            None => {}
        }
        text += "\n";
    }
    text
}

#[test]
fn a_denied_write_shows_the_policy_with_the_values_of_the_sync() {
    let advice = advice(failed("inventory", "Access Denied"));
    assert_eq!(advice.title, "The bucket policy does not allow Systems Manager to write");
    assert_eq!(
        details(&advice),
        r#"aws s3api get-bucket-policy --bucket org-inventory --region eu-central-1 --query Policy --output text
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "SSMBucketPermissionsCheck",
      "Effect": "Allow",
      "Principal": {
        "Service": [
          "ssm.amazonaws.com"
        ]
      },
      "Action": "s3:GetBucketAcl",
      "Resource": "arn:aws:s3:::org-inventory"
    },
    {
      "Sid": "SSMBucketDelivery",
      "Effect": "Allow",
      "Principal": {
        "Service": [
          "ssm.amazonaws.com"
        ]
      },
      "Action": "s3:PutObject",
      "Resource": "arn:aws:s3:::org-inventory/ssm/*/accountid=111122223333/*",
      "Condition": {
        "StringEquals": {
          "s3:x-amz-acl": "bucket-owner-full-control",
          "aws:SourceAccount": "111122223333"
        },
        "ArnLike": {
          "aws:SourceArn": "arn:aws:ssm:*:111122223333:resource-data-sync/*"
        }
      }
    }
  ]
}

"#
    );
}

#[test]
fn the_policy_depends_on_sharing_prefix_partition_and_region() {
    let mut shared = failed("inventory", "Access Denied");
    shared.destination =
        Some(Destination { sharing: Some(SharingType::Organization), prefix: None, ..destination() });
    let text = details(&advice_in("cn-north-1", shared));
    for part in [
        "\"arn:aws-cn:s3:::org-inventory/*/accountid=*/*\"",
        "\"s3:RequestObjectTag/OrgId\": \"ORGANIZATION_ID\"",
        "\"s3:PutObjectTagging\"",
        "aws organizations describe-organization --query Organization.Id",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("aws:SourceAccount"), "{text}");
    // A region that has to be enabled has a service of its own.
    let opt_in = details(&advice_in("ap-east-1", failed("inventory", "Access Denied")));
    assert!(opt_in.contains("\"ssm.ap-east-1.amazonaws.com\""), "{opt_in}");
}

#[test]
fn each_cause_has_its_own_commands() {
    for (message, parts) in [
        (
            "KMS",
            &[
                "kms describe-key --key-id arn:aws:kms:eu-central-1:444455556666:key/abc --region eu-central-1",
                "\"kms:GenerateDataKey\"",
            ][..],
        ),
        (
            "NoSuchBucket",
            &[
                "get-bucket-location --output text --bucket org-inventory",
                "delete-resource-data-sync",
                "create-resource-data-sync",
            ],
        ),
        ("Object Lock", &["get-object-lock-configuration", "delete-resource-data-sync"]),
        ("tagging", &["\"s3:RequestObjectTag/OrgId\""]),
        (
            "",
            &["get-bucket-location", "get-bucket-policy", "get-object-lock-configuration", "get-key-policy"],
        ),
    ] {
        let text = details(&advice(failed("inventory", message)));
        for part in parts {
            assert!(text.contains(part), "{message}: {part}: {text}");
        }
    }
}

#[test]
fn a_sync_is_created_again_with_all_of_its_settings() {
    let text = details(&advice(failed("it's", "NoSuchBucket")));
    assert!(
        text.contains(
            "aws ssm delete-resource-data-sync --region eu-west-1 --sync-type SyncToDestination --sync-name 'it'\\''s'\n"
        ),
        "{text}"
    );
    let (_, create) = text
        .split_once("aws ssm create-resource-data-sync --region eu-west-1 \\\n    --cli-input-json '")
        .unwrap();
    let (request, _) = create.split_once('\'').unwrap();
    let request: serde_json::Value = serde_json::from_str(request).unwrap();
    assert_eq!(
        request,
        serde_json::json!({
            "SyncName": "it's",
            "SyncType": "SyncToDestination",
            "S3Destination": {
                "BucketName": "org-inventory", "Prefix": "ssm/", "Region": "eu-central-1", "SyncFormat": "JsonSerDe",
                "AWSKMSKeyARN": "arn:aws:kms:eu-central-1:444455556666:key/abc",
            },
        })
    );
    // Without the bucket, the sync could not be created again, so it is not deleted either.
    let unknown = Destination { bucket_name: None, ..destination() };
    let text = details(&advice(DataSync { destination: Some(unknown), ..failed("a", "NoSuchBucket") }));
    assert!(!text.contains("delete"), "{text}");
}

#[test]
fn a_sync_that_an_aws_service_owns_gets_no_command_that_changes_it() {
    for name in ["InspectorResourceDataSync-do-not-delete", "license-manager-1", "AWS-QuickSetup-1"] {
        let mut stuck = DataSync {
            last_status: Some(SyncStatus::InProgress),
            last_sync: Some(NOW - 20_000.0),
            destination: Some(destination()),
            ..sync(name, Some(NOW - 30_000.0))
        };
        let mut all = vec![advice(stuck.clone())];
        stuck.last_status = Some(SyncStatus::Successful);
        stuck.last_successful_sync = Some(NOW - 1e6);
        all.push(advice(stuck));
        for message in ["Access Denied", "NoSuchBucket", "Object Lock", "KMS", "tagging", ""] {
            all.push(advice(failed(name, message)));
        }
        for state in SourceState::KNOWN {
            all.push(advice(from_source(name, Some(state.clone()))));
        }
        for advice in &all {
            let text = details(advice);
            for verb in ["delete-", "create-resource", "update-", "put-"] {
                assert!(!text.contains(verb), "{name}: {verb}: {text}");
            }
        }
    }
}

#[test]
fn commands_that_delete_say_so() {
    let mut deleting = 0;
    let mut advices = vec![advice(from_source("a", Some(SourceState::OrganizationNotExists)))];
    advices.extend(["NoSuchBucket", "Object Lock"].map(|message| advice(failed("a", message))));
    for step in advices.iter().flat_map(|advice| &advice.steps) {
        if let Some(Detail::Command { text, deletes }) = &step.detail {
            assert_eq!(*deletes, text.contains("delete-"), "{text}");
            deleting += usize::from(*deletes);
        }
    }
    assert_eq!(deleting, 3);
}

#[test]
fn each_state_of_a_source_has_its_own_commands() {
    let text = details(&advice(from_source("explorer", Some(SourceState::InvalidOrganizationalUnit))));
    for part in [
        "aws organizations describe-organizational-unit --organizational-unit-id ou-abcd-11111111\n",
        "--organizational-unit-id ou-abcd-22222222\n",
        "aws ssm update-resource-data-sync --region eu-west-1 \\\n",
        "\"OrganizationalUnitId\": \"ou-abcd-22222222\"",
        "\"SourceRegions\": [\n      \"eu-west-1\"\n    ]",
        "\"EnableAllOpsDataSources\": true",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (state, part) in [
        (SourceState::NoPermissions, "--aws-service-name accountdiscovery.ssm.amazonaws.com"),
        (
            SourceState::TrustedAccessDisabled,
            "enable-aws-service-access --service-principal ssm.amazonaws.com",
        ),
        (SourceState::OrganizationNotExists, "--sync-type SyncFromSource --sync-name explorer"),
    ] {
        let text = details(&advice(from_source("explorer", Some(state))));
        assert!(text.contains(part), "{part}: {text}");
    }
    let unknown = advice(from_source("explorer", Some("Paused".into())));
    assert!(unknown.runbook_url.ends_with("#ssmsyncsourcefault") && unknown.steps.is_empty());
}

#[test]
fn stale_and_stuck_syncs_get_a_rule_for_their_limit() {
    let stale = DataSync { destination: Some(destination()), ..sync("a\"b", Some(NOW - 1e6)) };
    let text = details(&advice(stale));
    assert!(text.contains("aws ssm describe-instance-information --region eu-west-1 --query"), "{text}");
    let rule = "health:\n  rules:\n    - accounts: [\"111122223333\"]\n      regions: [eu-west-1]\n      sync_types: \
                [SyncToDestination]\n      sync_names: [\"a\\\"b\"]\n      max_success_age: 30d\n";
    assert!(text.contains(rule), "{text}");
    let stuck = DataSync {
        last_status: Some(SyncStatus::InProgress),
        last_sync: Some(NOW - 20_000.0),
        destination: Some(destination()),
        ..sync("a", Some(NOW - 30_000.0))
    };
    let text = details(&advice(stuck));
    for part in [
        "'s3://org-inventory/ssm/AWS:InstanceInformation/accountid=111122223333/region=eu-west-1/' | sort | tail -3",
        "max_run_time: 30d",
        "delete-resource-data-sync",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_advice_about_a_stale_sync_depends_on_managed_nodes() {
    let stale = || DataSync { destination: Some(destination()), ..sync("a", Some(NOW - 1e6)) };
    let text = |nodes| {
        let target = assess_with_nodes(nodes, &HealthPolicy::default(), "eu-west-1", vec![stale()]);
        let advice = for_sync(&target, target.syncs().next().unwrap()).unwrap();
        let steps: String = advice.steps.iter().map(|step| &*step.text).collect();
        steps + &details(&advice)
    };
    let denied = Failure::new(Reason::AccessDenied, "message");
    for (nodes, part, counts) in [
        (None, "With `managed_nodes.enabled: true`, the exporter looks", true),
        (Some(Ok(true)), "The exporter found managed nodes here", false),
        (Some(Err(denied)), "The managed-node lookup fails here", true),
    ] {
        let text = text(nodes);
        assert!(text.contains(part), "{part}: {text}");
        assert_eq!(text.contains("describe-instance-information"), counts, "{text}");
    }
}

#[test]
fn hostile_values_become_neither_commands_nor_references_to_files() {
    let hostile = Destination { bucket_name: Some("b\nreboot".to_owned()), ..destination() };
    let text = details(&advice(DataSync { destination: Some(hostile), ..failed("a", "NoSuchBucket") }));
    assert!(text.contains("(omitted)") && !text.contains("\nreboot"), "{text}");
    let text = details(&advice(failed("file:///etc/passwd", "NoSuchBucket")));
    assert!(!text.contains("--sync-name"), "{text}");
    assert!(
        text.contains("\"SyncName\": \"file:///etc/passwd\""),
        "the CLI reads no files that JSON names: {text}"
    );
}

#[test]
fn healthy_syncs_need_no_advice_and_every_failure_has_some() {
    let target = assess_in("eu-west-1", vec![sync("a", Some(NOW))]);
    let healthy = target.syncs().next().unwrap();
    assert_eq!((healthy.health, for_sync(&target, healthy)), (Health::Healthy, None));
    assert_eq!(FailureCause::ALL.len(), 6, "the tests above cover every cause");
    // An account whose id is not known yet is a placeholder.
    let store = Store::new(Duration::from_hours(1));
    let target = Target { account: Arc::default(), region: "eu-west-1".parse().unwrap() };
    let slots = store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
    let outcome = Ok(vec![failed("a", "Access Denied")]);
    store.record(
        &slots[0],
        Report { account: None, ended: NOW, took: Duration::ZERO, outcome, invalid_items: None },
    );
    let target = AssessedTarget::of_slot(&store, &slots[0], &HealthPolicy::default(), NOW);
    let text = details(&for_sync(&target, target.syncs().next().unwrap()).unwrap());
    assert!(text.contains("accountid=ACCOUNT_ID/*"), "{text}");
}

#[test]
fn concerns_name_the_syncs_by_owner_and_the_setting_to_change() {
    let mut syncs: Vec<DataSync> = (0..4).map(|index| failed(&format!("s{index}"), "")).collect();
    syncs.push(sync("license-manager-1", Some(NOW)));
    syncs.push(from_source("explorer", None));
    let target = assess_in("eu-west-1", syncs);
    let advice = |kind| {
        let concerns = target.concerns();
        for_concern(&target, concerns.iter().find(|concern| concern.kind == kind).unwrap())
    };
    let used = advice(ConcernKind::QuotaUsed);
    assert_eq!(used.title, "5 of 5 syncs of the type SyncToDestination exist");
    let text = details(&used);
    assert!(text.starts_with("s0 (bucket org-inventory), s1 (bucket org-inventory), "), "{text}");
    assert!(text.contains("\nlicense-manager-1\n"), "{text}");
    let inspector = details(&advice(ConcernKind::InspectorSyncBlocked));
    assert!(
        inspector.contains("batch-get-account-status --region eu-west-1 --account-ids 111122223333"),
        "{inspector}"
    );
    let costs = details(&advice(ConcernKind::AllOpsDataSources));
    assert!(
        costs.contains("\"EnableAllOpsDataSources\": false")
            && costs.contains("\"IncludeFutureRegions\": true"),
        "{costs}"
    );
    let regions = details(&advice(ConcernKind::FutureRegions));
    assert!(regions.contains("\"IncludeFutureRegions\": false"), "{regions}");
}
