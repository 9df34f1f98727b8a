//! `TestServerBehaviour` and `TestConfigReloading` in `web/tls_config_test.go`, and `TestHTTPHeaders`
//! in `web/handler_test.go`.

use std::time::{Duration, Instant};

use super::{CASE, Case, ExporterProcess, Files, Handshake, Refused, Response, SERVED, check, command};

const GOOD: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
    VerifyClientCertIfGiven\n";
const SOME_SUITES: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
    VerifyClientCertIfGiven\n  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  - \
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  min_version: TLS12\n  max_version: TLS12\n";
const SOME_CURVES: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
    VerifyClientCertIfGiven\n  min_version: TLS13\n  curve_preferences:\n  - CurveP521\n";
const REQUIRE_ANY: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
    RequireAnyClientCert\n";
const HEADERS: &str = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: \
    max-age=31536000; includeSubDomains\n    X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    \
    Content-Security-Policy: \"default-src 'self' *.test.example.net\"\n";

const CLIENT: &[&str] = &["--cert", "client_selfsigned.pem", "--key", "client_selfsigned.key"];
const CLIENT2: &[&str] = &["--cert", "client2_selfsigned.pem", "--key", "client2_selfsigned.key"];
const BOTH_SUITES: &[&str] = &["--ciphers", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"];

const fn https(name: &'static str, web: &'static str, client: &'static [&'static str]) -> Case {
    Case { name, web: Some(web), scheme: "https", client, ..CASE }
}

const SERVER_BEHAVIOUR: &[Case] = &[
    Case { name: "empty string YAMLConfigPath and default client", ..CASE },
    Case {
        name: "empty string YAMLConfigPath and TLS client",
        scheme: "https",
        // What OpenSSL says of a response in plain HTTP.
        outcome: Handshake("wrong version number"),
        ..CASE
    },
    Case {
        name: "valid tls config yml and default client",
        web: Some(GOOD),
        outcome: Response(400, "Client sent an HTTP request to an HTTPS server."),
        ..CASE
    },
    https("valid tls config yml and tls client", GOOD, &[]),
    https(
        "valid tls config yml (cert and key inline) and tls client",
        "tls_server_config:\n  cert: |\n    INLINE:server.crt\n  key: |\n    INLINE:server.key\n  client_auth_type: \
         VerifyClientCertIfGiven\n",
        &[],
    ),
    Case {
        outcome: Handshake("handshake failure"),
        difference: Some("TLS 1.0 and 1.1"),
        ..https(
            "valid tls config yml with TLS 1.1 client",
            GOOD,
            &["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"],
        )
    },
    https(
        "valid tls config yml with all ciphers",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         VerifyClientCertIfGiven\n  cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n  - \
         TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  - \
         TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\n  - \
         TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256\n  - TLS_AES_128_GCM_SHA256\n  - \
         TLS_AES_256_GCM_SHA384\n  - TLS_CHACHA20_POLY1305_SHA256\n  - \
         TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA\n  - TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA\n  - \
         TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\n  - TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA\n",
        &[],
    ),
    https(
        "valid tls config yml with some ciphers",
        SOME_SUITES,
        &["--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"],
    ),
    Case {
        outcome: Handshake("handshake failure"),
        ..https(
            "valid tls config yml with no common cipher",
            SOME_SUITES,
            &["--ciphers", "ECDHE-RSA-AES256-SHA"],
        )
    },
    Case {
        outcome: Response(200, "TLSv1.2 / ECDHE-RSA-AES128-GCM-SHA256"),
        ..https("valid tls config yml with multiple client ciphers", SOME_SUITES, BOTH_SUITES)
    },
    Case {
        outcome: Response(200, "TLSv1.2 / ECDHE-RSA-AES128-GCM-SHA256"),
        ..https(
            "valid tls config yml with multiple client ciphers, client chooses cipher",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
             VerifyClientCertIfGiven\n  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  - \
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  prefer_server_cipher_suites: false\n  min_version: \
             TLS12\n  max_version: TLS12\n",
            BOTH_SUITES,
        )
    },
    https(
        "valid tls config yml with all curves",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         VerifyClientCertIfGiven\n  curve_preferences:\n    - CurveP256\n    - CurveP384\n    - CurveP521\n    - \
         X25519\n",
        &[],
    ),
    https("valid tls config yml with some curves", SOME_CURVES, &["--curves", "P-521"]),
    Case {
        outcome: Handshake("handshake failure"),
        ..https("valid tls config yml with no common curves", SOME_CURVES, &["--curves", "P-384"])
    },
    https(
        "valid tls config yml with non-http2 ciphers",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         VerifyClientCertIfGiven\n  cipher_suites:\n    - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  max_version: \
         TLS12\nhttp_server_config:\n  http2: false\n",
        &[],
    ),
    Case {
        difference: Some("`cipher_suites` without AES-128-GCM while HTTP/2 is enabled"),
        ..https(
            "valid tls config yml with non-http2 ciphers but http2 enabled",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
             VerifyClientCertIfGiven\n  cipher_suites:\n    - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  \
             max_version: TLS12\n",
            &["--http2"],
        )
    },
    Case { name: "valid headers config", web: Some(HEADERS), ..CASE },
    Case {
        name: "invalid X-Content-Type-Options headers config",
        web: Some("http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n"),
        outcome: Refused("`sniff` is not supported; expected nosniff"),
        ..CASE
    },
    Case {
        name: "invalid X-Frame-Options headers config",
        web: Some("http_server_config:\n  headers:\n    X-Frame-Options: foo\n"),
        outcome: Refused("`foo` is not supported; expected deny or sameorigin"),
        ..CASE
    },
    Case {
        name: "HTTP header that can not be overridden",
        web: Some("http_server_config:\n  headers:\n    Content-Type: foo\n"),
        outcome: Refused("http_server_config.headers.Content-Type: unknown key"),
        ..CASE
    },
    https(
        "valid tls config yml and tls client with RequireAnyClientCert (present certificate)",
        REQUIRE_ANY,
        CLIENT,
    ),
    https(
        "valid tls config yml (cert from file, key inline) and tls client with RequireAnyClientCert (present certificate)",
        "tls_server_config:\n  cert_file: server.crt\n  key: |\n    INLINE:server.key\n  client_auth_type: \
         RequireAnyClientCert\n",
        CLIENT,
    ),
    https(
        "valid tls config yml and tls client with RequireAndVerifyClientCert (present certificate)",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         RequireAndVerifyClientCert\n  client_ca_file: client_selfsigned.pem\n",
        CLIENT,
    ),
    https(
        "valid tls config yml and tls client with VerifyPeerCertificate (present good SAN DNS entry)",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         RequireAndVerifyClientCert\n  client_ca_file: client2_selfsigned.pem\n  client_allowed_sans:\n    - one\n    \
         - test3\n    - two\n",
        CLIENT2,
    ),
    Case {
        outcome: Handshake("bad certificate"),
        ..https(
            "valid tls config yml and tls client with VerifyPeerCertificate (present invalid SAN DNS entries)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
             RequireAndVerifyClientCert\n  client_ca_file: client2_selfsigned.pem\n  client_allowed_sans:\n    - bad\n",
            CLIENT2,
        )
    },
    Case {
        name: "valid rate limiter (no rate limiter set up) that doesn't block",
        web: Some("rate_limit:\n  interval: 0\n  burst: 0\n"),
        requests: 11,
        ..CASE
    },
    Case {
        name: "valid rate limiter with an interval of one second",
        web: Some("rate_limit:\n  interval: \"1s\"\n  burst: 0\n"),
        requests: 11,
        outcome: Refused("a burst of 0 refuses every request"),
        difference: Some("`burst` of 0, or none"),
        ..CASE
    },
    // What the toolkit's case is about.
    Case {
        name: "valid rate limiter with an interval of one hour, and a burst of one",
        web: Some("rate_limit:\n  interval: 1h\n  burst: 1\n"),
        requests: 11,
        outcome: Response(429, "Too Many Requests"),
        ..CASE
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn test_server_behaviour() {
    check(SERVER_BEHAVIOUR).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn test_http_headers() {
    for header in [
        "\nstrict-transport-security: max-age=31536000; includeSubDomains\r",
        "\nx-frame-options: deny\r",
        "\nx-content-type-options: nosniff\r",
        "\nx-xss-protection: 1\r",
        "\ncontent-security-policy: default-src 'self' *.test.example.net\r",
    ] {
        check(&[Case { name: header, web: Some(HEADERS), outcome: Response(200, header), ..CASE }]).await;
    }
}

/// A configuration that admits no client is replaced by one that does. In the toolkit's test, this
/// is `RequireAndVerifyClientCert` without any authority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn test_config_reloading() {
    let files = Files::new();
    let web = files.web(&GOOD.replace("VerifyClientCertIfGiven", "RequireAndVerifyClientCert"));
    let exporter = ExporterProcess::start(&mut command(Some(&web)));
    let client = https("", GOOD, &[]);
    let (status, text) = files.curl(exporter.address, &client).await;
    assert!(status == 0 && text.contains("certificate required"), "{text}");
    assert!(
        exporter.log().contains("RequireAndVerifyClientCert is set without client_ca_file"),
        "{}",
        exporter.log()
    );

    files.web(GOOD);
    let deadline = Instant::now() + Duration::from_mins(1);
    while files.curl(exporter.address, &client).await.0 != 200 {
        assert!(Instant::now() < deadline, "{}", exporter.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.outcome, SERVED);
}
