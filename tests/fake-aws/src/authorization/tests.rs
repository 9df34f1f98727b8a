use std::sync::Arc;

use super::*;
use crate::reply::Reply;
use crate::sts;
use crate::world::{Identity, OrganizationPolicyType};

const HUB: &str = "999900000000";
const MEMBER: &str = "111122223333";
const ROLE: &str = "SsmSyncExporter";
const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/SsmSyncExporter";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/SsmSyncExporter/test";
const ROOT: &str = "r-fake";
const UNIT: &str = "ou-fake-00000001";

use OrganizationPolicyType::{ResourceControl, ServiceControl};

/// An organization of the hub and of a member in a unit, which has a role.
fn world() -> Arc<World> {
    let world = World::new();
    world.create_organization(HUB);
    world.add_unit(UNIT, ROOT);
    world.add_member(MEMBER, "member", UNIT);
    world.add_role(MEMBER, ROLE, None);
    world
}

fn document(statement: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#)
}

/// A policy whose only statement is about these actions on every resource.
fn policy(effect: &str, action: &str) -> String {
    document(&format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}"#))
}

/// The same with the principal `*`.
fn resource_policy(effect: &str, action: &str) -> String {
    document(&format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*", "Principal": "*"}}"#))
}

fn hub(world: &World) -> Caller {
    world.caller(&World::access_key(HUB), None, 0.0).unwrap()
}

/// Assumes a role. Returns the message of the error.
fn assume(world: &World, caller: &Caller, role: &str, more: &[(&str, &str)]) -> Result<(), String> {
    let fixed = [("RoleArn", role), ("RoleSessionName", "test")];
    let parameters = fixed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match sts::handle(world, caller, "eu-west-1", "AssumeRole", &parameters.collect(), &[], 0.0) {
        Reply::Error(error) => Err(error.message),
        _ => Ok(()),
    }
}

/// A session of the role.
fn session(world: &World, policy: Option<&str>) -> Caller {
    let more: Vec<_> = policy.map(|policy| ("Policy", policy)).into_iter().collect();
    assume(world, &hub(world), ROLE_ARN, &more).unwrap();
    let newest = world.assumed_roles().len() - 1;
    let key = format!("ASIA{newest:016}");
    world.caller(&key, Some(&format!("fake-token-{key}")), 0.0).unwrap()
}

fn call(world: &World, caller: &Caller, service: Service, operation: &str) -> Result<(), String> {
    let request = serde_json::json!({"SyncType": "SyncToDestination"});
    let call = Call::of(world, service, operation, caller, "eu-west-1", &Parameters::new(), Some(&request));
    world.denial(call).map_or(Ok(()), Err)
}

fn list_syncs(world: &World, caller: &Caller) -> Result<(), String> {
    call(world, caller, Service::Ssm, "ListResourceDataSync")
}

/// The error of `ListResourceDataSync`.
fn denied(why: &str) -> Result<(), String> {
    Err(format!(
        "User: {SESSION} is not authorized to perform: ssm:ListResourceDataSync \
         on resource: arn:aws:ssm:eu-west-1:{MEMBER}:* {why}"
    ))
}

#[test]
fn everything_is_allowed_until_a_policy_is_set() {
    let world = world();
    let session = session(&world, None);
    assert_eq!(list_syncs(&world, &session), Ok(()));
    assert_eq!(call(&world, &hub(&world), Service::Organizations, "ListAccounts"), Ok(()));
    world.put_policy(MEMBER, &Identity::role(ROLE), "more", &policy("Allow", "s3:*")).unwrap();
    assert_eq!(list_syncs(&world, &session), Ok(()));
}

#[test]
fn an_identity_needs_a_policy_that_allows_the_action_and_none_that_denies_it() {
    let world = world();
    let (session, role) = (session(&world, None), Identity::role(ROLE));
    let implicit = denied("because no identity-based policy allows the ssm:ListResourceDataSync action");
    world.set_policies(MEMBER, &role, &[]).unwrap();
    assert_eq!(list_syncs(&world, &session), implicit);
    world.put_policy(MEMBER, &role, "regions", &policy("Allow", "account:ListRegions")).unwrap();
    assert_eq!(list_syncs(&world, &session), implicit);
    assert_eq!(call(&world, &session, Service::Account, "ListRegions"), Ok(()));
    world.put_policy(MEMBER, &role, "syncs", &policy("Allow", "ssm:List*")).unwrap();
    assert_eq!(list_syncs(&world, &session), Ok(()));
    world.put_policy(MEMBER, &role, "deny", &policy("Deny", "ssm:*")).unwrap();
    assert_eq!(list_syncs(&world, &session), denied("with an explicit deny in an identity-based policy"));
}

#[test]
fn listing_managed_nodes_needs_its_own_permission() {
    let world = world();
    let describe = |session| call(&world, session, Service::Ssm, "DescribeInstanceInformation");
    let denied =
        |why| denied(why).map_err(|text| text.replace("ListResourceDataSync", "DescribeInstanceInformation"));
    let (role, all) = (Identity::role(ROLE), session(&world, None));
    world.set_policies(MEMBER, &role, &[("syncs", &policy("Allow", "ssm:ListResourceDataSync"))]).unwrap();
    let why = "because no identity-based policy allows the ssm:ListResourceDataSync action";
    assert_eq!((list_syncs(&world, &all), describe(&all)), (Ok(()), denied(why)));
    world.put_policy(MEMBER, &role, "nodes", &policy("Allow", "ssm:DescribeInstanceInformation")).unwrap();
    assert_eq!(describe(&all), Ok(()));
    let of_syncs = session(&world, Some(&policy("Allow", "ssm:ListResourceDataSync")));
    let why = "because no session policy allows the ssm:ListResourceDataSync action";
    assert_eq!((list_syncs(&world, &of_syncs), describe(&of_syncs)), (Ok(()), denied(why)));
    let endpoint = resource_policy("Allow", "ssm:ListResourceDataSync");
    world.set_vpc_endpoint_policy("ssm", None, Some(&endpoint)).unwrap();
    let why = "because no VPC endpoint policy allows the ssm:ListResourceDataSync action";
    assert_eq!((list_syncs(&world, &all), describe(&all)), (Ok(()), denied(why)));
}

#[test]
fn a_permissions_boundary_and_a_session_policy_limit_what_the_role_may_do() {
    let world = world();
    let role = Identity::role(ROLE);
    let boundary = |policy: &str| world.set_permissions_boundary(MEMBER, &role, Some(("limit", policy)));
    boundary(&policy("Allow", "s3:*")).unwrap();
    let unlimited = session(&world, None);
    assert_eq!(
        list_syncs(&world, &unlimited),
        denied("because no permissions boundary allows the ssm:ListResourceDataSync action")
    );
    boundary(&policy("Deny", "*")).unwrap();
    assert_eq!(
        list_syncs(&world, &unlimited),
        denied(&format!(
            "with an explicit deny in a permissions boundary: arn:aws:iam::{MEMBER}:policy/limit"
        ))
    );
    world.set_permissions_boundary(MEMBER, &role, None).unwrap();
    assert_eq!(list_syncs(&world, &unlimited), Ok(()));

    let limited = session(&world, Some(&policy("Allow", "account:*")));
    assert_eq!(
        list_syncs(&world, &limited),
        denied("because no session policy allows the ssm:ListResourceDataSync action")
    );
    let limited = session(&world, Some(&policy("Deny", "ssm:*")));
    assert_eq!(list_syncs(&world, &limited), denied("with an explicit deny in a session policy"));
}

#[test]
fn service_control_policies_must_allow_an_action_at_every_level() {
    let world = world();
    let session = session(&world, None);
    let implicit = denied("because no service control policy allows the ssm:ListResourceDataSync action");
    for target in [ROOT, UNIT, MEMBER] {
        world.attach_policy(target, ServiceControl, "p-allow", &policy("Allow", "s3:*"), true).unwrap();
        assert_eq!(list_syncs(&world, &session), Ok(()));
        world.detach_policy(target, ServiceControl, "p-FullAWSAccess");
        assert_eq!(list_syncs(&world, &session), implicit, "{target}");
        world.attach_policy(target, ServiceControl, "p-allow", &policy("Allow", "ssm:*"), true).unwrap();
        assert_eq!(list_syncs(&world, &session), Ok(()));
    }
}

#[test]
fn a_service_control_policy_that_denies_an_action_is_named_if_the_service_supports_it() {
    let world = world();
    let session = session(&world, None);
    let regions = r#"{"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1"]}}}"#;
    for target in [ROOT, UNIT, MEMBER] {
        world.attach_policy(target, ServiceControl, "p-regions", &document(regions), false).unwrap();
        let unnamed = "with an explicit deny in a service control policy";
        assert_eq!(list_syncs(&world, &session), denied(unnamed), "{target}");
        world.attach_policy(target, ServiceControl, "p-regions", &document(regions), true).unwrap();
        let arn =
            format!("arn:aws:organizations::{HUB}:policy/o-fakefakefa/service_control_policy/p-regions");
        assert_eq!(list_syncs(&world, &session), denied(&format!("{unnamed}: {arn}")), "{target}");
        world.detach_policy(target, ServiceControl, "p-regions");
        assert_eq!(list_syncs(&world, &session), Ok(()));
    }
    // It does not apply to the management account.
    world.attach_policy(ROOT, ServiceControl, "p-regions", &document(regions), true).unwrap();
    assert_eq!(list_syncs(&world, &hub(&world)), Ok(()));
}

#[test]
fn a_role_in_another_account_needs_to_trust_the_caller_and_no_reason_is_given_if_it_does_not() {
    let world = world();
    let caller = hub(&world);
    let denied = |role: &str| {
        Err(format!(
            "User: arn:aws:iam::{HUB}:user/fake is not authorized to perform: sts:AssumeRole on resource: {role}"
        ))
    };
    let trust = |principal: &str, condition: &str| {
        let statement = format!(
            r#"{{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"AWS": "{principal}"}}, "Condition": {condition}}}"#
        );
        world.set_trust_policy(MEMBER, ROLE, &document(&statement)).unwrap();
        assume(&world, &caller, ROLE_ARN, &[("ExternalId", "example")])
    };
    let missing = "arn:aws:iam::111122223333:role/Missing";
    assert_eq!(assume(&world, &caller, missing, &[]), denied(missing));
    assert_eq!(trust("arn:aws:iam::999900000000:role/other", "{}"), denied(ROLE_ARN));
    assert_eq!(trust("111122223333", "{}"), denied(ROLE_ARN));
    assert_eq!(trust("*", r#"{"StringEquals": {"sts:ExternalId": "other"}}"#), denied(ROLE_ARN));
    assert_eq!(trust("*", r#"{"StringEquals": {"aws:PrincipalOrgID": "o-other00000"}}"#), denied(ROLE_ARN));
    for principal in
        ["*", "999900000000", "arn:aws:iam::999900000000:root", "arn:aws:iam::999900000000:user/fake"]
    {
        assert_eq!(trust(principal, r#"{"StringEquals": {"sts:ExternalId": "example"}}"#), Ok(()));
        assert_eq!(trust(principal, r#"{"StringEquals": {"aws:PrincipalOrgID": "o-fakefakefa"}}"#), Ok(()));
    }
}

#[test]
fn assuming_a_role_in_another_account_also_needs_permission_in_the_own_account() {
    let world = world();
    let caller = hub(&world);
    let denied = |why: &str| {
        Err(format!(
            "User: arn:aws:iam::{HUB}:user/fake is not authorized to perform: sts:AssumeRole on resource: {ROLE_ARN} {why}"
        ))
    };
    let own = |statement: &str| {
        world.set_policies(HUB, &Identity::User, &[("assume", &document(statement))]).unwrap();
        assume(&world, &caller, ROLE_ARN, &[])
    };
    let implicit = denied("because no identity-based policy allows the sts:AssumeRole action");
    let other = r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/Other"}"#;
    assert_eq!(own(other), implicit);
    // The policy of deploy/aws, which allows it in the same organization.
    let organization = r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/SsmSyncExporter",
        "Condition": {"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}}}"#;
    assert_eq!(own(organization), Ok(()));
    world.remove_member(MEMBER);
    assert_eq!(own(organization), implicit);
}

#[test]
fn within_an_account_a_trust_policy_that_names_the_caller_is_enough() {
    let world = world();
    world.add_role(HUB, ROLE, None);
    let (caller, role) = (hub(&world), format!("arn:aws:iam::{HUB}:role/{ROLE}"));
    world.set_policies(HUB, &Identity::User, &[]).unwrap();
    let trust = |effect: &str, principal: &str| {
        let statement = format!(
            r#"{{"Effect": "{effect}", "Action": "sts:AssumeRole", "Principal": {{"AWS": "{principal}"}}}}"#
        );
        world.set_trust_policy(HUB, ROLE, &document(&statement)).unwrap();
        assume(&world, &caller, &role, &[])
    };
    let start = format!("User: arn:aws:iam::{HUB}:user/fake is not authorized to perform: sts:AssumeRole");
    assert_eq!(trust("Allow", "arn:aws:iam::999900000000:user/fake"), Ok(()));
    assert_eq!(
        trust("Allow", HUB),
        Err(format!(
            "{start} on resource: {role} because no identity-based policy allows the sts:AssumeRole action"
        ))
    );
    world.set_policies(HUB, &Identity::User, &[("all", &policy("Allow", "*"))]).unwrap();
    assert_eq!(trust("Allow", HUB), Ok(()));
    assert_eq!(
        trust("Allow", MEMBER),
        Err(format!("{start} because no role trust policy allows the sts:AssumeRole action"))
    );
    assert_eq!(trust("Deny", HUB), Err(format!("{start} with an explicit deny in the role trust policy")));
}

#[test]
fn resource_control_policies_limit_who_may_assume_the_roles_of_an_account() {
    let world = world();
    let statement = r#"{"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*", "Principal": "*", "Condition": {
        "StringNotEqualsIfExists": {"aws:PrincipalAccount": "222233334444"}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}}"#;
    world.attach_policy(UNIT, ResourceControl, "p-outsiders", &document(statement), false).unwrap();
    assert_eq!(
        assume(&world, &hub(&world), ROLE_ARN, &[]),
        Err(format!(
            "User: arn:aws:iam::{HUB}:user/fake is not authorized to perform: sts:AssumeRole \
             on resource: {ROLE_ARN} with an explicit deny in a resource control policy"
        ))
    );
    world.detach_policy(UNIT, ResourceControl, "p-outsiders");
    assert_eq!(assume(&world, &hub(&world), ROLE_ARN, &[]), Ok(()));
}

#[test]
fn calls_through_a_vpc_endpoint_need_to_be_allowed_by_its_policy() {
    let world = world();
    let session = session(&world, None);
    let set = |region, policy: &str| world.set_vpc_endpoint_policy("ssm", region, Some(policy)).unwrap();
    set(Some("us-east-1"), &resource_policy("Deny", "*"));
    assert_eq!(list_syncs(&world, &session), Ok(()));
    set(Some("eu-west-1"), &resource_policy("Allow", "ssm:GetParameter"));
    assert_eq!(
        list_syncs(&world, &session),
        denied("because no VPC endpoint policy allows the ssm:ListResourceDataSync action")
    );
    assert_eq!(call(&world, &session, Service::Account, "ListRegions"), Ok(()));
    set(Some("eu-west-1"), &resource_policy("Deny", "ssm:*"));
    assert_eq!(list_syncs(&world, &session), denied("with an explicit deny in a VPC endpoint policy"));
    world.set_vpc_endpoint_policy("ssm", Some("eu-west-1"), None).unwrap();
    assert_eq!(list_syncs(&world, &session), Ok(()));
}

#[test]
fn the_policy_of_the_organization_decides_which_members_may_list_it() {
    let world = world();
    let session = session(&world, None);
    let list = || call(&world, &session, Service::Organizations, "ListAccounts");
    world.set_organization_policy(Some(&resource_policy("Allow", "organizations:Describe*"))).unwrap();
    assert_eq!(
        list(),
        Err(format!(
            "User: {SESSION} is not authorized to perform: organizations:ListAccounts on resource: * \
             because no resource-based policy allows the organizations:ListAccounts action"
        ))
    );
    world.set_organization_policy(Some(&resource_policy("Allow", "organizations:List*"))).unwrap();
    assert_eq!(list(), Ok(()));
    // The member's own policies still apply.
    world.set_policies(MEMBER, &Identity::role(ROLE), &[]).unwrap();
    assert!(
        list()
            .unwrap_err()
            .ends_with("because no identity-based policy allows the organizations:ListAccounts action")
    );
}

#[test]
fn a_statement_that_denies_is_reported_before_one_that_is_missing() {
    let world = world();
    let session = session(&world, None);
    world.set_policies(MEMBER, &Identity::role(ROLE), &[]).unwrap();
    world.detach_policy(ROOT, ServiceControl, "p-FullAWSAccess");
    assert_eq!(
        list_syncs(&world, &session),
        denied("because no service control policy allows the ssm:ListResourceDataSync action")
    );
    world
        .set_permissions_boundary(MEMBER, &Identity::role(ROLE), Some(("limit", &policy("Deny", "*"))))
        .unwrap();
    let arn = format!("arn:aws:iam::{MEMBER}:policy/limit");
    assert_eq!(
        list_syncs(&world, &session),
        denied(&format!("with an explicit deny in a permissions boundary: {arn}"))
    );
}
