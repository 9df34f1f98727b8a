//! `fake-aws [ADDRESS [ACCOUNT...]]`: serves the given accounts, or one, on
//! the given address, or on a free port, until it is killed. Prints what to set
//! in the environment of an AWS client.

use std::io::Write as _;
use std::process::ExitCode;

use fake_aws::{FakeAws, World};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let mut accounts: Vec<String> = arguments.collect();
    if accounts.is_empty() {
        accounts.push("111122223333".to_owned());
    }
    let world = World::new();
    for account in &accounts {
        world.add_account(account);
        world.add_role(account, "SsmSyncExporter", None);
    }
    let server = match FakeAws::start(world, &address).await {
        Ok(server) => server,
        Err(error) => {
            let _ignored = writeln!(std::io::stderr(), "fake-aws: cannot listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout().lock();
    let _ignored = writeln!(out, "AWS_ENDPOINT_URL={}", server.url());
    for account in &accounts {
        let key = World::access_key(account);
        let _ignored =
            writeln!(out, "AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY=any  # account {account}");
    }
    let _ignored = out.flush();
    drop(out);
    std::future::pending().await
}
