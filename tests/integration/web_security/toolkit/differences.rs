//! The differences from the toolkit that its own tests do not touch, one case for each row of the
//! table in `config/README.md`.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use super::{CASE, Case, Handshake, Refused, Response, check, documented_differences};
use crate::exporter::REGION;
use crate::process::{program, run};

/// Rows that other tests are about.
const TESTED_ELSEWHERE: [(&str, &str); 13] = [
    ("Reload", "web_security/reload.rs"),
    ("Files above 1 MiB, pipes and devices", "config::web::tests"),
    ("Server keys", "web_security/openssl/server.rs"),
    ("IP addresses in `client_allowed_sans`", "web::security::client_cert::tests"),
    ("Byte order marks", "web_security/openssl/server.rs"),
    ("Order of the certificate chain", "web_security/openssl/server.rs"),
    ("Client certificates of version 1 or with `CA:TRUE`", "web_security/openssl/clients.rs"),
    ("Name constraints on e-mail addresses and URIs", "web_security/openssl/clients.rs"),
    ("RSA keys of clients", "web_security/openssl/clients.rs"),
    ("TLS sessions of verified clients", "web_security/openssl/clients.rs"),
    ("Unix sockets with `--web.systemd-socket`", "web_security/listeners.rs"),
    ("Many logins at the same time", "web_security/guessing.rs"),
    ("Requests that count under `rate_limit`", "web_security/guessing.rs"),
];

macro_rules! tls {
    ($($more:literal),* $(,)?) => {
        concat!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n", $("  ", $more, "\n"),*)
    };
}

/// The case of a row. `outcome` is that of this exporter.
const fn row(row: &'static str, web: &'static str, outcome: super::Outcome) -> Case {
    Case { name: row, web: Some(web), difference: Some(row), outcome, ..CASE }
}

const fn https(case: Case, client: &'static [&'static str]) -> Case {
    Case { scheme: "https", client, ..case }
}

const CLIENT2: &[&str] = &["--cert", "client2_selfsigned.pem", "--key", "client2_selfsigned.key"];

const NO_VALUE: &str = "Keys without a value";
const YAML: &str = "Booleans and numbers of YAML 1.1";
const FIT: &str = "Settings that permit no handshake";
const MALFORMED: &str = "Malformed certificates";
const VERSIONS: &str = "TLS 1.0 and 1.1";
const WEAK: &str = "Weak cipher suites";
const TLS13: &str = "Suites of TLS 1.3 in `cipher_suites`";
const HEADERS: &str = "Empty headers";
const RANGE: &str = "Values of `rate_limit` out of range";
const UNVERIFIED: &str = "`client_allowed_sans` without verification";
const IF_GIVEN: &str = "`client_allowed_sans` with `VerifyClientCertIfGiven`";
const OTHER_SANS: &str = tls!(
    "client_auth_type: VerifyClientCertIfGiven",
    "client_ca_file: client2_selfsigned.pem",
    "client_allowed_sans: [other]",
);

const CASES: &[Case] = &[
    row(NO_VALUE, "basic_auth_users:\n", Refused("basic_auth_users: found nothing")),
    row(NO_VALUE, "tls_server_config:\n", Refused("tls_server_config: found nothing")),
    row(NO_VALUE, tls!("cipher_suites:"), Refused("tls_server_config.cipher_suites: found nothing")),
    row(
        "`tls_server_config` without a certificate",
        "tls_server_config: {cert_file: '', key_file: ''}\n",
        Refused("cert_file and cert are both missing"),
    ),
    row(
        "Both keys of a pair, such as `cert` and `cert_file`",
        tls!("key: x"),
        Refused("key and key_file are both set"),
    ),
    row(YAML, "http_server_config: {http2: yes}\n", Refused("`yes` is not a boolean")),
    row(YAML, "rate_limit: {interval: 1s, burst: 1_000}\n", Refused("`1_000` is invalid")),
    row(
        "Further YAML documents after `---`",
        "http_server_config: {http2: true}\n---\nfoo: bar\n",
        Refused("a second document begins here"),
    ),
    row(YAML, "rate_limit: {interval: 1s, burst: 010}\n", Response(200, "")),
    row(
        "Tags such as `!vault`",
        "basic_auth_users: {ann: !vault text}\n",
        Refused("the tag `!vault` is not supported here"),
    ),
    https(
        row(VERSIONS, tls!("min_version: TLS10"), Handshake("handshake failure")),
        &["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"],
    ),
    https(row(VERSIONS, tls!("min_version: TLS11"), Response(200, "TLSv1.2")), &["--tls-max", "1.2"]),
    row(VERSIONS, tls!("max_version: TLS11"), Refused("TLS 1.0 and 1.1 are insecure and not offered")),
    https(
        row(
            WEAK,
            tls!(
                "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_AES_128_GCM_SHA256, \
                 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]"
            ),
            Handshake("handshake failure"),
        ),
        &["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256"],
    ),
    row(
        WEAK,
        tls!("max_version: TLS12", "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]"),
        Refused("none of the suites works"),
    ),
    https(
        row(TLS13, tls!("cipher_suites: [TLS_AES_256_GCM_SHA384]"), Handshake("handshake failure")),
        &["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"],
    ),
    https(
        row(
            "`cipher_suites` without AES-128-GCM while HTTP/2 is enabled",
            tls!("cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]"),
            Response(200, "HTTP/2 200"),
        ),
        &["--http2", "--tls-max", "1.2"],
    ),
    https(
        row(
            "`prefer_server_cipher_suites`",
            tls!(
                "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]"
            ),
            Response(200, "TLSv1.2 / ECDHE-RSA-AES256-GCM-SHA384"),
        ),
        &["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"],
    ),
    row(
        FIT,
        tls!("max_version: TLS12", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"),
        Refused("add a suite with ECDHE_RSA"),
    ),
    row(
        FIT,
        tls!("max_version: TLS12", "curve_preferences: [X25519MLKEM768]"),
        Refused("none of the curves works with TLS 1.2"),
    ),
    row(FIT, tls!("min_version: TLS13", "max_version: TLS12"), Refused("is above max_version")),
    row(
        MALFORMED,
        tls!("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: server.key"),
        Refused("client_ca_file: no certificate found"),
    ),
    row(
        UNVERIFIED,
        tls!("client_auth_type: RequireAnyClientCert", "client_allowed_sans: [a]"),
        Refused("does not verify certificates"),
    ),
    row(UNVERIFIED, tls!("client_allowed_sans: [a]"), Refused("does not verify certificates")),
    row(
        "Empty `client_allowed_sans`",
        tls!(
            "client_auth_type: RequireAndVerifyClientCert",
            "client_ca_file: client2_selfsigned.pem",
            "client_allowed_sans: []",
        ),
        Refused("the list is empty"),
    ),
    row(HEADERS, "http_server_config: {headers: {X-Frame-Options: ''}}\n", Response(200, "")),
    row(
        "Headers with control characters",
        "http_server_config: {headers: {X-XSS-Protection: \"1\\na: b\"}}\n",
        Refused("contains line breaks or control characters"),
    ),
    Case {
        requests: 2,
        ..row(
            "Headers of responses with status 429",
            "rate_limit: {interval: 1h, burst: 1}\nhttp_server_config: {headers: {X-XSS-Protection: 7}}\n",
            Response(429, "x-xss-protection: 7"),
        )
    },
    row(
        "Malformed bcrypt hashes",
        "basic_auth_users: {a: '$2y$10$%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%'}\n",
        Refused("not a bcrypt hash"),
    ),
    row(
        "bcrypt hashes that begin with `$2$`",
        "basic_auth_users: {a: $2$10$4VeFDzXIoPHKnKTU3O3GH.N.vZu06CVqczYZ8WvfzrddFU6tGqjR.}\n",
        Refused("not a bcrypt hash"),
    ),
    row(
        "bcrypt costs above 18",
        "basic_auth_users: {a: $2y$19$4VeFDzXIoPHKnKTU3O3GH.N.vZu06CVqczYZ8WvfzrddFU6tGqjR.}\n",
        Refused("the cost 19 of the bcrypt hash is too high"),
    ),
    row(
        "User names with a colon",
        "basic_auth_users: {'a:b': $2y$10$4VeFDzXIoPHKnKTU3O3GH.N.vZu06CVqczYZ8WvfzrddFU6tGqjR.}\n",
        Refused("a user name cannot contain a colon"),
    ),
    row(
        "`WWW-Authenticate`",
        "basic_auth_users: {a: $2y$10$4VeFDzXIoPHKnKTU3O3GH.N.vZu06CVqczYZ8WvfzrddFU6tGqjR.}\n",
        Response(401, "www-authenticate: Basic realm=\"ssm-sync-exporter\", charset=\"UTF-8\""),
    ),
    // The hash is that of the password `ä` in Latin-1.
    Case {
        client: &["--header", "Authorization: Basic YTrk"],
        ..row(
            "Users and passwords that are not UTF-8",
            "basic_auth_users: {a: $2y$04$krkw2tPn8VW5WlOyNCNMS.9wcZsRhahKfz.H8moe27TfiOh7JgNEi}\n",
            Response(401, ""),
        )
    },
    row("`burst` of 0, or none", "rate_limit: {interval: 1s}\n", Refused("refuses every request")),
    row(RANGE, "rate_limit: {interval: 5, burst: 1}\n", Refused("`5` is not a valid duration")),
    row(RANGE, "rate_limit: {interval: .5s, burst: 1}\n", Refused("`.5s` is not a valid duration")),
    row(RANGE, "rate_limit: {interval: -1s, burst: 1}\n", Refused("`-1s` is not a valid duration")),
    row(RANGE, "rate_limit: {interval: 1s, burst: -1}\n", Refused("`-1` is invalid")),
    row(RANGE, "rate_limit: {interval: 1h, burst: 721}\n", Refused("more than 720h")),
    row(
        "`auth_excluded_paths`",
        "auth_excluded_paths: [/-/ready]\nrate_limit: {interval: 1s, burst: 1}\n",
        Response(200, ""),
    ),
    https(row(IF_GIVEN, OTHER_SANS, Response(200, "")), &[]),
    https(row(IF_GIVEN, OTHER_SANS, Handshake("bad certificate")), CLIENT2),
    https(
        row(
            "`X25519MLKEM768` in `curve_preferences`",
            tls!("curve_preferences: [X25519MLKEM768, CurveP256]"),
            Response(200, ""),
        ),
        &[],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn documented_differences_are_as_documented() {
    check(CASES).await;
}

/// The rows about flags.
#[test]
fn flags_differ_as_documented() {
    let rows = documented_differences();
    for (row, flags) in [
        (
            "`vsock://` addresses and names of ports, such as `:http`",
            &["--web.listen-address=vsock://:9100", "--web.listen-address=:http"][..],
        ),
        ("`--web.disable-exporter-metrics`", &["--web.disable-exporter-metrics"]),
    ] {
        assert!(rows.contains(row), "{row}");
        for flag in flags {
            let (status, _, err) = run(program().env("AWS_REGION", REGION).arg(flag));
            assert_eq!(status, Some(2), "{err}");
        }
    }
}

#[test]
fn every_documented_difference_is_tested() {
    let flags =
        ["`vsock://` addresses and names of ports, such as `:http`", "`--web.disable-exporter-metrics`"];
    let tested: BTreeSet<_> = CASES.iter().filter_map(|case| case.difference).collect();
    let tested: BTreeSet<_> =
        tested.into_iter().chain(TESTED_ELSEWHERE.map(|(row, _)| row)).chain(flags).collect();
    let documented = documented_differences();
    assert_eq!(documented.iter().map(String::as_str).collect::<BTreeSet<_>>(), tested);
}
