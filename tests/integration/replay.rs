//! Recordings of `once --record`, replayed as a program without AWS.

mod bad_files;
mod fixtures;
mod managed_nodes;
mod node_lookups;
mod same_results;
mod serve;
mod strangers;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::program;

/// The time of the recordings that tests write by hand.
const NOW: u64 = 1_763_800_000;

/// The account and the access key of the recordings that tests write by hand.
const ACCOUNT: &str = "111122223333";
const KEY: &str = "ASIAREPLAYREPLAY";

/// A recording that a test writes by hand.
struct Handmade {
    directory: TempDir,
    lines: Vec<String>,
}

impl Handmade {
    /// A recording of the ambient account in `eu-west-1` with one sync in each list.
    fn of_one_target() -> Self {
        Self::with_items(&json!([{"SyncName": "inventory", "LastStatus": "Successful"}]))
    }

    /// The same with these syncs to a destination.
    fn with_items(items: &Value) -> Self {
        let header = header(&json!({"regions": ["eu-west-1"]}));
        let credentials = json!({"kind": "credentials", "profile": null, "access_key_id": KEY});
        let identity = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{ACCOUNT}</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        let identity =
            call("sts", "GetCallerIdentity", "Action=GetCallerIdentity&Version=2011-06-15", &identity);
        let list = |sync_type: &str, items: &Value| {
            let request = format!("{{\"SyncType\":\"{sync_type}\",\"MaxResults\":50}}");
            let body = json!({"ResourceDataSyncItems": items}).to_string();
            call("ssm", "ListResourceDataSync", &request, &body)
        };
        let lists = [list("SyncToDestination", items), list("SyncFromSource", &json!([]))];
        let lines = [header, credentials, identity].into_iter().chain(lists);
        let lines = lines.map(|line| line.to_string()).collect();
        Self { directory: tempfile::tempdir().unwrap(), lines }
    }

    /// Writes the file.
    fn file(&self) -> PathBuf {
        self.file_of(format!("{}\n", self.lines.join("\n")))
    }

    /// Writes a file with this content.
    fn file_of(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.directory.path().join("recording.ndjson");
        std::fs::write(&file, content).unwrap();
        file
    }
}

/// The first line of a recording with this configuration.
fn header(configuration: &Value) -> Value {
    json!({
        "ssm_sync_exporter_recording": 1, "version": env!("CARGO_PKG_VERSION"), "time": "2025-11-22T08:26:40Z",
        "unix_seconds": NOW, "raw": true, "options": {"shard_index": 0, "shard_total": 1},
        "configuration": configuration,
    })
}

/// A line of a call with [`KEY`] in `eu-west-1` that was answered with `body`.
fn call(service: &str, operation: &str, request: &str, body: &str) -> Value {
    json!({
        "kind": "call", "service": service, "operation": operation, "account": null, "region": "eu-west-1",
        "access_key_id": KEY, "endpoint": format!("{service}.eu-west-1.amazonaws.com:443"), "proxy": null,
        "request": request, "status": 200, "headers": [], "body": body, "duration_seconds": 0.05,
    })
}

/// The command `once` with a recording, logging only errors. It has no AWS configuration.
fn once(recording: &Path) -> Command {
    let mut once = program();
    once.args(["once", "--log.level", "error", "--replay"]).arg(recording);
    once
}
