//! Tests of the ways to write a path, and of methods that are about no path.

use pretty_assertions::assert_eq;

use crate::exporter::{Exporter, Setup, fake_aws, one_target};
use crate::http;
use crate::tools;

/// Regression: a path was compared as it was sent.
#[tokio::test]
async fn a_path_may_be_percent_encoded() {
    let aws = fake_aws().await;
    let setup = Setup { telemetry_path: "/ssm/my~metrics", lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
    exporter.wait_until_ready().await;
    for (path, plain) in [
        ("/ssm/%6d%79%7Emetrics", "/ssm/my~metrics"),
        ("/%2D/%68ealthy", "/-/healthy"),
        ("/-/read%79", "/-/ready"),
        ("/-/status%2ecss", "/-/status.css"),
        ("/api/%76%31/status", "/api/v1/status"),
        ("/%73ync?account=%31", "/sync?account=1"),
    ] {
        let (encoded, plain) = (exporter.get(path).await, exporter.get(plain).await);
        assert_ne!(encoded.status, 404, "{path}");
        assert_eq!(encoded.status, plain.status, "{path}");
        assert_eq!(encoded.header("content-type"), plain.header("content-type"), "{path}");
    }
    let selected = exporter.get("/ssm/my%7emetrics?collect%5B%5D=ssm_sync_exporter_targets").await;
    assert!(selected.body.ends_with("\nssm_sync_exporter_targets 1\n"), "{}", selected.body);
    assert_eq!(http::request(exporter.address, "POST", "/-/%72eload").await.body, "reloaded\n");
    for path in [
        "/%2D%2Fhealthy",
        "/-%2fhealthy",
        "/%2d/healthy%2F",
        "/%2Fssm/my~metrics",
        "/ssm/my~metrics%00",
        "/ssm/my~metrics%20",
        "/ssm/my~metrics%3Fcollect[]=x",
        "/%2573ync",
        "/s%C3%BFync",
        "/%FF",
    ] {
        assert_eq!(exporter.get(path).await.status, 404, "{path}");
    }
}

/// As Go's `ServeMux` does, on which most exporters are built.
#[tokio::test]
async fn a_path_with_extra_slashes_or_dots_is_redirected_to_the_route() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
    for (path, location) in [
        ("//", "/"),
        ("//metrics", "/metrics"),
        ("/./metrics", "/metrics"),
        ("/a/../metrics?collect[]=x&y=%zz", "/metrics?collect[]=x&y=%zz"),
        ("/%2e%2e/metrics", "/metrics"),
        ("/-//healthy", "/-/healthy"),
        ("//api/v1//status", "/api/v1/status"),
        ("//-/reload", "/-/reload"),
        ("//elsewhere.example/%2e%2e", "/"),
        ("//elsewhere.example/../metrics", "/metrics"),
        // The same form in the request line as for a proxy.
        ("http://elsewhere.example//metrics", "/metrics"),
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let redirect = http::request(exporter.address, method, path).await;
            assert_eq!((redirect.status, redirect.header("location")), (307, Some(location)), "{path}");
        }
    }
    for path in [
        "//elsewhere.example",
        "//elsewhere.example/%2F..",
        "/\\elsewhere.example",
        "//metrics/",
        "/metrics/.",
    ] {
        let response = exporter.get(path).await;
        let location = response.header("location").map(ToOwned::to_owned);
        let expected = if path == "/metrics/." { (307, Some("/metrics".to_owned())) } else { (404, None) };
        assert_eq!((response.status, location), expected, "{path}");
    }
}

/// Regression: `OPTIONS *` got status 404.
#[tokio::test]
async fn options_of_the_server_and_connect_are_answered() {
    let aws = fake_aws().await;
    for (lifecycle, allowed) in [(false, "GET, HEAD, OPTIONS"), (true, "GET, HEAD, OPTIONS, POST")] {
        let setup = Setup { lifecycle, ..Setup::default() };
        let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
        let options = http::request(exporter.address, "OPTIONS", "*").await;
        assert_eq!((options.status, options.header("allow")), (200, Some(allowed)));
        assert_eq!((options.header("content-length"), options.body.as_str()), (Some("0"), ""));
        // Every route names its own methods.
        for (method, target, status, allowed) in [
            ("OPTIONS", "/metrics", 405, Some("GET, HEAD")),
            ("OPTIONS", "/-/reload", 405, Some("POST")),
            ("OPTIONS", "/missing", 404, None),
            ("TRACE", "/metrics", 405, Some("GET, HEAD")),
            ("CONNECT", "elsewhere.example:443", 405, Some("GET, HEAD")),
            ("CONNECT", "/metrics", 405, Some("GET, HEAD")),
            ("PRI", "*", 400, None),
        ] {
            let response = http::request(exporter.address, method, target).await;
            assert_eq!((response.status, response.header("allow")), (status, allowed), "{method} {target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_gets_the_metrics_however_it_writes_the_path() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    for target in ["/%6detrics", "//metrics", "/./metrics", "/a/../metrics"] {
        let mut curl = tools::curl();
        curl.args(["--silent", "--show-error", "--fail", "--location", "--path-as-is", "--max-time", "30"]);
        curl.arg(format!("http://{}{target}", exporter.address));
        let output = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
        let written = tools::written(&output);
        assert!(
            output.status.success() && written.contains("\nssm_sync_exporter_targets 1\n"),
            "{target}: {written}"
        );
    }
}
