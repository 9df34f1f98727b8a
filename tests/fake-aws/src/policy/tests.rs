use super::*;

const CALLER: &str = "999900000000";

fn policy(kind: PolicyKind, statements: &str) -> Policy {
    Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": {statements}}}"#), kind).unwrap()
}

fn principal() -> Principal {
    Principal {
        account: CALLER.to_owned(),
        identity: format!("arn:aws:iam::{CALLER}:role/hub"),
        session: format!("arn:aws:sts::{CALLER}:assumed-role/hub/session"),
    }
}

fn context(values: &[(&'static str, &str)]) -> Context {
    let mut context = Context::default();
    for (key, value) in values {
        context.add(key, *value);
    }
    context
}

fn decide(policy: &Policy, action: &str, resource: &str, context: &Context) -> Decision {
    policy.decide(&Request { principal: &principal(), action, resource, context })
}

fn decide_list(policy: &Policy) -> Decision {
    decide(policy, "ssm:ListResourceDataSync", "*", &Context::default())
}

#[test]
fn only_named_actions_are_allowed() {
    let decision = |actions: &str| {
        let statement = format!(r#"{{"Effect": "Allow", {actions}, "Resource": "*"}}"#);
        decide_list(&policy(PolicyKind::Identity, &statement))
    };
    for actions in [
        r#""Action": "*""#,
        r#""Action": "ssm:*""#,
        r#""Action": "SSM:listresourcedatasync""#,
        r#""Action": "ssm:List*Sync""#,
        r#""Action": "ssm:ListResourceDataSyn?""#,
        r#""Action": ["ssm:Get*", "ssm:List*"]"#,
        r#""NotAction": ["iam:*", "sts:*"]"#,
    ] {
        assert_eq!(decision(actions), Decision::Allowed, "{actions}");
    }
    for actions in [
        r#""Action": "ssm:List""#,
        r#""Action": "ssm:ListResourceDataSync?""#,
        r#""Action": "sts:*""#,
        r#""Action": ["ssm:Get*"]"#,
        r#""NotAction": ["iam:*", "ssm:*"]"#,
    ] {
        assert_eq!(decision(actions), Decision::NotAllowed, "{actions}");
    }
}

#[test]
fn only_named_resources_are_allowed() {
    let statement = r#"{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Resource": ["arn:aws:iam::*:role/SsmSync*", "arn:aws:iam::${aws:PrincipalAccount}:role/own"]}"#;
    let policy = policy(PolicyKind::Identity, statement);
    let decision =
        |resource| decide(&policy, "sts:AssumeRole", resource, &context(&[("aws:PrincipalAccount", CALLER)]));
    for (resource, expected) in [
        ("arn:aws:iam::111122223333:role/SsmSyncExporter", Decision::Allowed),
        ("arn:aws:iam::999900000000:role/own", Decision::Allowed),
        ("arn:aws:iam::111122223333:role/own", Decision::NotAllowed),
        ("arn:aws:iam::111122223333:role/ssmSyncExporter", Decision::NotAllowed),
        ("arn:aws-cn:iam::111122223333:role/SsmSyncExporter", Decision::NotAllowed),
    ] {
        assert_eq!(decision(resource), expected, "{resource}");
    }
}

#[test]
fn an_explicit_deny_overrides_an_allow() {
    let policy = policy(
        PolicyKind::Identity,
        r#"[{"Sid": "All", "Effect": "Allow", "Action": "ssm:*", "Resource": ["*"]},
            {"Effect": "Deny", "Action": "ssm:Create*", "Resource": "*"}]"#,
    );
    assert_eq!(decide_list(&policy), Decision::Allowed);
    for (action, expected) in
        [("ssm:CreateResourceDataSync", Decision::Denied), ("account:ListRegions", Decision::NotAllowed)]
    {
        assert_eq!(decide(&policy, action, "*", &Context::default()), expected);
    }
}

#[test]
fn principals_are_named_by_arn_or_by_account() {
    let decision = |principal: &str| {
        let statement =
            format!(r#"{{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {principal}}}"#);
        decide(&policy(PolicyKind::Trust, &statement), "sts:AssumeRole", "", &Context::default())
    };
    for (principal, expected) in [
        (r#""*""#, Decision::Allowed),
        (r#"{"AWS": "*"}"#, Decision::Allowed),
        (r#"{"AWS": "arn:aws:iam::999900000000:role/hub"}"#, Decision::Allowed),
        (
            r#"{"AWS": ["999900000000", "arn:aws:sts::999900000000:assumed-role/hub/session"]}"#,
            Decision::Allowed,
        ),
        (r#"{"AWS": "999900000000"}"#, Decision::AllowedToAccount),
        (r#"{"AWS": "arn:aws:iam::999900000000:root"}"#, Decision::AllowedToAccount),
        (r#"{"AWS": "arn:aws:iam::999900000001:root"}"#, Decision::NotAllowed),
        (r#"{"AWS": "arn:aws:iam::999900000000:role/other"}"#, Decision::NotAllowed),
        (r#"{"AWS": "arn:aws:sts::999900000000:assumed-role/hub/other"}"#, Decision::NotAllowed),
        (r#"{"Service": "ec2.amazonaws.com"}"#, Decision::NotAllowed),
    ] {
        assert_eq!(decision(principal), expected, "{principal}");
    }
}

#[test]
fn conditions_compare_the_values_of_a_request() {
    let request = context(&[
        ("ssm:SyncType", "SyncToDestination"),
        ("aws:RequestedRegion", "eu-west-1"),
        ("aws:PrincipalOrgID", "o-fakefakefa"),
        ("aws:ResourceOrgID", "o-fakefakefa"),
    ]);
    let is_met = |condition: &str| {
        let statement =
            format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}"#);
        decide(&policy(PolicyKind::Identity, &statement), "ssm:ListResourceDataSync", "*", &request)
            == Decision::Allowed
    };
    for condition in [
        "{}",
        r#"{"StringEquals": {"ssm:SyncType": "SyncToDestination"}}"#,
        r#"{"StringEquals": {"SSM:synctype": ["SyncFromSource", "SyncToDestination"]}}"#,
        r#"{"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}}"#,
        r#"{"StringEqualsIgnoreCase": {"ssm:SyncType": "synctodestination"}}"#,
        r#"{"StringLike": {"aws:RequestedRegion": ["us-*", "eu-*"]}}"#,
        r#"{"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}}"#,
        r#"{"StringNotEquals": {"sts:ExternalId": "example"}}"#,
        r#"{"StringEqualsIfExists": {"sts:ExternalId": "example"}}"#,
    ] {
        assert!(is_met(condition), "{condition}");
    }
    for condition in [
        r#"{"StringEquals": {"ssm:SyncType": "synctodestination"}}"#,
        r#"{"StringEquals": {"aws:RequestedRegion": "eu-*"}}"#,
        r#"{"StringEquals": {"sts:ExternalId": "example"}}"#,
        r#"{"StringEquals": {"aws:RequestedRegion": "${sts:ExternalId}"}}"#,
        r#"{"StringNotLike": {"aws:RequestedRegion": ["us-*", "eu-*"]}}"#,
        r#"{"StringEqualsIfExists": {"aws:RequestedRegion": "us-east-1"}}"#,
        r#"{"StringEquals": {"ssm:SyncType": "SyncToDestination"}, "StringLike": {"aws:RequestedRegion": "us-*"}}"#,
    ] {
        assert!(!is_met(condition), "{condition}");
    }
}

#[test]
fn malformed_policies_are_rejected() {
    for text in [
        "",
        "[]",
        r#"{"Version": "2012-10-17"}"#,
        r#"{"Version": "2012-10-17", "Statement": []}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
        r#"{"Version": "2026-01-01", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
    ] {
        assert!(Policy::parse(text, PolicyKind::Identity).is_err(), "{text}");
    }
    let is_rejected = |kind, statement: &str| {
        Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#), kind).is_err()
    };
    for statement in [
        r#"{"Effect": "allow", "Action": "*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": [], "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "List*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "*"}"#,
        r#"{"Effect": "Allow", "Action": "*", "Resource": []}"#,
        r#"{"Effect": "Allow", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "*", "NotResource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}"#,
        r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"NumericEquals": {"ssm:SyncType": "1"}}}"#,
        r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:SourceIp": "1"}}}"#,
        r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"ssm:SyncType": []}}}"#,
    ] {
        assert!(is_rejected(PolicyKind::Identity, statement), "{statement}");
    }
    for statement in [
        r#"{"Effect": "Allow", "Action": "sts:AssumeRole"}"#,
        r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "hub"}"#,
        r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::9999:root"}}"#,
        r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::999900000000:role/*x"}, "NotPrincipal": "*"}"#,
    ] {
        assert!(is_rejected(PolicyKind::Trust, statement), "{statement}");
    }
    assert!(is_rejected(PolicyKind::Resource, r#"{"Effect": "Deny", "Action": "sts:*", "Resource": "*"}"#));
    assert!(is_rejected(PolicyKind::Resource, r#"{"Effect": "Deny", "Action": "sts:*", "Principal": "*"}"#));
}
