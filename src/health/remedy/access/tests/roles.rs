//! Roles that cannot be assumed.

use super::*;

#[test]
fn the_trust_policy_gets_the_role_of_the_caller_and_no_external_id() {
    let role = role(111_122_223_333);
    let step = |external_id_configured| CheckedStep::AssumeRole { role_arn: &role, external_id_configured };
    let failure = || assuming(111_122_223_333, HUB, "");
    let (cause, advice) = advise(&[failure()], step(true));
    assert_eq!(cause.kind, AccessCauseKind::TrustPolicy);
    assert_eq!(advice.title, "Cannot assume a role: SsmSyncExporter");
    assert_eq!(
        json(advice.statement.as_deref()),
        serde_json::json!({
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::999900000000:role/ssm-sync-exporter"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "EXTERNAL_ID"}},
        })
    );
    assert_eq!(
        advice.command.as_deref(),
        Some(
            "aws iam get-role --role-name SsmSyncExporter --query Role.AssumeRolePolicyDocument --output json > trust-policy.json\n\
             ${EDITOR:-vi} trust-policy.json\n\
             aws iam update-assume-role-policy --role-name SsmSyncExporter --policy-document file://trust-policy.json"
        )
    );
    for part in [
        "the last command replaces the whole policy",
        "Replace `EXTERNAL_ID`",
        "compare it with `aws sts get-caller-identity`",
        "in the account 111122223333.",
    ] {
        assert!(advice.remedy.contains(part), "{part}: {}", advice.remedy);
    }
    for part in ["`ExporterRoleArn`", "`ExternalId`", "`exporter_role_arn`", "`external_id`"] {
        assert!(advice.deployment_parameter.as_ref().unwrap().contains(part), "{part}");
    }
    let (_, advice) = advise(&[failure()], step(false));
    assert!(!format!("{advice:?}").contains("EXTERNAL_ID"), "{advice:?}");
    assert!(json(advice.statement.as_deref()).get("Condition").is_none());
    assert_eq!(advice.title, "Cannot assume a role without an external id: SsmSyncExporter");
    assert!(advice.remedy.starts_with(advice.first_step.unwrap()), "{advice:?}");
}

#[test]
fn a_role_of_an_aws_profile_may_have_an_external_id_there() {
    let (_, advice) = advise(&[assuming(111_122_223_333, HUB, "")], CheckedStep::Credentials);
    assert_eq!(advice.title, "Cannot assume a role: SsmSyncExporter");
    assert_eq!(advice.first_step, None);
}

#[test]
fn a_missing_role_a_wrong_external_id_and_a_role_that_trusts_another_are_one_cause_in_all_accounts() {
    let roles = [role(111_122_223_333), role(444_455_556_666)];
    let causes: std::collections::BTreeSet<AccessCause> = roles
        .iter()
        .zip(["", " because no role trust policy allows the sts:AssumeRole action"])
        .map(|(role_arn, context)| {
            let failure = assuming(role_arn.account().as_str().parse().unwrap(), HUB, context);
            AccessCause::of(&failure, CheckedStep::AssumeRole { role_arn, external_id_configured: true })
        })
        .collect();
    assert_eq!(causes.len(), 1, "{causes:#?}");
    let failures: Vec<Failure> = [111_122_223_333, 444_455_556_666].map(|id| assuming(id, HUB, "")).into();
    let examples: Vec<AccessExample> = failures
        .iter()
        .zip(&roles)
        .map(|(failure, role_arn)| {
            let step = CheckedStep::AssumeRole { role_arn, external_id_configured: true };
            AccessExample { failure, step, caller: None }
        })
        .collect();
    let advice = causes.first().unwrap().advice(&examples);
    assert!(advice.remedy.ends_with("Run the commands in each account."), "{}", advice.remedy);
    for part in ["the role exists", "trust policy", "external id", "`sts:AssumeRole`"] {
        assert!(advice.remedy.contains(part), "{part}: {}", advice.remedy);
    }
}

#[test]
fn the_role_of_a_caller_has_its_path_where_it_is_known_and_another_form_in_identity_center() {
    let role_arn = role(111_122_223_333);
    let step = CheckedStep::AssumeRole { role_arn: &role_arn, external_id_configured: false };
    let failure = assuming(111_122_223_333, HUB, "");
    let caller: RoleArn = "arn:aws:iam::999900000000:role/monitoring/ssm-sync-exporter".parse().unwrap();
    let statement = |failure, caller| {
        let example = AccessExample { failure, step, caller };
        let advice = AccessCause::of(failure, step).advice(&[example]);
        (json(advice.statement.as_deref()), advice.remedy)
    };
    let (with_path, remedy) = statement(&failure, Some(&caller));
    assert_eq!(with_path["Principal"]["AWS"], caller.as_str());
    assert!(!remedy.contains("without the path"), "{remedy}");
    assert!(statement(&failure, None).1.contains("without the path"));
    // The message may be from a proxy: the role that the exporter assumed is the caller in any case.
    let failure = assuming(111_122_223_333, "arn:aws:sts::666666666666:assumed-role/other/s", "");
    assert_eq!(statement(&failure, Some(&caller)).0["Principal"]["AWS"], caller.as_str());
    let person = assuming(
        111_122_223_333,
        "arn:aws-cn:sts::999900000000:assumed-role/AWSReservedSSO_Admin_0a1b/mary@example.com",
        "",
    );
    let (person, _) = statement(&person, None);
    assert_eq!(person["Principal"]["AWS"], "arn:aws-cn:iam::999900000000:root");
    assert_eq!(
        person["Condition"]["ArnLike"]["aws:PrincipalArn"],
        "arn:aws-cn:iam::999900000000:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Admin_0a1b"
    );
    // The whole account is never trusted in place of a caller that is not known.
    for unknown in ["arn:aws:iam::999900000000:root", "arn:aws:sts::1:assumed-role/x/y", "anonymous"] {
        let failure = assuming(111_122_223_333, unknown, "");
        let advice = AccessCause::of(&failure, step).advice(&[AccessExample {
            failure: &failure,
            step,
            caller: None,
        }]);
        let unknown = json(advice.statement.as_deref());
        assert_eq!(unknown["Principal"]["AWS"], "ARN_OF_THE_CALLER");
    }
}

#[test]
fn callers_in_several_accounts_are_one_cause_with_a_placeholder() {
    let failures: Vec<Failure> = [111_122_223_333_u64, 444_455_556_666]
        .map(|id| assuming(777_788_889_999, &format!("arn:aws:iam::{id}:user/exporter"), ""))
        .into();
    let role_arn = role(777_788_889_999);
    let step = CheckedStep::AssumeRole { role_arn: &role_arn, external_id_configured: false };
    let (_, advice) = advise(&failures, step);
    assert_eq!(
        json(advice.statement.as_deref())["Principal"]["AWS"],
        "arn:aws:iam::ACCOUNT_ID:user/exporter"
    );
}

#[test]
fn the_exporters_own_role_is_allowed_to_assume_the_role_in_all_accounts() {
    let role_arn = role(111_122_223_333);
    let step = CheckedStep::AssumeRole { role_arn: &role_arn, external_id_configured: true };
    let context = " because no identity-based policy allows the sts:AssumeRole action";
    let failures: Vec<Failure> =
        [111_122_223_333, 444_455_556_666].map(|id| assuming(id, HUB, context)).into();
    let (_, advice) = advise(&failures, step);
    assert_eq!(
        advice.statement.as_deref(),
        Some(
            r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/SsmSyncExporter"}"#
        )
    );
    let command = advice.command.unwrap();
    assert!(
        command.starts_with("aws iam put-role-policy --role-name ssm-sync-exporter --policy-name "),
        "{command}"
    );
    assert!(command.contains("ssm-sync-exporter-AssumeRole-SsmSyncExporter"), "{command}");
    assert!(advice.remedy.ends_with("Run the command in the account 999900000000."), "{}", advice.remedy);
    assert!(advice.deployment_parameter.unwrap().contains("`MemberRoleName`"));
}

#[test]
fn session_tags_need_a_second_action() {
    let message =
        format!("User: {HUB} is not authorized to perform: sts:TagSession on resource: {}", role(1));
    let role_arn = role(1);
    let step = CheckedStep::AssumeRole { role_arn: &role_arn, external_id_configured: false };
    let (cause, advice) = advise(&[denied(Reason::AssumeRoleDenied, &message)], step);
    assert_eq!(cause.kind, AccessCauseKind::TrustPolicy);
    assert_eq!(
        json(advice.statement.as_deref())["Action"],
        serde_json::json!(["sts:AssumeRole", "sts:TagSession"])
    );
    assert!(advice.deployment_parameter.unwrap().contains("`ExporterSessionTags=true`"));
}
