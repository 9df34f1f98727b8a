//! What to do about a sync that is missing, forbidden, or not as an expectation describes it.

use super::request::Request;
use super::sync::{delete_command, recreate_as};
use super::{Advice, Detail, SyncInTarget};
use crate::expectations::{Expectation, Field, ViolationSubject};
use crate::health::{Alert, AssessedTarget};
use crate::model::{DataSync, ManagedBy, SyncType};

/// How to exclude a target from an expectation.
const EXCLUDE: &str = "If this is right as it is, change the expectation, or exclude the account or the region in its \
                       `accounts`, `organizational_units` or `regions`.";

/// What to do about the violation of an expectation by `subject`.
pub(crate) fn for_violation(
    target: &AssessedTarget,
    expectation: &Expectation,
    subject: ViolationSubject,
    field: Field,
) -> Advice {
    let sync = subject.sync().and_then(|index| target.sync(index)).map(|assessed| assessed.sync);
    let advice = match sync {
        None => missing(target, expectation),
        Some(sync) if field == Field::Forbidden => forbidden(SyncInTarget { target, sync }),
        Some(sync) => drifted(SyncInTarget { target, sync }, expectation),
    };
    advice.step(EXCLUDE)
}

fn missing(target: &AssessedTarget, expectation: &Expectation) -> Advice {
    let title = "A required sync is missing";
    let advice = |remedy| Advice::new(title, remedy, Alert::SsmSyncMissing);
    let described = expectation.described_sync(&target.observed());
    match owner_of_missing(expectation, described.as_ref()) {
        ManagedBy::Customer => {}
        ManagedBy::QuickSetup => {
            return advice(
                "Quick Setup creates this sync: check in Systems Manager whether the feature that needs it is set up for the \
                 account and the region, and repair it there.",
            );
        }
        ManagedBy::Inspector => {
            return advice(
                "Amazon Inspector creates this sync: check in Inspector whether scanning is active in the account, and whether \
                 the quota of syncs leaves room for it.",
            );
        }
        ManagedBy::LicenseManager => {
            return advice(
                "License Manager creates this sync, and deletes and creates it again from time to time. If it stays missing, \
                 check cross-account discovery in the License Manager settings.",
            );
        }
    }
    let advice = advice("Create the sync in this account and region.");
    let request = described.as_ref().and_then(|sync| Some((sync, Request::creating(sync)?)));
    match request {
        Some((sync, request)) => advice.command(
            "Create the sync as the expectation describes it.",
            SyncInTarget { target, sync }.regional("aws ssm create-resource-data-sync").input(&request),
        ),
        None => wanted(
            target,
            expectation,
            advice,
            "The expectation leaves something open, so there is no command. It wants these parameters of \
             `CreateResourceDataSync`:",
        ),
    }
}

/// Who would create the sync that is missing.
fn owner_of_missing(expectation: &Expectation, described: Option<&DataSync>) -> ManagedBy {
    match (described, expectation.managed_by.as_slice()) {
        (Some(sync), _) => sync.managed_by(),
        (None, [owner]) => *owner,
        (None, _) => ManagedBy::Customer,
    }
}

fn drifted(context: SyncInTarget<'_>, expectation: &Expectation) -> Advice {
    let advice = |remedy| Advice::new("The sync is not as expected", remedy, Alert::SsmSyncDrifted);
    if !context.is_customers() {
        return advice("An AWS service owns this sync: change its settings only in that service.");
    }
    let is_from_source = context.sync.sync_type == SyncType::FromSource;
    let advice = advice(if is_from_source {
        "Update the sync."
    } else {
        "AWS cannot change a sync to a bucket, so delete it and create it again."
    });
    let corrected = expectation.corrected_sync(context.sync, &context.target.observed());
    let advice = match &corrected {
        Some(corrected) if is_from_source => match Request::creating(corrected) {
            Some(request) => advice.command(
                "Update the sync to what the expectation describes. Its other settings stay as AWS reports them.",
                context.regional("aws ssm update-resource-data-sync").input(&request),
            ),
            None => advice,
        },
        Some(corrected) => recreate_as(
            context,
            corrected,
            advice,
            "Create the sync again as the expectation describes it. Its other settings are those that AWS reports.",
        ),
        None => advice,
    };
    if advice.steps.is_empty() {
        let text = "There is no command, because the expectation leaves something open, or AWS does not report all settings. \
                    The expectation wants these parameters of `CreateResourceDataSync`:";
        return wanted(context.target, expectation, advice, text);
    }
    advice
}

fn forbidden(context: SyncInTarget<'_>) -> Advice {
    let advice = |remedy| Advice::new("The sync is forbidden", remedy, Alert::SsmSyncForbidden);
    match context.sync.managed_by() {
        ManagedBy::Customer => {
            let remedy = "Find out who created the sync, for example in CloudTrail, and whether its data may leave the account. \
                          Then delete it.";
            advice(remedy)
                .command(
                    "Show who created syncs in this account and region in the last 90 days.",
                    context.regional("aws cloudtrail lookup-events").and(
                        "--lookup-attributes AttributeKey=EventName,AttributeValue=CreateResourceDataSync",
                    ),
                )
                .detail("Delete the sync. The data in the bucket stays.", delete_command(context))
        }
        _ => advice(
            "An AWS service owns this sync: remove it in that service, or exclude the service in `managed_by` of the \
             expectation.",
        ),
    }
}

/// Lists what the expectation wants.
fn wanted(target: &AssessedTarget, expectation: &Expectation, advice: Advice, text: &'static str) -> Advice {
    let names = expectation.request.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let name = (!names.is_empty()).then(|| format!("SyncName: {names}"));
    let sync_type = format!("SyncType: {}", expectation.request.sync_type);
    let fields = expectation.wanted_fields(&target.observed()).into_iter().filter_map(|(field, wanted)| {
        Some(format!("{}: {}", field.request_parameter()?, wanted.as_deref().unwrap_or("absent")))
    });
    let list = name.into_iter().chain([sync_type]).chain(fields).collect();
    advice.detail(text, Detail::List(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectations::{ExpectedFlag, ExpectedSync, ExpectedText, Presence, TextPattern};
    use crate::fleet::TargetSelector;
    use crate::health::HealthPolicy;
    use crate::health::remedy::tests::{assess_by, destination, details, from_source};
    use crate::health::tests::sync;

    fn text(patterns: &[&str]) -> ExpectedText {
        ExpectedText::AnyOf(patterns.iter().map(|pattern| TextPattern::parse(pattern).unwrap()).collect())
    }

    /// An expectation of a sync to a bucket.
    fn expectation(name: &str, change: impl FnOnce(&mut ExpectedSync)) -> Expectation {
        let mut request = ExpectedSync::any(SyncType::ToDestination);
        request.names = vec![TextPattern::parse(name).unwrap()];
        request.bucket_name = Some(text(&["org-{region}"]));
        request.bucket_region = Some(text(&["eu-central-1"]));
        change(&mut request);
        Expectation {
            name: "it".to_owned(),
            targets: TargetSelector::default(),
            managed_by: Vec::new(),
            presence: Presence::Required,
            request,
        }
    }

    /// The advice about the only violation of the expectation by a target with these syncs.
    fn advice(expectation: Expectation, syncs: Vec<DataSync>) -> Advice {
        let policy = HealthPolicy { expectations: vec![expectation], ..HealthPolicy::default() };
        let target = assess_by(&policy, "eu-west-1", syncs);
        let violation = target.judgements()[0].violations[0];
        for_violation(&target, &policy.expectations[0], violation.subject, violation.field)
    }

    fn to_bucket(name: &str) -> DataSync {
        DataSync { destination: Some(destination()), ..sync(name, None) }
    }

    /// The request in the last command.
    fn request(advice: &Advice) -> serde_json::Value {
        let text = details(advice);
        let (_, json) = text.rsplit_once("--cli-input-json '").unwrap();
        serde_json::from_str(json.split_once('\'').unwrap().0).unwrap()
    }

    #[test]
    fn a_missing_sync_is_created_as_the_expectation_describes_it() {
        let advice = advice(expectation("inventory", |_| ()), Vec::new());
        assert!(advice.runbook_url.ends_with("#ssmsyncmissing"));
        let text = details(&advice);
        assert!(text.starts_with("aws ssm create-resource-data-sync --region eu-west-1 \\\n"), "{text}");
        let destination = serde_json::json!({"BucketName": "org-eu-west-1", "Region": "eu-central-1", "SyncFormat": "JsonSerDe"});
        assert_eq!(
            request(&advice),
            serde_json::json!({
                "SyncName": "inventory", "SyncType": "SyncToDestination", "S3Destination": destination,
            })
        );
    }

    #[test]
    fn what_an_expectation_leaves_open_is_listed_instead_of_a_command() {
        let open = expectation("inventory", |request| {
            request.bucket_name = Some(text(&["org-*", "other"]));
            request.bucket_prefix = Some(ExpectedText::Absent);
        });
        let text = details(&advice(open, Vec::new()));
        assert_eq!(
            text.lines().next().unwrap(),
            "SyncName: inventory, SyncType: SyncToDestination, S3Destination.BucketName: org-* or other, \
             S3Destination.Prefix: absent, S3Destination.Region: eu-central-1"
        );
        assert!(!text.contains("aws ssm"), "{text}");
        let any_name = details(&advice(expectation("org-*", |_| ()), Vec::new()));
        assert!(any_name.starts_with("SyncName: org-*, "), "{any_name}");
    }

    #[test]
    fn a_sync_to_a_bucket_is_deleted_and_created_again_with_the_fields_that_differ() {
        let advice = advice(expectation("inventory", |_| ()), vec![to_bucket("inventory")]);
        let text = details(&advice);
        let delete = "aws ssm delete-resource-data-sync --region eu-west-1 --sync-type SyncToDestination --sync-name inventory\n";
        assert!(text.starts_with(delete), "{text}");
        let request = request(&advice);
        // The bucket is as described, and everything else as it was.
        assert_eq!(request["S3Destination"]["BucketName"], "org-eu-west-1");
        assert_eq!(request["S3Destination"]["Prefix"], "ssm/");
        let other_prefix = expectation("inventory", |request| {
            request.bucket_name = Some(self::text(&["org-*"]));
            request.bucket_prefix = Some(ExpectedText::Absent);
            request.sharing_type = Some(self::text(&["Organization"]));
        });
        let advice = self::advice(other_prefix, vec![to_bucket("inventory")]);
        let request = self::request(&advice);
        assert_eq!(request["S3Destination"]["BucketName"], "org-inventory", "it is not different");
        assert!(request["S3Destination"].get("Prefix").is_none());
        assert_eq!(
            request["S3Destination"]["DestinationDataSharing"]["DestinationDataSharingType"], "Organization",
            "AWS does not report it"
        );
    }

    #[test]
    fn a_sync_from_a_source_is_updated() {
        let mut wanted = expectation("explorer", |request| {
            (request.bucket_name, request.bucket_region) = (None, None);
            request.enable_all_ops_data_sources = Some(ExpectedFlag::Is(false));
        });
        wanted.request.sync_type = SyncType::FromSource;
        let advice = advice(wanted, vec![from_source("explorer", None)]);
        assert!(details(&advice).starts_with("aws ssm update-resource-data-sync --region eu-west-1 \\\n"));
        let request = request(&advice);
        assert_eq!(request["SyncSource"]["EnableAllOpsDataSources"], false);
        assert_eq!(request["SyncSource"]["IncludeFutureRegions"], true);
    }

    #[test]
    fn a_sync_that_an_aws_service_owns_is_neither_created_nor_changed_nor_deleted() {
        for name in ["InspectorResourceDataSync-do-not-delete", "license-manager-1", "AWS-QuickSetup-1"] {
            let required = expectation(name, |_| ());
            let forbidden = Expectation {
                presence: Presence::Forbidden,
                ..expectation(name, |request| (request.bucket_name, request.bucket_region) = (None, None))
            };
            for advice in [
                advice(required.clone(), Vec::new()),
                advice(required, vec![to_bucket(name)]),
                advice(forbidden, vec![to_bucket(name)]),
            ] {
                let text = details(&advice);
                assert!(!text.contains("aws ssm "), "{name}: {text}");
            }
        }
    }

    #[test]
    fn a_forbidden_sync_is_deleted() {
        let forbidden = Expectation {
            presence: Presence::Forbidden,
            ..expectation("*", |request| (request.bucket_name, request.bucket_region) = (None, None))
        };
        let advice = advice(forbidden, vec![to_bucket("-x")]);
        assert!(advice.runbook_url.ends_with("#ssmsyncforbidden"));
        let text = details(&advice);
        assert!(
            text.contains("aws cloudtrail lookup-events --region eu-west-1 --lookup-attributes "),
            "{text}"
        );
        assert!(
            text.contains(
                "delete-resource-data-sync --region eu-west-1 --sync-type SyncToDestination --sync-name=-x\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_corrected_sync_is_as_expected() {
        let wanted = expectation("inventory", |request| {
            request.bucket_prefix = Some(ExpectedText::Absent);
            request.kms_key_arn = Some(text(&["arn:{partition}:kms:eu-central-1:{account_id}:key/1"]));
            request.sharing_type = Some(text(&["Organization"]));
        });
        let policy = HealthPolicy { expectations: vec![wanted], ..HealthPolicy::default() };
        let target = assess_by(&policy, "eu-west-1", vec![to_bucket("inventory")]);
        let wanted = &policy.expectations[0];
        let found = target.sync(0).unwrap().sync;
        let corrected = wanted.corrected_sync(found, &target.observed()).unwrap();
        let again = assess_by(&policy, "eu-west-1", vec![corrected]);
        assert!(again.judgements()[0].violations.is_empty() && again.judgements()[0].unverified.is_empty());
        let described = wanted.described_sync(&target.observed()).unwrap();
        let again = assess_by(&policy, "eu-west-1", vec![described]);
        assert!(again.judgements()[0].violations.is_empty() && again.judgements()[0].unverified.is_empty());
    }
}
