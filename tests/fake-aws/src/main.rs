//! `fake-aws [ADDRESS [ACCOUNT...]]`: serves a fake AWS until it is killed.
//!
//! By default the server has the account 111122223333 and listens on a free port on 127.0.0.1. The
//! program prints the environment variables that an AWS client needs.
//!
//! Options, in any position:
//!
//! - `--members N`: adds an organization with the management account 999900000000 and the accounts
//!   100000000000, 100000000001 and so on in its root. Then there is no default account.
//! - `--syncs N`: adds N syncs to a bucket in every account and region.
//! - `--nodes N`: adds N managed nodes to every account and region.
//! - `--delay MILLISECONDS`: delays every response.
//!
//! Every account has the role `SsmSyncExporter`.

use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use serde_json::{Value, json};

const USAGE: &str =
    "fake-aws [--members N] [--syncs N] [--nodes N] [--delay MILLISECONDS] [ADDRESS [ACCOUNT...]]";

const ROLE: &str = "SsmSyncExporter";

/// The management account of the organization.
const MANAGEMENT_ACCOUNT: &str = "999900000000";

/// The account id of the first member. The ids of the others count up from it.
const FIRST_MEMBER: u64 = 100_000_000_000;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ignored = writeln!(std::io::stderr(), "fake-aws: {error}; usage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    let address = &arguments.address;
    let server = match FakeAws::start(arguments.world(), address).await {
        Ok(server) => server,
        Err(error) => {
            let _ignored = writeln!(std::io::stderr(), "fake-aws: cannot listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout().lock();
    let _ignored = writeln!(out, "AWS_ENDPOINT_URL={}", server.url());
    let management = arguments.members.map(|_| MANAGEMENT_ACCOUNT);
    for account in arguments.accounts.iter().map(String::as_str).chain(management) {
        let key = World::access_key(account);
        let _ignored =
            writeln!(out, "AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY=any  # account {account}");
    }
    let _ignored = out.flush();
    drop(out);
    std::future::pending().await
}

struct Arguments {
    address: String,
    accounts: Vec<String>,
    members: Option<u32>,
    syncs: u32,
    nodes: u32,
    delay: Option<u64>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut members, mut syncs, mut nodes, mut delay) = (None, 0, 0, None);
        let mut positional = Vec::new();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--members" => members = Some(parse_number(&argument, arguments.next())?),
                "--syncs" => syncs = parse_number(&argument, arguments.next())?,
                "--nodes" => nodes = parse_number(&argument, arguments.next())?,
                "--delay" => delay = Some(parse_number(&argument, arguments.next())?),
                _ if argument.starts_with('-') => return Err(format!("unknown option {argument}")),
                _ => positional.push(argument),
            }
        }
        let mut positional = positional.into_iter();
        let address = positional.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let mut accounts: Vec<String> = positional.collect();
        if let Some(bad) =
            accounts.iter().find(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(format!("invalid account id {bad}: must have 12 digits"));
        }
        if accounts.is_empty() && members.is_none() {
            accounts.push("111122223333".to_owned());
        }
        Ok(Self { address, accounts, members, syncs, nodes, delay })
    }

    fn world(&self) -> Arc<World> {
        let world = World::new();
        for account in &self.accounts {
            world.add_account(account);
            world.add_role(account, ROLE, None);
        }
        if let Some(members) = self.members {
            world.create_organization(MANAGEMENT_ACCOUNT);
            world.add_role(MANAGEMENT_ACCOUNT, ROLE, None);
            for number in 0..members {
                let account = (FIRST_MEMBER + u64::from(number)).to_string();
                world.add_member(&account, &format!("member-{number}"), "r-fake");
                world.add_role(&account, ROLE, None);
            }
        }
        if self.syncs > 0 {
            world.set_default_syncs(SyncKind::ToDestination, (0..self.syncs).map(sync).collect());
        }
        world.set_default_managed_nodes(self.nodes);
        if let Some(delay) = self.delay {
            world.set_faults(vec![FaultRule::new(Fault::Delay(delay))]);
        }
        world
    }
}

/// Parses the value of an option.
fn parse_number<T: FromStr>(option: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number"))?;
    value.parse().map_err(|_| format!("{option} needs a number, got {value}"))
}

/// A sync to a bucket, with every field that AWS reports.
fn sync(number: u32) -> Value {
    json!({
        "SyncName": format!("inventory-{number}"),
        "S3Destination": {
            "BucketName": format!("organization-inventory-{number}"), "Prefix": "inventory",
            "SyncFormat": "JsonSerDe", "Region": "eu-west-1",
            "AWSKMSKeyARN": "arn:aws:kms:eu-west-1:999900000000:key/00000000-0000-4000-8000-000000000000",
        },
        "LastStatus": "Successful",
        "LastSyncStatusMessage": "The sync was successfully completed",
        "LastSyncTime": ago(120.0),
        "LastSuccessfulSyncTime": ago(120.0),
        "SyncCreatedTime": ago(200.0 * 86400.0),
    })
}

/// The Unix time that was `seconds` ago.
#[expect(clippy::disallowed_methods, reason = "the times of the syncs must be recent")]
fn ago(seconds: f64) -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64().floor()
        - seconds
}
