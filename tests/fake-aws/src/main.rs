//! `fake-aws [ADDRESS [ACCOUNT...]]`: serves the given accounts, or one, on
//! the given address, or on a free port, until it is killed. Prints what to set
//! in the environment of an AWS client.
//!
//! Options, anywhere between these:
//!
//! - `--members N`: an organization that 999900000000 manages, with the accounts
//!   100000000000, 100000000001 and so on in its root. Without an ACCOUNT there
//!   is no other.
//! - `--syncs N`: so many syncs to a bucket in every account and region.
//! - `--delay MILLISECONDS`: every answer comes only after this time.
//!
//! All accounts have the role `SsmSyncExporter`.

use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use serde_json::{Value, json};

const USAGE: &str = "fake-aws [--members N] [--syncs N] [--delay MILLISECONDS] [ADDRESS [ACCOUNT...]]";

const ROLE: &str = "SsmSyncExporter";

/// Manages the organization.
const MANAGEMENT: &str = "999900000000";

/// The account of the first member.
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
    let management = arguments.members.map(|_| MANAGEMENT);
    for account in arguments.accounts.iter().map(String::as_str).chain(management) {
        let key = World::access_key(account);
        let _ignored =
            writeln!(out, "AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY=any  # account {account}");
    }
    let _ignored = out.flush();
    drop(out);
    std::future::pending().await
}

/// What the command line says.
struct Arguments {
    address: String,
    accounts: Vec<String>,
    members: Option<u32>,
    syncs: u32,
    delay: Option<u64>,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut members, mut syncs, mut delay) = (None, 0, None);
        let mut others = Vec::new();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--members" => members = Some(number(&argument, given.next())?),
                "--syncs" => syncs = number(&argument, given.next())?,
                "--delay" => delay = Some(number(&argument, given.next())?),
                _ if argument.starts_with('-') => return Err(format!("there is no option {argument}")),
                _ => others.push(argument),
            }
        }
        let mut others = others.into_iter();
        let address = others.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let mut accounts: Vec<String> = others.collect();
        if let Some(bad) =
            accounts.iter().find(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(format!("{bad} is not an account id of 12 digits"));
        }
        if accounts.is_empty() && members.is_none() {
            accounts.push("111122223333".to_owned());
        }
        Ok(Self { address, accounts, members, syncs, delay })
    }

    fn world(&self) -> Arc<World> {
        let world = World::new();
        for account in &self.accounts {
            world.add_account(account);
            world.add_role(account, ROLE, None);
        }
        if let Some(members) = self.members {
            world.create_organization(MANAGEMENT);
            world.add_role(MANAGEMENT, ROLE, None);
            for number in 0..members {
                let account = (FIRST_MEMBER + u64::from(number)).to_string();
                world.add_member(&account, &format!("member-{number}"), "r-fake");
                world.add_role(&account, ROLE, None);
            }
        }
        if self.syncs > 0 {
            world.set_everywhere(SyncKind::ToDestination, (0..self.syncs).map(sync).collect());
        }
        if let Some(delay) = self.delay {
            world.set_faults(vec![FaultRule::new(Fault::Delay(delay))]);
        }
        world
    }
}

/// The number that follows an option.
fn number<T: FromStr>(option: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number"))?;
    value.parse().map_err(|_| format!("{option} needs a number, and {value} is none"))
}

/// A sync to a bucket, with everything that AWS says of one.
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

/// A time in the past, in seconds.
#[expect(clippy::disallowed_methods, reason = "the syncs are to be of today")]
fn ago(seconds: f64) -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64().floor()
        - seconds
}
