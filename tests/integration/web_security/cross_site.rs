//! Tests of requests that a page of another site makes a browser send.

use pretty_assertions::assert_eq;

use super::http2::{DEFAULT_WINDOW, Http2};
use super::{SecuredExporter, TLS};
use crate::exporter::{Exporter, REGION, Setup, fake_aws, one_target};
use crate::http;

const LAST_RELOAD_TIME: &str = "ssm_sync_exporter_config_last_reload_success_timestamp_seconds";

/// Regression: a page of any site could make a visitor's browser reload the exporter.
#[tokio::test]
async fn a_page_of_another_site_cannot_reload_the_configuration() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let config = one_target().replace("interval: 1s", "interval: 1h");
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
    exporter.wait_until_ready().await;
    let loaded = exporter.scrape().await.values(LAST_RELOAD_TIME);
    exporter.set_clock(60);
    let changed = config.replace(REGION, "us-east-1");
    let own = format!("http://{}", exporter.address);
    for headers in [
        &[("Origin", "https://elsewhere.example")][..],
        &[("Origin", "null")],
        &[("Origin", own.as_str()), ("Origin", "https://elsewhere.example")],
        &[("Origin", own.as_str()), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "none")],
    ] {
        let refused = exporter.reload_with(&changed, headers).await;
        assert_eq!(refused.status, 403, "{headers:?}");
        assert!(refused.body.starts_with("cross-site request refused: "), "{}", refused.body);
        assert_eq!(refused.body.lines().count(), 1, "{}", refused.body);
    }
    assert_eq!(exporter.scrape().await.values(LAST_RELOAD_TIME), loaded, "no reload ran");
    for headers in [
        &[][..],
        &[("Origin", own.as_str())],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", own.as_str())],
        &[("Sec-Fetch-Site", "none")],
    ] {
        let reloaded = exporter.reload_with(&config, headers).await;
        assert_eq!((reloaded.status, reloaded.body.as_str()), (200, "reloaded\n"), "{headers:?}");
    }
    assert_ne!(exporter.scrape().await.values(LAST_RELOAD_TIME), loaded);
}

#[tokio::test]
async fn every_method_that_may_change_something_is_refused_across_sites_on_every_path() {
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start("").await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/", "/metrics", "/-/reload", "/-/healthy", "/missing"] {
            let headers = [("Origin", "https://elsewhere.example")];
            let refused = http::request_with(exporter.address, method, path, &headers).await;
            assert_eq!(refused.status, 403, "{method} {path}");
            assert_eq!(refused.header("access-control-allow-origin"), None);
        }
    }
    // Following a link from another site is not an attack.
    let headers = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://elsewhere.example")];
    assert_eq!(exporter.get_with("/", &headers).await.status, 200);
}

#[tokio::test]
async fn no_response_can_be_loaded_into_a_page_of_another_site() {
    let SecuredExporter { exporter, files: _files, _aws } =
        SecuredExporter::start("rate_limit: {interval: 1h, burst: 6}\n").await;
    for path in ["/", "/metrics", "/-/healthy", "/-/status.js", "/-/reload", "/missing", "/rate-limited"] {
        let response = exporter.get(path).await;
        assert_eq!(response.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(response.header("access-control-allow-origin"), None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2_the_origin_is_compared_with_the_authority() {
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start_with(TLS, setup).await;
    for (origin, admitted) in [("https://x", true), ("https://y", false), ("null", false)] {
        let mut client = Http2::connect(exporter.address, &files, DEFAULT_WINDOW).await;
        client.request(1, "POST", "/-/reload", &[("origin", origin)]).await.unwrap();
        let (is_ok, text) = client.response(1).await;
        assert_eq!((is_ok, text == "reloaded\n"), (admitted, admitted), "{origin}: {text}");
    }
}
