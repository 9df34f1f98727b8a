//! `TestYAMLFiles` and `TestTLSConfigIsEnabled` in `web/tls_config_test.go`.

use super::{CASE, Case, Refused, SERVED, check};

/// A configuration that is refused with this in the message.
const fn refused(name: &'static str, web: &'static str, text: &'static str) -> Case {
    Case { name, web: Some(web), outcome: Refused(text), ..CASE }
}

/// A configuration with which the program serves.
const fn served(name: &'static str, web: &'static str, scheme: &'static str) -> Case {
    Case { name, web: Some(web), scheme, outcome: SERVED, ..CASE }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn test_yaml_files() {
    check(&[
        refused("path to config yml invalid", "somefile", "No such file or directory"),
        served("empty config yml", "", "http"),
        refused("invalid config yml (invalid structure)", "qJx2\nLw8d\nzV0t\n", "is not a mapping"),
        refused(
            "invalid config yml (invalid key)",
            "tls_server_config:\n  cert_filse: server.crt\n",
            "tls_server_config.cert_filse: unknown key; did you mean `cert_file`?",
        ),
        refused(
            "invalid config yml (cert path empty)",
            "tls_server_config:\n  cert_file: ''\n  key_file: server.key\n",
            "cert_file and cert are both missing",
        ),
        refused(
            "invalid config yml (cert empty)",
            "tls_server_config:\n  cert: ''\n  key_file: server.key\n",
            "cert_file and cert are both missing",
        ),
        refused(
            "invalid config yml (key path empty)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: ''\n",
            "key_file and key are both missing",
        ),
        refused(
            "invalid config yml (key empty)",
            "tls_server_config:\n  cert_file: server.crt\n  key: ''\n",
            "key_file and key are both missing",
        ),
        refused(
            "invalid config yml (cert path and key path empty)",
            "tls_server_config:\n  cert_file: ''\n  key_file: ''\n  client_auth_type: x\n",
            "`x` is not a client_auth_type",
        ),
        refused(
            "invalid config yml (cert path invalid)",
            "tls_server_config:\n  cert_file: somefile\n  key_file: server.key\n",
            "somefile: No such file or directory",
        ),
        refused(
            "invalid config yml (key path invalid)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: somefile\n",
            "somefile: No such file or directory",
        ),
        refused(
            "invalid config yml (cert path and key path invalid)",
            "tls_server_config:\n  cert_file: somefile\n  key_file: somefile\n",
            "somefile: No such file or directory",
        ),
        refused(
            "invalid config yml (invalid ClientAuth)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: /dev/null\n",
            "client_ca",
        ),
        refused(
            "invalid config yml (invalid ClientCAs filepath)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: somefile\n",
            "somefile: No such file or directory",
        ),
        refused(
            "invalid config yml (invalid user list)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\nbasic_auth_users:\n  john: doe\n",
            "basic_auth_users.john: not a bcrypt hash",
        ),
        refused(
            "invalid config yml (bad cipher)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: VerifyClientCertIfGiven\n  \
             cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048\n",
            "`TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048` is not a cipher suite",
        ),
        refused(
            "invalid config yml (bad curves)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: VerifyClientCertIfGiven\n  \
             curve_preferences:\n    - CurveP257\n",
            "`CurveP257` is not a curve",
        ),
        refused(
            "invalid config yml (bad TLS version)",
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: VerifyClientCertIfGiven\n  \
             min_version: TLS111\n",
            "`TLS111` is not a TLS version",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn test_tls_config_is_enabled() {
    check(&[
        served("empty config", "tls_server_config: {}\n", "http"),
        Case {
            difference: Some("`tls_server_config` without a certificate"),
            ..refused(
                "only non-enabling fields set",
                "tls_server_config: {min_version: TLS12, prefer_server_cipher_suites: true}\n",
                "cert_file and cert are both missing",
            )
        },
        served(
            "cert_file and key_file set",
            "tls_server_config: {cert_file: server.crt, key_file: server.key}\n",
            "https",
        ),
        served(
            "inline cert and key set",
            "tls_server_config:\n  cert: |\n    INLINE:server.crt\n  key: |\n    INLINE:server.key\n",
            "https",
        ),
        refused(
            "only client CA file set",
            "tls_server_config: {client_ca_file: client_selfsigned.pem}\n",
            "cert_file and cert are both missing",
        ),
        refused(
            "only client auth type set",
            "tls_server_config: {client_auth_type: RequireAndVerifyClientCert}\n",
            "cert_file and cert are both missing",
        ),
    ])
    .await;
}
