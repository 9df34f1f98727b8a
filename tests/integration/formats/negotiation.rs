//! Tests of format negotiation, and of selecting families by `collect[]`, `exclude[]`, `name[]` and
//! `metrics.disable`.

use fake_aws::SyncKind;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{CODINGS, FORMATS, Format, OPEN_METRICS, PROTOBUF, TEXT_0_0_4, TEXT_1_0_0, fetch};
use crate::exporter::{Exporter, NOW, fake_aws, one_target, put_sync};
use crate::http;
use crate::prometheus::exporter_with_everything;
use crate::tools;

#[tokio::test]
async fn every_client_gets_the_format_that_it_prefers_and_never_an_error() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    let utf8 = |content_type: &str| content_type.replace("underscores", "allow-utf-8");
    for (accept, content_type) in [
        (&[][..], TEXT_0_0_4.to_owned()),
        // Prometheus 2.42, without and with native histograms.
        (
            &[
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            OPEN_METRICS.to_owned(),
        ),
        (
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            PROTOBUF.to_owned(),
        ),
        // Prometheus 3, with its default and with each format first.
        (
            &[
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
            utf8(OPEN_METRICS),
        ),
        (
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
            ],
            utf8(PROTOBUF),
        ),
        (
            &[
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.2",
            ],
            utf8(TEXT_1_0_0),
        ),
        (
            &[
                "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.2",
            ],
            TEXT_0_0_4.to_owned(),
        ),
        // The escaping scheme `dots` would double every underscore. Regression: it and unknown schemes
        // made the client fall back to its next format.
        (
            &[
                "application/openmetrics-text;version=1.0.0;escaping=dots;q=0.6,text/plain;version=0.0.4;q=0.3",
            ],
            OPEN_METRICS.to_owned(),
        ),
        (
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=new-scheme;q=0.6,*/*;q=0.2",
            ],
            PROTOBUF.to_owned(),
        ),
        (&["text/plain;version=1.0.0;escaping=\"\";q=0.6,*/*;q=0.2"], TEXT_1_0_0.to_owned()),
        (&["application/openmetrics-text; version=1.0.0; escaping=\"ALLOW-UTF-8\""], utf8(OPEN_METRICS)),
        // Neither are unknown parameters, another charset, or a weight with many decimals.
        (
            &["application/openmetrics-text;version=1.0.0;profile=x;charset=latin1, text/plain;q=0.9"],
            OPEN_METRICS.to_owned(),
        ),
        (&["text/plain;q=.2, application/openmetrics-text;q=0.6666666"], OPEN_METRICS.to_owned()),
        // An unknown version is another format.
        (
            &["application/openmetrics-text;version=9.9.9, text/plain;version=1.0.0;q=0.5"],
            TEXT_1_0_0.to_owned(),
        ),
        (
            &[
                "application/openmetrics-text;version=1.0.0;escaping=values;q=0.6,text/plain;version=0.0.4;q=0.3",
            ],
            OPEN_METRICS.replace("underscores", "values"),
        ),
        // Only an OpenMetrics version that is not supported.
        (&["application/openmetrics-text;version=0.0.1"], TEXT_0_0_4.to_owned()),
        (&["application/openmetrics-text; charset=utf-8"], OPEN_METRICS.to_owned()),
        // Prometheus before 2.5, and Telegraf.
        (&["text/plain;version=0.0.4;q=1,*/*;q=0.1"], TEXT_0_0_4.to_owned()),
        (
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            ],
            PROTOBUF.to_owned(),
        ),
        // curl, and a browser.
        (&["*/*"], TEXT_0_0_4.to_owned()),
        (
            &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
            TEXT_0_0_4.to_owned(),
        ),
        // No supported type.
        (&["application/json"], TEXT_0_0_4.to_owned()),
        (&["*/*;q=0"], TEXT_0_0_4.to_owned()),
        (&["text/plain;q=0, application/*;q=0"], TEXT_0_0_4.to_owned()),
        // A weight of 0 excludes a type.
        (&["text/plain;q=0, */*"], OPEN_METRICS.to_owned()),
        (&["text/plain;version=0.0.4;q=0.0, text/plain"], TEXT_1_0_0.to_owned()),
        (&["application/openmetrics-text;q=0, application/*, text/*;q=0.5"], PROTOBUF.to_owned()),
        // Repeated headers are combined.
        (
            &["text/plain;version=0.0.4;q=0.5", "application/json", "application/openmetrics-text;q=0.7"],
            OPEN_METRICS.to_owned(),
        ),
        (&["*/*", "text/plain;version=1.0.0"], TEXT_1_0_0.to_owned()),
        // Malformed items are ignored.
        (&[""], TEXT_0_0_4.to_owned()),
        (&[";;;,,=;q", "\"", "text", "text/plain;version", "ünï/cöde"], TEXT_0_0_4.to_owned()),
        (&["malformed, application/openmetrics-text;q=0.5, text/plain;q=oops"], OPEN_METRICS.to_owned()),
    ] {
        let headers: Vec<(&str, &str)> = accept.iter().map(|value| ("Accept", *value)).collect();
        let response = exporter.get_with("/metrics", &headers).await;
        assert_eq!(response.status, 200, "{accept:?}");
        assert_eq!(response.header("content-type"), Some(&*content_type), "{accept:?}");
    }
}

#[tokio::test]
async fn collect_and_exclude_select_families() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let status = "aws_ssm_resource_data_sync_last_status";
    let age = "aws_ssm_resource_data_sync_last_sync_age_seconds";
    let info = "aws_ssm_resource_data_sync_info";
    let collections = "ssm_sync_exporter_target_collections_total";
    let duration = "ssm_sync_exporter_api_request_duration_seconds";
    for format in FORMATS {
        let families = async |path: &str| format.families(&fetch(&exporter, path, format, "gzip").await);
        let all = families("/metrics").await;
        assert_eq!(all.len(), 66);
        assert!(all.is_sorted());
        for (query, expected) in [
            (format!("collect[]={status}"), vec![status]),
            // Each family is exposed once, in the usual order.
            (format!("collect[]={collections}&collect[]={age}&collect[]={age}"), vec![age, collections]),
            (format!("collect%5B%5D={duration}&x=y&collect%5b]={info}"), vec![info, duration]),
        ] {
            assert_eq!(families(&format!("/metrics?{query}")).await, expected, "{query}");
        }
        for (query, without) in [
            (format!("exclude[]={status}"), vec![status]),
            (format!("exclude%5B%5D={collections}&exclude[]={duration}"), vec![collections, duration]),
        ] {
            let expected: Vec<&String> =
                all.iter().filter(|name| !without.contains(&name.as_str())).collect();
            assert_eq!(families(&format!("/metrics?{query}")).await.iter().collect::<Vec<_>>(), expected);
        }
        // An exposition without families is not an error and must be well-formed.
        let query: Vec<String> = all.iter().map(|name| format!("exclude[]={name}")).collect();
        for coding in CODINGS {
            let body = fetch(&exporter, &format!("/metrics?{}", query.join("&")), format, coding).await;
            assert_eq!(body, if format == Format::OpenMetrics { &b"# EOF\n"[..] } else { b"" });
        }
    }
}

#[tokio::test]
async fn an_invalid_selection_of_families_is_rejected_with_a_hint() {
    let aws = fake_aws().await;
    let config = one_target().replace("1s", "1h") + "metrics: {disable: [aws_ssm_resource_data_sync_info]}\n";
    let exporter = Exporter::start_ready(&aws, &config).await;
    for format in FORMATS {
        let headers = [("Accept", format.accept()), ("Accept-Encoding", "gzip")];
        for (query, message) in [
            (
                "collect[]=ssm_sync_exporter_target_up&exclude[]=aws_ssm_resource_data_syncs",
                "collect[] and exclude[] cannot be combined",
            ),
            (
                "collect[]=aws_ssm_resource_data_sync_status",
                "collect[]: no metric family is called `aws_ssm_resource_data_sync_status`; did you mean `aws_ssm_resource_data_sync_last_status`?",
            ),
            // The name that the family has in OpenMetrics.
            (
                "exclude%5B%5D=ssm_sync_exporter_target_collections",
                "exclude[]: no metric family is called `ssm_sync_exporter_target_collections`; did you mean `ssm_sync_exporter_target_collections_total`?",
            ),
            (
                "collect[]=ssm_sync_exporter_target_up&collect[]=aws_ssm_resource_data_sync_info",
                "collect[]: the metric family `aws_ssm_resource_data_sync_info` is disabled by `metrics.disable` in the configuration",
            ),
        ] {
            let path = format!("/metrics?{query}");
            let rejected = exporter.get_with(&path, &headers).await;
            assert_eq!((rejected.status, rejected.body), (400, format!("{message}\n")), "{query}");
            assert_eq!(http::request(exporter.address, "HEAD", &path).await.status, 400, "{query}");
        }
        let empty = exporter.get_with("/metrics?collect[]=", &headers).await;
        assert_eq!(empty.status, 400);
        assert!(empty.body.starts_with("collect[]: no metric family is called ``"), "{}", empty.body);
    }
}

/// As in the client libraries for Go and Python.
#[tokio::test]
async fn name_selects_families_and_ignores_unknown_names() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let status = "aws_ssm_resource_data_sync_last_status";
    let age = "aws_ssm_resource_data_sync_last_sync_age_seconds";
    let collections = "ssm_sync_exporter_target_collections_total";
    let duration = "ssm_sync_exporter_api_request_duration_seconds";
    for format in FORMATS {
        let whole =
            fetch(&exporter, "/metrics?collect[]=aws_ssm_resource_data_sync_last_status", format, "gzip")
                .await;
        for coding in CODINGS {
            for (query, expected) in [
                (format!("name[]={status}"), vec![status]),
                (format!("name%5B%5D={collections}&x=y&name%5b]={age}&name[]={age}"), vec![age, collections]),
                (format!("name[]={status}&name[]=no_such_family&name[]="), vec![status]),
                (format!("name[]={duration}"), vec![duration]),
                // Samples of a histogram belong to its family.
                (format!("name[]={duration}_bucket&name[]={duration}_sum"), vec![duration]),
                // Names are exact.
                (format!("name[]={status}_bucket"), vec![]),
                (format!("name[]={}", status.to_uppercase()), vec![]),
                ("name[]=ssm_sync_exporter_target_collections".to_owned(), vec![]),
                ("name[]=no_such_family".to_owned(), vec![]),
                ("name[]=".to_owned(), vec![]),
                ("name[]".to_owned(), vec![]),
                // Only what the other parameters select.
                (format!("collect[]={status}&collect[]={age}&name[]={age}&name[]={duration}"), vec![age]),
                (format!("exclude[]={status}&name[]={age}&name[]={status}"), vec![age]),
                (format!("collect[]={status}&name[]={age}"), vec![]),
            ] {
                let body = fetch(&exporter, &format!("/metrics?{query}"), format, coding).await;
                assert_eq!(format.families(&body), expected, "{query}");
                if expected.is_empty() {
                    assert_eq!(
                        body,
                        if format == Format::OpenMetrics { &b"# EOF\n"[..] } else { b"" },
                        "{query}"
                    );
                }
                if expected == [status] {
                    assert!(body == whole, "{query}: the family is the same as ever");
                }
            }
            // Without brackets, it is another parameter.
            let all = fetch(&exporter, &format!("/metrics?name={status}"), format, coding).await;
            assert_eq!(format.families(&all).len(), 66);
        }
    }
    let invalid = exporter.get(&format!("/metrics?collect[]=no_such_family&name[]={status}")).await;
    assert_eq!(invalid.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn name_selects_the_same_samples_as_in_the_client_library_for_python() {
    let (_aws, exporter) = exporter_with_everything("1h").await;
    let directory = tempfile::tempdir().unwrap();
    let mut python = tools::python();
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/select_by_name.py"));
    let histogram = "ssm_sync_exporter_api_request_duration_seconds";
    let queries = [
        String::new(),
        "?name[]=aws_ssm_resource_data_sync_info".to_owned(),
        "?name%5B%5D=ssm_sync_exporter_target_up&name[]=aws_ssm_resource_data_syncs".to_owned(),
        "?name[]=ssm_sync_exporter_api_requests_total&name[]=no_such_family".to_owned(),
        "?name[]=ssm_sync_exporter_api_requests".to_owned(),
        format!("?name[]={histogram}_bucket&name[]={histogram}_sum&name[]={histogram}_count"),
        "?name[]=no_such_family".to_owned(),
        "?name=aws_ssm_resource_data_sync_info".to_owned(),
    ];
    for (index, query) in queries.iter().enumerate() {
        let file = directory.path().join(index.to_string());
        let body = fetch(&exporter, &format!("/metrics{query}"), Format::Text004, "identity").await;
        std::fs::write(&file, body).unwrap();
        python.arg(query.trim_start_matches('?')).arg(file);
    }
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{} queries select the same\n", queries.len())
    );
}

#[tokio::test]
async fn disabled_families_are_not_exposed() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "a", "LastSyncTime": NOW}));
    let disabled = [
        "aws_ssm_resource_data_sync_last_sync_age_seconds",
        "aws_ssm_resource_data_sync_quota",
        "process_open_fds",
        "ssm_sync_exporter_api_request_duration_seconds",
    ];
    let config = one_target().replace("1s", "1h");
    let unrestricted = Exporter::start_ready(&aws, &config).await;
    let config = config + &format!("metrics: {{disable: [{}]}}\n", disabled.join(", "));
    let exporter = Exporter::start_ready(&aws, &config).await;
    for format in FORMATS {
        let mut all = format.families(&fetch(&unrestricted, "/metrics", format, "zstd").await);
        let before = all.len();
        all.retain(|name| !disabled.contains(&name.as_str()));
        assert_eq!(all.len(), before - disabled.len());
        assert_eq!(format.families(&fetch(&exporter, "/metrics", format, "zstd").await), all);
        // It may be named.
        let path = "/metrics?name[]=process_open_fds&name[]=process_max_fds";
        let body = fetch(&exporter, path, format, "identity").await;
        assert_eq!(format.families(&body), ["process_max_fds"]);
        // A disabled family may be excluded.
        let path = "/metrics?exclude[]=process_open_fds&exclude[]=process_max_fds";
        all.retain(|name| name != "process_max_fds");
        assert_eq!(format.families(&fetch(&exporter, path, format, "identity").await), all);
    }
}
