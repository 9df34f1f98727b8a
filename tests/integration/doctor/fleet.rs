//! An organization with the roles and policies of `deploy/aws`, in which faults break the access to some
//! of the accounts.

use std::path::Path;
use std::process::Command;

use fake_aws::{FakeAws, Identity, OrganizationPolicyType, SessionCredentials, World};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::report::{Cause, Report};
use crate::exporter::{HUB, ROLE};
use crate::once::output_of;
use crate::process::program;

/// The role that the exporter runs with, in the account [`HUB`].
pub(super) const HUB_ROLE: &str = "ssm-sync-exporter";

/// Another role in this account.
pub(super) const OTHER_ROLE: &str = "old-exporter";

pub(super) const EXTERNAL_ID: &str = "7f3a9c-of-the-fleet";

/// The regions of the configuration, if it has no others.
pub(super) const REGIONS: [&str; 2] = ["eu-central-1", "eu-west-1"];

/// The id of a member account.
pub(super) fn member(number: u32) -> String {
    format!("100000000{number:03}")
}

/// A policy document of `deploy/aws`.
pub(super) fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new("deploy/aws").join(name)).unwrap()
}

/// The trust policy of the member roles.
pub(super) fn trust_policy() -> String {
    let document = document("trust-policy.json");
    assert!(document.contains("\"example\""), "{document}");
    document.replace("\"example\"", &format!("\"{EXTERNAL_ID}\""))
}

pub(super) fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// The policy with another statement, which is JSON.
pub(super) fn with_statement(policy: &str, statement: &str) -> String {
    let mut policy: Value = serde_json::from_str(policy).unwrap();
    let statement = serde_json::from_str(statement).unwrap();
    policy["Statement"].as_array_mut().unwrap().push(statement);
    policy.to_string()
}

/// The units of the organization. Each has a policy of the organization, if there is a fault.
pub(super) const UNITS: [&str; 3] = ["ou-fake-00000001", "ou-fake-00000002", "ou-fake-00000003"];

/// The fake AWS, and the configuration of the exporter.
pub(super) struct Fleet {
    pub(super) aws: FakeAws,
    pub(super) directory: TempDir,
    credentials: SessionCredentials,
    /// The `regions` of the configuration.
    pub(super) regions: Vec<String>,
    /// The role that lists the organization, if it is not the exporter's own.
    organization_role: Option<Value>,
    /// Whether managed-node lookups are enabled.
    pub(super) looks_for_nodes: bool,
    /// The `accounts` of the configuration.
    accounts: Vec<Value>,
    profiles: Vec<(String, SessionCredentials)>,
}

impl Fleet {
    /// An organization of the hub and of this many members, in all of which the exporter works.
    pub(super) async fn start(members: u32) -> Self {
        let world = World::new();
        world.create_organization(HUB);
        for unit in UNITS {
            world.add_unit(unit, "r-fake");
        }
        for role in [HUB_ROLE, OTHER_ROLE] {
            world.add_role(HUB, role, None);
        }
        let policies =
            [("assume", document("exporter-policy.json")), ("list", document("organization-policy.json"))];
        let policies = policies.each_ref().map(|(name, policy)| (*name, policy.as_str()));
        world.set_policies(HUB, &Identity::role(HUB_ROLE), &policies).unwrap();
        let (trust, permissions) = (trust_policy(), document("policy.json"));
        for account in (0..members).map(member).chain([HUB.to_owned()]) {
            if account != HUB {
                world.add_member(&account, &format!("member-{account}"), "r-fake");
            }
            world.add_role(&account, ROLE, None);
            world.set_trust_policy(&account, ROLE, &trust).unwrap();
            world.set_policies(&account, &Identity::role(ROLE), &[("syncs", &permissions)]).unwrap();
        }
        let credentials = world.session_credentials(HUB, HUB_ROLE, None).unwrap();
        let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self {
            aws,
            directory,
            credentials,
            regions: REGIONS.map(ToOwned::to_owned).into(),
            organization_role: None,
            looks_for_nodes: false,
            accounts: Vec::new(),
            profiles: Vec::new(),
        }
    }

    /// The only cause that `doctor` finds.
    pub(super) async fn only_cause(&self) -> Cause {
        let (status, report) = self.examine(&[]).await;
        assert_eq!((status, report.causes.len()), (Some(1), 1), "{:#?}", report.causes);
        report.causes.into_iter().next().unwrap()
    }

    /// The results of `doctor`, which finds nothing.
    pub(super) async fn healthy_report(&self) -> Report {
        let (status, report) = self.examine(&[]).await;
        assert_eq!((status, report.causes.len()), (Some(0), 0), "{:#?}", report.causes);
        report
    }

    pub(super) fn world(&self) -> &World {
        self.aws.world()
    }

    /// Adds an entry to `accounts` of the configuration, or replaces it.
    pub(super) fn configure_account(&mut self, entry: Value) {
        self.accounts.retain(|other| other["id"] != entry["id"]);
        self.accounts.push(entry);
    }

    /// Adds a profile with these credentials, or replaces it.
    pub(super) fn set_profile(&mut self, name: &str, credentials: SessionCredentials) {
        self.profiles.retain(|(other, _)| other != name);
        self.profiles.push((name.to_owned(), credentials));
    }

    /// Lists the organization with the member role of an account.
    pub(super) fn list_organization_in(&mut self, account: &str) {
        let arn = format!("arn:aws:iam::{account}:role/{ROLE}");
        self.organization_role = Some(json!({"arn": arn, "external_id": EXTERNAL_ID}));
    }

    /// Moves a member to a unit.
    pub(super) fn move_to(&self, account: &str, unit: &str) {
        self.world().add_member(account, &format!("member-{account}"), unit);
    }

    /// Attaches a policy to a unit.
    pub(super) fn attach(
        &self,
        unit: &str,
        of: OrganizationPolicyType,
        id: &str,
        statement: Value,
        named: bool,
    ) {
        self.world().attach_policy(unit, of, id, &policy(&[statement]), named).unwrap();
    }

    /// The program with the configuration of the fleet.
    pub(super) fn program(&self, command: &str) -> Command {
        let place = |name: &str| self.directory.path().join(name);
        let mut config = json!({
            "regions": self.regions,
            "organization": {
                "member_role": format!("arn:{{partition}}:iam::{{account_id}}:role/{ROLE}"),
                "external_id": EXTERNAL_ID,
            },
        });
        if let Some(role) = &self.organization_role {
            config["organization"]["assume_roles"] = json!([role]);
        }
        if self.looks_for_nodes {
            config["managed_nodes"] = json!({"enabled": true});
        }
        if !self.accounts.is_empty() {
            config["accounts"] = json!(self.accounts);
        }
        // JSON is YAML.
        std::fs::write(place("config.yaml"), config.to_string()).unwrap();
        let profile = |(name, keys): &(String, SessionCredentials)| {
            let SessionCredentials { access_key_id, secret_access_key, session_token } = keys;
            let session_token = match session_token.as_str() {
                "" => String::new(),
                token => format!("aws_session_token = {token}\n"),
            };
            format!(
                "[{name}]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n{session_token}"
            )
        };
        let profiles: String = self.profiles.iter().map(profile).collect();
        std::fs::write(place("credentials"), profiles).unwrap();
        let mut program = program();
        program
            .arg(command)
            .arg("--config.file")
            .arg(place("config.yaml"))
            .env("AWS_SHARED_CREDENTIALS_FILE", place("credentials"))
            .env("AWS_ENDPOINT_URL", self.aws.url())
            .env("AWS_REGION", REGIONS[1])
            .env("AWS_ACCESS_KEY_ID", &self.credentials.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.credentials.secret_access_key)
            .env("AWS_SESSION_TOKEN", &self.credentials.session_token);
        program
    }

    /// Runs `doctor`. Returns its status and its JSON.
    pub(super) async fn examine(&self, arguments: &[&str]) -> (Option<i32>, Report) {
        let mut doctor = self.program("doctor");
        doctor.args(["--format", "json"]).args(arguments);
        let (status, out, err) = output_of(doctor).await;
        let report = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"));
        assert!(!out.contains(EXTERNAL_ID) && !err.contains(EXTERNAL_ID), "{out}\n{err}");
        (status, report)
    }
}
