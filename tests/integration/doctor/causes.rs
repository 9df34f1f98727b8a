//! Faults in some of the accounts of an organization. Each is one cause, and its remedy repairs it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use fake_aws::{Identity, OrganizationPolicyType};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::fleet::{
    EXTERNAL_ID, Fleet, OTHER_ROLE, UNITS, document, member, policy, trust_policy, with_statement,
};
use super::report::Cause;
use crate::exporter::{HUB, ROLE};

/// What breaks the access to some accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The role may not list syncs.
    IdentityPolicy,
    /// The role trusts another role.
    TrustPolicy,
    /// The role expects an external id, and none is configured.
    ExternalId,
    /// A service control policy denies a region. Errors have its ARN.
    NamedServiceControlPolicy,
    /// A service control policy denies Systems Manager. Errors do not have its ARN.
    UnnamedServiceControlPolicy,
    /// The permissions boundary of the role allows other services only.
    PermissionsBoundary,
    /// The credentials come from a program that restricts them to another service.
    SessionPolicy,
    /// A VPC endpoint does not let the accounts through.
    VpcEndpointPolicy,
    /// A resource control policy denies callers from other accounts to assume roles.
    ResourceControlPolicy,
}

/// A fault, and what `doctor` says about it.
struct Expected {
    fault: Fault,
    /// The numbers of the members.
    members: Range<u32>,
    kind: &'static str,
    regions: usize,
    /// Whether a statement is missing, as opposed to one that denies.
    has_statement: bool,
    has_command: bool,
    /// A part of the text about the owner of the policy.
    owner: Option<&'static str>,
}

const OWNER: &str = "the management account 999900000000 of the organization o-fakefakefa";

const ALL: [Expected; 9] = [
    expected(Fault::IdentityPolicy, 0..4, "identity_policy", 2).with_statement().with_command(),
    expected(Fault::TrustPolicy, 4..6, "trust_policy", 0).with_statement().with_command(),
    expected(Fault::ExternalId, 6..7, "trust_policy", 0).with_statement().with_command(),
    expected(Fault::NamedServiceControlPolicy, 7..10, "service_control_policy", 1).owned_by(OWNER),
    expected(Fault::UnnamedServiceControlPolicy, 10..12, "service_control_policy", 2)
        .owned_by("the management account"),
    expected(Fault::PermissionsBoundary, 12..14, "permissions_boundary", 2).with_statement().with_command(),
    expected(Fault::SessionPolicy, 14..15, "session_policy", 2).with_statement(),
    expected(Fault::VpcEndpointPolicy, 15..18, "vpc_endpoint_policy", 2).with_statement().with_command(),
    expected(Fault::ResourceControlPolicy, 18..20, "resource_control_policy", 0).owned_by(OWNER),
];

/// The number of members, of which some have no fault.
pub(super) const MEMBERS: u32 = 24;

const fn expected(fault: Fault, members: Range<u32>, kind: &'static str, regions: usize) -> Expected {
    Expected { fault, members, kind, regions, has_statement: false, has_command: false, owner: None }
}

impl Expected {
    const fn with_statement(self) -> Self {
        Self { has_statement: true, ..self }
    }

    const fn with_command(self) -> Self {
        Self { has_command: true, ..self }
    }

    const fn owned_by(self, owner: &'static str) -> Self {
        Self { owner: Some(owner), ..self }
    }

    fn accounts(&self) -> BTreeSet<String> {
        self.members.clone().map(member).collect()
    }

    fn assert_is(&self, cause: &Cause) {
        let fault = self.fault;
        assert_eq!(cause.kind, self.kind, "{fault:?}");
        assert_eq!((cause.accounts, cause.regions), (self.members.len(), self.regions), "{cause:#?}");
        assert_eq!(cause.statement.is_some(), self.has_statement, "{cause:#?}");
        assert_eq!(cause.command.is_some(), self.has_command, "{cause:#?}");
        match (self.owner, &cause.owner) {
            (None, None) => {}
            (Some(part), Some(owner)) => assert!(owner.contains(part), "{owner}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        let examples: BTreeSet<&String> =
            cause.examples.iter().filter_map(|example| example.aws_account_id.as_ref()).collect();
        assert_eq!(examples.len(), self.members.len().min(3), "{cause:#?}");
        assert!(cause.examples.len() <= 3, "{cause:#?}");
        let accounts = self.accounts();
        assert!(examples.iter().all(|account| accounts.contains(*account)), "{cause:#?}");
        assert!(cause.runbook_url.ends_with(&format!("#cause-{}", self.kind)), "{}", cause.runbook_url);
        let says_external_id_first = cause.remedy.starts_with("If the trust policy asks for an external id");
        assert_eq!(says_external_id_first, fault == Fault::ExternalId, "{fault:?}: {}", cause.remedy);
    }
}

/// A permissions boundary, a session policy or an endpoint policy of somebody who did not think of the
/// exporter.
const OF_OTHERS: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}"#;

/// A VPC endpoint policy that lets all but these accounts through.
fn endpoint_policy(accounts: &BTreeSet<String>) -> String {
    policy(&[json!({
        "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:PrincipalAccount": accounts}},
    })])
}

/// The trust policy of `deploy/aws` for another role.
fn other_trust() -> String {
    trust_policy().replace("role/ssm-sync-exporter", &format!("role/{OTHER_ROLE}"))
}

/// The profile with the restricted credentials of an account.
fn profile(account: &str) -> String {
    format!("broker-{account}")
}

impl Fleet {
    /// The organization with every fault.
    pub(super) async fn with_faults() -> Self {
        let mut fleet = Self::start(MEMBERS).await;
        for Expected { fault, members, .. } in &ALL {
            let accounts: BTreeSet<String> = members.clone().map(member).collect();
            for account in &accounts {
                fleet.break_account(*fault, account);
            }
            fleet.break_organization(*fault, &accounts);
        }
        fleet
    }

    fn break_account(&mut self, fault: Fault, account: &str) {
        let role = Identity::role(ROLE);
        let world = self.aws.world();
        match fault {
            Fault::IdentityPolicy => {
                let other = document("policy.json").replace("ssm:ListResourceDataSync", "ssm:ListDocuments");
                world.set_policies(account, &role, &[("syncs", &other)]).unwrap();
            }
            Fault::TrustPolicy => world.set_trust_policy(account, ROLE, &other_trust()).unwrap(),
            Fault::ExternalId => {
                let arn = format!("arn:aws:iam::{account}:role/{ROLE}");
                self.configure_account(json!({"id": account, "assume_roles": [{"arn": arn}]}));
            }
            Fault::PermissionsBoundary => {
                world.set_permissions_boundary(account, &role, Some(("team", OF_OTHERS))).unwrap();
            }
            Fault::SessionPolicy => {
                let credentials = world.session_credentials(account, ROLE, Some(OF_OTHERS)).unwrap();
                self.set_profile(&profile(account), credentials);
                self.configure_account(json!({"id": account, "profile": profile(account)}));
            }
            Fault::NamedServiceControlPolicy => self.move_to(account, UNITS[0]),
            Fault::UnnamedServiceControlPolicy => self.move_to(account, UNITS[1]),
            Fault::ResourceControlPolicy => self.move_to(account, UNITS[2]),
            Fault::VpcEndpointPolicy => {}
        }
    }

    fn break_organization(&self, fault: Fault, accounts: &BTreeSet<String>) {
        use OrganizationPolicyType::{ResourceControl, ServiceControl};
        match fault {
            Fault::NamedServiceControlPolicy => {
                let statement = json!({
                    "Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*",
                    "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}},
                });
                self.attach(UNITS[0], ServiceControl, "p-regions0", statement, true);
            }
            Fault::UnnamedServiceControlPolicy => {
                let statement = json!({"Effect": "Deny", "Action": "ssm:*", "Resource": "*"});
                self.attach(UNITS[1], ServiceControl, "p-services", statement, false);
            }
            Fault::ResourceControlPolicy => {
                let statement = json!({
                    "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*",
                    "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalAccount": "123456789012"}},
                });
                self.attach(UNITS[2], ResourceControl, "p-outsiders", statement, true);
            }
            Fault::VpcEndpointPolicy => {
                self.world().set_vpc_endpoint_policy("ssm", None, Some(&endpoint_policy(accounts))).unwrap();
            }
            _ => {}
        }
    }

    /// Applies the remedy of a cause: the statement where there is one, and else what the owner of the
    /// policy would do.
    fn apply(&mut self, fault: Fault, accounts: &BTreeSet<String>, cause: &Cause) {
        use OrganizationPolicyType::{ResourceControl, ServiceControl};
        let statement = cause.statement.as_deref().unwrap_or_default().replace("EXTERNAL_ID", EXTERNAL_ID);
        let role = Identity::role(ROLE);
        match fault {
            Fault::NamedServiceControlPolicy => {
                self.world().detach_policy(UNITS[0], ServiceControl, "p-regions0");
            }
            Fault::UnnamedServiceControlPolicy => {
                self.world().detach_policy(UNITS[1], ServiceControl, "p-services");
            }
            Fault::ResourceControlPolicy => {
                self.world().detach_policy(UNITS[2], ResourceControl, "p-outsiders");
            }
            Fault::VpcEndpointPolicy => {
                let policy = with_statement(&endpoint_policy(accounts), &statement);
                self.world().set_vpc_endpoint_policy("ssm", None, Some(&policy)).unwrap();
            }
            Fault::IdentityPolicy
            | Fault::TrustPolicy
            | Fault::ExternalId
            | Fault::PermissionsBoundary
            | Fault::SessionPolicy => {}
        }
        for account in accounts {
            let world = self.aws.world();
            match fault {
                Fault::IdentityPolicy => {
                    let only = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
                    world.put_policy(account, &role, "remedy", &only).unwrap();
                }
                Fault::TrustPolicy => {
                    let trust = with_statement(&other_trust(), &statement);
                    world.set_trust_policy(account, ROLE, &trust).unwrap();
                }
                Fault::ExternalId => {
                    let trust = with_statement(&trust_policy(), &statement);
                    world.set_trust_policy(account, ROLE, &trust).unwrap();
                }
                Fault::PermissionsBoundary => {
                    let boundary = with_statement(OF_OTHERS, &statement);
                    world.set_permissions_boundary(account, &role, Some(("team", &boundary))).unwrap();
                }
                Fault::SessionPolicy => {
                    let policy = with_statement(OF_OTHERS, &statement);
                    let credentials = world.session_credentials(account, ROLE, Some(&policy)).unwrap();
                    self.set_profile(&profile(account), credentials);
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_one_cause_and_its_remedy_repairs_it_and_no_other() {
    let mut fleet = Fleet::with_faults().await;
    let mut left: BTreeMap<BTreeSet<String>, &Expected> =
        ALL.iter().map(|expected| (expected.accounts(), expected)).collect();
    loop {
        let (status, report) = fleet.examine(&[]).await;
        assert_eq!(status, Some(i32::from(!left.is_empty())));
        assert_eq!(report.summary.accounts, MEMBERS as usize + 1);
        assert_eq!(report.summary.causes, left.len(), "{:#?}", report.causes);
        let found = report.causes_by_accounts();
        let titles: BTreeSet<&String> = report.causes.iter().map(|cause| &cause.title).collect();
        assert_eq!(titles.len(), left.len(), "two causes have the same title: {titles:#?}");
        assert!(found.keys().eq(left.keys()), "{found:#?}");
        for (accounts, expected) in &left {
            expected.assert_is(&found[accounts]);
        }
        let failed: BTreeSet<String> =
            report.accounts_with("failed").into_iter().map(ToOwned::to_owned).collect();
        assert_eq!(failed, left.keys().flatten().cloned().collect());
        let Some((accounts, expected)) = left.pop_first() else { break };
        fleet.apply(expected.fault, &accounts, &found[&accounts]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_arn_of_a_denying_policy_is_shown_where_aws_names_it() {
    let fleet = Fleet::with_faults().await;
    let (_, report) = fleet.examine(&[]).await;
    let causes = report.causes.iter();
    let organization: Vec<&Cause> = causes.filter(|cause| cause.owner.is_some()).collect();
    assert_eq!(organization.len(), 3, "{organization:#?}");
    let prefix = format!("arn:aws:organizations::{HUB}:policy/o-fakefakefa");
    let named = |arn: &str| organization.iter().filter(|cause| cause.names_policy(arn)).count();
    assert_eq!(named(&format!("{prefix}/service_control_policy/p-regions0")), 1, "{organization:#?}");
    assert_eq!(named(&format!("{prefix}/resource_control_policy/p-outsiders")), 1, "{organization:#?}");
    assert_eq!(named("arn:aws:organizations"), 2, "{organization:#?}");
    // Such a policy protects the organization, so nothing invites to change it.
    for cause in organization {
        assert!(cause.statement.is_none() && cause.command.is_none(), "{cause:#?}");
    }
}

/// AWS answers the same for a role that expects another external id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_external_id_and_an_untrusted_caller_are_one_cause_with_one_remedy() {
    let mut fleet = Fleet::start(4).await;
    let wrong_id = trust_policy().replace(EXTERNAL_ID, "another");
    fleet.world().set_trust_policy(&member(0), ROLE, &wrong_id).unwrap();
    fleet.world().set_trust_policy(&member(1), ROLE, &other_trust()).unwrap();
    let (status, report) = fleet.examine(&[]).await;
    assert_eq!((status, report.causes.len()), (Some(1), 1), "{:#?}", report.causes);
    let accounts: BTreeSet<String> = [member(0), member(1)].into();
    let cause = &report.causes_by_accounts()[&accounts];
    assert!(cause.statement.as_ref().unwrap().contains("EXTERNAL_ID"), "{cause:#?}");
    fleet.apply(Fault::TrustPolicy, &accounts, cause);
    assert_eq!(fleet.examine(&[]).await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_after_a_failed_one_are_not_tested() {
    let fleet = Fleet::with_faults().await;
    let (_, report) = fleet.examine(&[]).await;
    let account = member(4);
    let checks: Vec<(&str, &str)> = report
        .checks
        .iter()
        .filter(|check| check.aws_account_id.as_ref() == Some(&account))
        .map(|check| (check.step.as_str(), check.status.as_str()))
        .collect();
    let syncs = [("list_syncs", "not_tested"); 4];
    assert_eq!(checks, [&[("credentials", "passed"), ("assume_role", "failed")], syncs.as_slice()].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_have_what_aws_says_about_the_denial() {
    let fleet = Fleet::with_faults().await;
    let (_, report) = fleet.examine(&[]).await;
    let example = |kind: &str| {
        let cause = report.causes.iter().find(|cause| cause.kind == kind).unwrap();
        let example = cause.examples[0].clone();
        (example.aws_account_id.unwrap(), example.denial.unwrap())
    };
    let (account, denial) = example("identity_policy");
    let principal = format!("arn:aws:sts::{account}:assumed-role/{ROLE}/");
    assert!(denial.principal.as_ref().unwrap().starts_with(&principal), "{denial:?}");
    assert_eq!(denial.action.as_deref(), Some("ssm:ListResourceDataSync"));
    assert_eq!((denial.kind.as_str(), denial.policy_arn.as_deref()), ("identity_policy", None));
    let (account, denial) = example("trust_policy");
    assert_eq!(denial.resource, Some(format!("arn:aws:iam::{account}:role/{ROLE}")));
}
