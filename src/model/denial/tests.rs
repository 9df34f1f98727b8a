//! Tests with the texts that AWS documents, and with those that users of AWS have published.

use proptest::prelude::*;

use super::*;

const HUB: &str = "arn:aws:sts::999900000000:assumed-role/ssm-sync-exporter/i-0abc";
const MEMBER: &str = "arn:aws:sts::111122223333:assumed-role/SsmSyncExporter/ssm-sync-exporter";
const ROLE: &str = "arn:aws:iam::111122223333:role/SsmSyncExporter";
const LIST: &str = "ssm:ListResourceDataSync";
const SCP: &str = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/service_control_policy/p-2kgnabcd";

fn parse(message: &str) -> Denial {
    Denial::parse(message).unwrap_or_else(|| panic!("not parsed: {message}"))
}

/// A denial of listing the syncs of a region to the member role.
fn listing(context: &str) -> Denial {
    let text = format!(
        "User: {MEMBER} is not authorized to perform: {LIST} on resource: \
         arn:aws:ssm:eu-west-1:111122223333:* {context}"
    );
    let denial = parse(&text);
    assert_eq!(denial.principal.as_deref(), Some(MEMBER), "{text}");
    assert_eq!(denial.action.as_deref(), Some(LIST), "{text}");
    assert_eq!(denial.resource.as_deref(), Some("arn:aws:ssm:eu-west-1:111122223333:*"), "{text}");
    denial
}

#[test]
fn every_documented_kind_of_policy_is_told() {
    use DenialKind::*;
    for (context, kind, is_explicit) in [
        ("because no identity-based policy allows the ssm:X action", IdentityPolicy, false),
        ("with an explicit deny in an identity-based policy", IdentityPolicy, true),
        ("because no resource-based policy allows the ssm:X action", ResourcePolicy, false),
        ("with an explicit deny in a resource-based policy", ResourcePolicy, true),
        ("because no permissions boundary allows the ssm:X action", PermissionsBoundary, false),
        ("with an explicit deny in a permissions boundary", PermissionsBoundary, true),
        ("because no session policy allows the ssm:X action", SessionPolicy, false),
        ("with an explicit deny in a session policy", SessionPolicy, true),
        // As in an example of the user guide.
        ("with an explicit deny in a sessions policy", SessionPolicy, true),
        ("because no VPC endpoint policy allows the ssm:X action", VpcEndpointPolicy, false),
        ("with an explicit deny in a VPC endpoint policy", VpcEndpointPolicy, true),
        ("because no service control policy allows the ssm:X action", ServiceControlPolicy, false),
        ("with an explicit deny in a service control policy", ServiceControlPolicy, true),
        ("due to an explicit deny in a Service Control Policy", ServiceControlPolicy, true),
        (
            "with an explicit deny in a VPC endpoint policy transitively through a service control policy",
            ServiceControlPolicy,
            true,
        ),
        ("because no resource control policy allows the ssm:X action", ResourceControlPolicy, false),
        ("with an explicit deny in a resource control policy", ResourceControlPolicy, true),
        ("because no role trust policy allows the sts:AssumeRole action", TrustPolicy, false),
        ("with an explicit deny in the role trust policy", TrustPolicy, true),
        // Before 2021, and from some services still.
        ("with an explicit deny", Unstated, true),
        ("", Unstated, false),
        ("because of something else", Unstated, false),
    ] {
        let denial = listing(context);
        assert_eq!(
            (denial.kind, denial.is_explicit, denial.policy_arn),
            (kind, is_explicit, None),
            "{context}"
        );
    }
}

#[test]
fn the_arn_of_the_denying_policy_is_read_in_each_form() {
    let boundary = "arn:aws:iam::111122223333:policy/path/umak-lab-boundary";
    for (context, kind, arn) in [
        (format!("with an explicit deny in a service control policy: {SCP}"), DenialKind::ServiceControlPolicy, SCP),
        // As the user guide has it, with its line end.
        (
            format!("with an explicit deny in a service control policy, with policy ARN:\n{SCP}"),
            DenialKind::ServiceControlPolicy,
            SCP,
        ),
        (
            format!("with an explicit deny in a permissions boundary: {boundary}. Encoded authorization failure message: GdIW"),
            DenialKind::PermissionsBoundary,
            boundary,
        ),
        (
            format!("with an explicit deny in a permissions boundary: {boundary} (Service: Ssm, Status Code: 400)"),
            DenialKind::PermissionsBoundary,
            boundary,
        ),
        (
            "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3".to_owned(),
            DenialKind::IdentityPolicy,
            "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
        ),
        (
            "with an explicit deny in a session policy, with policy ARN: \"arn:aws-cn:iam::111122223333:policy/S\".".to_owned(),
            DenialKind::SessionPolicy,
            "arn:aws-cn:iam::111122223333:policy/S",
        ),
        (
            "with an explicit deny in a resource control policy: \
             arn:aws-us-gov:organizations::987654321098:policy/o-a/resource_control_policy/p-b"
                .to_owned(),
            DenialKind::ResourceControlPolicy,
            "arn:aws-us-gov:organizations::987654321098:policy/o-a/resource_control_policy/p-b",
        ),
    ] {
        let denial = listing(&context);
        assert_eq!((denial.kind, denial.policy_arn.as_deref()), (kind, Some(arn)), "{context}");
        assert!(denial.is_explicit);
    }
    // Not the ARN of a policy.
    let denial = listing("with an explicit deny in a service control policy, see arn:aws:iam::1:role/x");
    assert_eq!(denial.policy_arn, None);
}

#[test]
fn the_trust_policy_of_a_role_denies_assuming_it_in_several_words() {
    let assuming = |context: &str| {
        let text =
            format!("User: {HUB} is not authorized to perform: sts:AssumeRole on resource: {ROLE}{context}");
        let denial = parse(&text);
        assert_eq!(denial.principal.as_deref(), Some(HUB));
        assert_eq!(denial.resource.as_deref(), Some(ROLE));
        denial.kind
    };
    assert_eq!(assuming(""), DenialKind::Unstated);
    assert_eq!(
        assuming(" because no identity-based policy allows the sts:AssumeRole action"),
        DenialKind::IdentityPolicy
    );
    for context in [
        " because no role trust policy allows the sts:AssumeRole action",
        " because no resource-based policy allows the sts:AssumeRole action",
        " with an explicit deny in the role trust policy",
    ] {
        assert_eq!(assuming(context), DenialKind::TrustPolicy, "{context}");
    }
}

#[test]
fn principals_and_resources_are_read_from_all_forms_of_the_sentence() {
    let user = "arn:aws:iam::777788889999:user/ops/MaryMajor";
    for (text, principal, action, resource) in [
        (
            "You are not authorized to perform this operation. User: arn:aws:iam::777788889999:user/ops/MaryMajor is not \
             authorized to perform: ec2:DescribeRegions with an explicit deny",
            Some(user),
            Some("ec2:DescribeRegions"),
            None,
        ),
        (
            "arn:aws:iam::777788889999:user/ops/MaryMajor is not authorized to perform: SNS:Publish on resource: \
             \"arn:aws:sns:us-east-1:444455556666:a\"",
            Some(user),
            Some("SNS:Publish"),
            Some("arn:aws:sns:us-east-1:444455556666:a"),
        ),
        (
            "User: arn:aws:iam::777788889999:user/ops/MaryMajor is not authorized to perform: organizations:ListAccounts on \
             resource: * because no resource-based policy allows the organizations:ListAccounts action",
            Some(user),
            Some("organizations:ListAccounts"),
            Some("*"),
        ),
        (
            "User: arn:aws:iam::777788889999:user/ops/MaryMajor is not authorized to perform: iam:CreatePolicyVersion on \
             resource: policy arn:aws:iam::777788889999:policy/x with an explicit deny",
            Some(user),
            Some("iam:CreatePolicyVersion"),
            Some("arn:aws:iam::777788889999:policy/x"),
        ),
        (
            "User: arn:aws:iam::777788889999:user/ops/MaryMajor is not authorized to perform: iam:GetRole on resource: role \
             voclabs",
            Some(user),
            Some("iam:GetRole"),
            None,
        ),
        ("User is not authorized to perform: account:ListRegions.", None, Some("account:ListRegions"), None),
        (
            "User: anonymous is not authorized to perform: ssm:X on resource: arn:aws:ssm:a:1:b, see",
            None,
            Some("ssm:X"),
            Some("arn:aws:ssm:a:1:b"),
        ),
        (
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            None,
            Some("sts:AssumeRoleWithWebIdentity"),
            None,
        ),
        ("because no session policy allows the ssm:ListResourceDataSync action", None, Some(LIST), None),
        (
            "User: arn:aws-us-gov:sts::111122223333:federated-user/Bob is not authorized to perform: ssm:X",
            Some("arn:aws-us-gov:sts::111122223333:federated-user/Bob"),
            Some("ssm:X"),
            None,
        ),
        (
            "User:\narn:aws-cn:iam::111122223333:root is\nnot authorized to perform:\nssm:X\non resource:\narn:aws-cn:ssm:a:1:b",
            Some("arn:aws-cn:iam::111122223333:root"),
            Some("ssm:X"),
            Some("arn:aws-cn:ssm:a:1:b"),
        ),
        (
            "User: arn:aws:iam::1:user/a is not authorized to perform this operation",
            Some("arn:aws:iam::1:user/a"),
            None,
            None,
        ),
    ] {
        let denial = parse(text);
        assert_eq!(
            (denial.principal.as_deref(), denial.action.as_deref(), denial.resource.as_deref()),
            (principal, action, resource),
            "{text}"
        );
    }
}

#[test]
fn messages_that_say_nothing_are_no_denials() {
    for text in [
        "",
        "Access Denied",
        // Organizations, in an account that is neither the management account nor a delegated administrator's.
        "You don't have permissions to access this resource.",
        // The common error `NotAuthorized`.
        "You do not have permission to perform this action.",
        "You are not authorized to perform this operation.",
        "<html>not authorized to perform: <b>x</b></html>",
        "Roles may not be assumed by root accounts.",
    ] {
        assert_eq!(Denial::parse(text), None, "{text}");
    }
}

#[test]
fn hostile_and_overlong_parts_are_left_out() {
    let long = format!("arn:aws:iam::111122223333:user/{}", "x".repeat(MAX_TEXT_CHARS));
    let denial = parse(&format!("User: {long} is not authorized to perform: ssm:X"));
    assert_eq!((denial.principal, denial.action.as_deref()), (None, Some("ssm:X")));
    let denial =
        parse(&format!("User: {HUB} is not authorized to perform: ssm:X {}", "x ".repeat(1_000_000)));
    assert_eq!(denial.principal.as_deref(), Some(HUB));
    for hostile in [
        "arn:aws:iam::1:user/\u{1b}[2J",
        "arn:aws:iam::1:user/$(reboot)",
        "arn:aws:iam::1:user/`reboot`",
        "arn:aws:iam::1:user/a'b",
        "arn:aws:iam::1:user/ü",
        "arn:aws:iam::1:user/a\u{202e}b",
        "arn:evil:iam::1:user/a",
        // An external id that occurred in the ARN was redacted.
        "arn:aws:iam::1:role/(redacted)",
        "arn:aws:iam::1:role/x(redacted)y",
    ] {
        let denial =
            parse(&format!("User: {hostile} is not authorized to perform: ssm:X on resource: {hostile}"));
        assert_eq!((denial.principal, denial.resource), (None, None), "{hostile}");
    }
    for action in ["ssm:<b>", "ssm:", ":x", "ssm", "a:b:c", "ssm:$(x)"] {
        let denial =
            parse(&format!("User: {HUB} is not authorized to perform: {action} on resource: {ROLE}"));
        assert_eq!(denial.action, None, "{action}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,400}") {
        Denial::parse(&text);
    }

    #[test]
    fn parts_of_denials_in_any_order_are_parsed_to_bounded_printable_texts(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "User: ", "is not authorized to perform", ": ", " ", "ssm:List", "on resource: ", "\"", "arn:aws:iam::1:user/x",
                "with an explicit deny in a ", "service control policy", "because no ", " allows the ", "ü", "\n", "*",
                "transitively through", "K", "İ", "(redacted)", "session policy", "arn:aws:iam::1:policy/x",
            ]),
            0..24,
        ),
    ) {
        let text = parts.concat();
        if let Some(denial) = Denial::parse(&text) {
            for part in [denial.principal, denial.action, denial.resource, denial.policy_arn].into_iter().flatten() {
                prop_assert!(part.len() <= MAX_TEXT_CHARS && part.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(text.contains(&part));
            }
        }
    }
}
