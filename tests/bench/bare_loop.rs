//! A bare loop over one client of the SDK: what a call costs at the least.
//!
//! `bare-loop URL CALLS CONCURRENCY`. [`fleet`](./fleet) beside this file runs it.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use anyhow::Context as _;
use aws_sdk_ssm::config::{BehaviorVersion, Credentials, Region};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, calls, concurrency] = arguments.as_slice() else {
        anyhow::bail!("usage: bare-loop URL CALLS CONCURRENCY");
    };
    let (calls, concurrency): (usize, usize) = (calls.parse()?, concurrency.parse()?);
    // All else is as the SDK has it.
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("AKIA100000000000FAKE", "any", None, None, "bench"))
        .load()
        .await;
    let client = aws_sdk_ssm::Client::new(&config);

    let mut workers = JoinSet::new();
    for worker in 0..concurrency {
        let client = client.clone();
        let share = calls / concurrency + usize::from(worker < calls % concurrency);
        workers.spawn(async move {
            let mut syncs = 0;
            for call in 0..share {
                // As the exporter does: half of the answers are empty.
                let sync_type = if call % 2 == 0 { "SyncToDestination" } else { "SyncFromSource" };
                let answer =
                    client.list_resource_data_sync().sync_type(sync_type).max_results(50).send().await?;
                syncs += answer.resource_data_sync_items().len();
            }
            anyhow::Ok(syncs)
        });
    }
    let mut syncs = 0;
    while let Some(worker) = workers.join_next().await {
        syncs += worker?.context("a call failed")?;
    }
    println!("{calls} calls, {syncs} syncs");
    Ok(())
}
