//! Calls `ListResourceDataSync` in a bare loop over one SDK client. Its CPU time is the minimum
//! cost of a call.
//!
//! Usage: `bare-loop URL CALLS CONCURRENCY`. The benchmark script `fleet` runs it.

#![expect(clippy::print_stdout, reason = "the program reports its result to the benchmark")]

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
    // The SDK's defaults for everything else.
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
                // Alternates like the exporter; fake-aws has no syncs from a source, so half of the
                // responses are empty.
                let sync_type = if call % 2 == 0 { "SyncToDestination" } else { "SyncFromSource" };
                let response =
                    client.list_resource_data_sync().sync_type(sync_type).max_results(50).send().await?;
                syncs += response.resource_data_sync_items().len();
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
