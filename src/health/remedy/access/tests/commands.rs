//! The statements and commands in `tests/golden/access_advice.json`, which an integration test runs with the
//! AWS CLI.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;

/// A statement and its commands for each kind of caller and policy.
#[test]
fn statements_and_commands_are_those_of_the_golden_file() {
    let role_arn = role(111_122_223_333);
    let assume =
        |external_id_configured| CheckedStep::AssumeRole { role_arn: &role_arn, external_id_configured };
    let user = "arn:aws:iam::123456789012:user/ops/mary";
    let identity_center = "arn:aws:sts::999900000000:assumed-role/AWSReservedSSO_Admin_0a1b/mary";
    let lacks = |policy: &str| format!("because no {policy} allows the ssm:ListResourceDataSync action");
    let of_user = |action: &str, step| {
        let message = format!(
            "User: {user} is not authorized to perform: {action} because no identity-based policy allows it"
        );
        (denied(Reason::AccessDenied, &message), step)
    };
    let tags = format!("User: {HUB} is not authorized to perform: sts:TagSession on resource: {role_arn}");
    let managed =
        "with an explicit deny in an identity-based policy: arn:aws:iam::123456789012:policy/DenyAll";
    let lists = CheckedStep::ListSyncs;
    let lookup = CheckedStep::ListManagedNodes;
    let denied_lookup = |context: &str| {
        let context = context.replace("ListResourceDataSync", "DescribeInstanceInformation");
        (calling("ssm:DescribeInstanceInformation", 111_122_223_333, &context), lookup)
    };
    let failures = [
        (assuming(111_122_223_333, HUB, ""), assume(true)),
        (assuming(111_122_223_333, user, ""), assume(false)),
        (assuming(111_122_223_333, identity_center, ""), assume(true)),
        (denied(Reason::AssumeRoleDenied, &tags), assume(true)),
        (assuming(111_122_223_333, HUB, " with an explicit deny in the role trust policy"), assume(true)),
        (assuming(111_122_223_333, HUB, " because no identity-based policy allows the action"), assume(true)),
        (listing(111_122_223_333, &lacks("identity-based policy")), lists),
        (listing(111_122_223_333, ""), lists),
        of_user("ssm:ListResourceDataSync", lists),
        of_user("account:ListRegions", CheckedStep::ListRegions),
        of_user("organizations:ListAccounts", CheckedStep::ListAccounts),
        (Failure::new(Reason::AccessDenied, "denied"), CheckedStep::ListUnits),
        (listing(111_122_223_333, "with an explicit deny in an identity-based policy"), lists),
        (listing(111_122_223_333, managed), lists),
        (listing(111_122_223_333, &lacks("permissions boundary")), lists),
        (listing(111_122_223_333, &lacks("session policy")), lists),
        (listing(111_122_223_333, &lacks("VPC endpoint policy")), lists),
        denied_lookup(&lacks("identity-based policy")),
        denied_lookup(""),
        of_user("ssm:DescribeInstanceInformation", lookup),
        (Failure::new(Reason::AccessDenied, "denied"), lookup),
        denied_lookup("with an explicit deny in an identity-based policy"),
        denied_lookup(&lacks("permissions boundary")),
        denied_lookup(&lacks("session policy")),
        denied_lookup(&lacks("VPC endpoint policy")),
    ];
    let advice = failures.iter().map(|(failure, step)| {
        let (cause, advice) = advise(std::slice::from_ref(failure), *step);
        json!({"cause": cause.kind.as_str(), "statement": advice.statement, "command": advice.command})
    });
    let advice: Vec<Value> = advice.collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/access_advice.json");
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(serde_json::to_string_pretty(&advice).unwrap() + "\n", golden);
}
