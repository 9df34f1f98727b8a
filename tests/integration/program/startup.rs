//! Tests of errors that keep the program from starting, and of `--config.check`.

use pretty_assertions::assert_eq;

use crate::process::{program, run, run_check};

#[test]
fn an_invalid_configuration_is_a_one_line_error_with_status_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "interval: soon\n").unwrap();
    let expected = format!(
        "ssm-sync-exporter: {}:1:11: interval: `soon` is not a valid duration; expected more than 0s and at most 720h, such as 30s, 5m or 1h30m\n",
        file.display()
    );
    for check in [&["--config.check"][..], &[]] {
        let (status, out, err) = run(program().arg("--config.file").arg(&file).args(check));
        assert_eq!((status, out.as_str(), &err), (Some(2), "", &expected));
    }

    let (status, _, err) = run(program().args(["--config.file", "/nonexistent.yaml"]));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: cannot read the configuration file /nonexistent.yaml: No such file or directory (os error 2)\n"
    );
    let (status, _, err) = run(program().arg("--config.file").arg(directory.path()));
    assert_eq!(status, Some(2));
    assert!(err.ends_with(": it is a directory; expected a regular file\n"), "{err}");

    let (status, _, err) = run(program().env("SSM_SYNC_EXPORTER_CONCURRENCY", "none"));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_CONCURRENCY: concurrency: `none` is invalid; expected a \
         whole number of at least 1\n"
    );
}

#[test]
fn a_region_without_a_fips_endpoint_is_rejected_by_name() {
    const NO_FIPS_ENDPOINT: &str = "use_fips: SSM has no FIPS endpoint in eu-west-1, only in ca-central-1, ca-west-1, us-east-1, \
                           us-east-2, us-west-1, us-west-2 and in GovCloud";
    let regions = ("SSM_SYNC_EXPORTER_REGIONS", "[us-east-1, eu-west-1]");
    let (status, out, err) =
        run(program().envs([regions, ("SSM_SYNC_EXPORTER_AWS__USE_FIPS", "true")]).arg("--config.check"));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_REGIONS: regions: {NO_FIPS_ENDPOINT}\n"
        )
    );
    let (status, out, err) = run(program()
        .envs([regions, ("AWS_USE_FIPS_ENDPOINT", "true")])
        .args(["--web.listen-address", "127.0.0.1:0"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_REGIONS: regions: {NO_FIPS_ENDPOINT}\n"
        )
    );
    let (status, _, err) = run(program()
        .envs([("AWS_REGION", "eu-west-1"), ("AWS_USE_FIPS_ENDPOINT", "true")])
        .args(["--web.listen-address", "127.0.0.1:0"]));
    assert_eq!((status, err), (Some(2), format!("ssm-sync-exporter: regions: {NO_FIPS_ENDPOINT}\n")));
}

#[test]
fn a_wildcard_that_cannot_match_a_region_is_rejected() {
    let (status, out, err) =
        run(program().env("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1, EU-*]").arg("--config.check"));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_REGIONS: regions[1]: `EU-*` is not a pattern for AWS \
         regions; expected lower-case letters, digits, `-`, `?` (any one character) and `*` (any number of characters), \
         such as `eu-*`\n"
    );
}

#[test]
fn config_check_validates_without_starting() {
    let full = concat!(env!("CARGO_MANIFEST_DIR"), "/config/full.yaml");
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("config");
    let keys = "aws_access_key_id = a\naws_secret_access_key = b\n";
    std::fs::write(&profiles, format!("[profile staging]\n{keys}[profile management]\n{keys}")).unwrap();
    let check = ["--config.check", "--config.file", full];
    let (status, out, err) = run_check(program().args(check).env("AWS_CONFIG_FILE", &profiles));
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is valid\n", ""));
    // The profiles may be added while the exporter runs.
    let (status, out, err) = run_check(program().args(check));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let warning = "the profile `staging` (selected by `profile`) is not defined in /dev/null or /dev/null; they have no \
                   profiles\nwarning: ";
    assert!(out.contains(warning) && out.starts_with("the configuration is valid\nwarning: "), "{out}");
    let (status, out, _) = run(program()
        .arg("--config.check")
        .envs([("SSM_SYNC_EXPORTER_INTERVAL", "2h"), ("AWS_REGION", "eu-west-1")]));
    assert_eq!(status, Some(0));
    assert!(out.contains("\nwarning: `stale_after` is shorter than `interval`"), "{out}");
}

#[test]
fn a_port_in_use_is_a_one_line_error_with_status_1() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (status, out, err) =
        run(program().args(["--web.listen-address", "127.0.0.1:0", "--web.listen-address", &address]));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        format!("ssm-sync-exporter: cannot listen on {address}: Address already in use (os error 98)\n")
    );
}

#[test]
fn a_missing_region_is_a_one_line_error_with_status_2() {
    let (status, _, err) = run(program().args(["--web.listen-address", "127.0.0.1:0"]));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: regions: no region is set; set `regions`, AWS_REGION, or `region` in the AWS profile\n"
    );
}
