//! The pages in a real browser: filters, paging, both themes, and that hostile texts are
//! not executed.

use std::path::Path;

use tokio::task::spawn_blocking;

use crate::status::start_with_problems;
use crate::sync_page;
use crate::tools::{browser_test, written};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node, which tests/run installs"]
async fn the_status_page_works_in_a_browser() {
    let (_aws, exporter) = start_with_problems(119).await;
    let url = format!("http://{}/", exporter.address);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/status.mjs");
    let mut node = browser_test();
    // 119 failed syncs and a stale one.
    node.arg(script).args([&url, "prod", "eu-west-1", "120"]);
    let output = spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        stdout.lines().last(),
        Some(
            "checked: filter, paging, filter without script, paging without script, themes, refresh, hostile texts, widths"
        ),
        "{}",
        written(&output)
    );
    assert!(output.status.success(), "{}", written(&output));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and Node, which tests/run installs"]
async fn the_page_about_one_sync_works_in_a_browser() {
    let (_aws, exporter, _) = sync_page::start().await;
    let path = sync_page::path("SyncToDestination", sync_page::HOSTILE_NAME);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/sync.mjs");
    let mut node = browser_test();
    node.arg(script).arg(format!("http://{}{path}", exporter.address));
    let output = spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        stdout.lines().last(),
        Some("checked: hostile texts, copy, without script, theme and refresh, widths"),
        "{}",
        written(&output)
    );
    assert!(output.status.success(), "{}", written(&output));
}
