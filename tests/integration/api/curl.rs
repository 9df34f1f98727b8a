//! The API as curl sees it.

use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{PATH, exporter_of, varied_fleet};
use crate::exporter::Exporter;
use crate::tools;

/// Runs curl against the API. Returns the status and the output.
async fn curl(exporter: &Exporter, query: &str, arguments: &[&str]) -> (String, String) {
    let mut command: Command = tools::curl();
    command
        .args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("http://{}{PATH}{query}", exporter.address));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    let output = String::from_utf8(output.stdout).unwrap();
    let (body, status) = output.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_decompresses_revalidates_and_follows_pages() {
    let aws = varied_fleet().await;
    let exporter = exporter_of(&aws).await;
    let directory = tempfile::tempdir().unwrap();
    let tag = directory.path().join("tag");
    let tag = tag.to_str().unwrap();
    let (status, body) = curl(&exporter, "", &["--compressed", "--etag-save", tag]).await;
    assert_eq!(status, "200");
    let document: Value = serde_json::from_str(&body).unwrap();
    let (status, body) = curl(&exporter, "", &["--compressed", "--etag-compare", tag]).await;
    assert_eq!((status.as_str(), body.as_str()), ("304", ""));
    let saved = std::fs::read_to_string(tag).unwrap();
    let header = format!("If-None-Match: \"other\", {}", saved.trim());
    assert_eq!(curl(&exporter, "", &["--header", &header]).await.0, "304");
    assert_eq!(curl(&exporter, "?status=trouble", &["--header", &header]).await.0, "200");

    let (mut targets, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let (_, body) = curl(&exporter, &query, &["--compressed"]).await;
        let mut page: Value = serde_json::from_str(&body).unwrap();
        targets.append(page["targets"].as_array_mut().unwrap());
        match page["next"].as_str() {
            Some(next) => query = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(Value::from(targets), document["targets"]);
}
