//! Certificates and keys of the server, and the errors about those that cannot be used.

use pretty_assertions::assert_eq;

use super::{Files, start};
use crate::exporter::REGION;
use crate::process::{program, run_check};
use crate::tools;
use crate::web_security::node_exporter::NodeExporter;

/// The verdict of `--config.check` on `web.yaml`: its message, without the directory.
fn check(files: &Files) -> Result<String, String> {
    let web = files.path().join("web.yaml");
    let mut command = program();
    command.env("AWS_REGION", REGION).arg("--config.check").arg("--web.config.file").arg(web);
    let (status, out, err) = run_check(&mut command);
    let text = format!("{out}{err}").replace(&format!("{}/", files.path().display()), "");
    if status == Some(0) { Ok(text) } else { Err(text) }
}

const TAKEN: &str = "the configuration is valid\n";

/// A certificate, a key, what `--config.check` says about them (at least this part, or exactly
/// [`TAKEN`]), and whether `node_exporter` starts with them.
const CASES: &[(&str, &str, &str, bool)] = &[
    ("server.crt", "server.key", TAKEN, true),
    ("self-signed.crt", "self-signed.key", TAKEN, true),
    ("signed.crt", "signed.key", TAKEN, true),
    (
        "version1.crt",
        "version1.key",
        "no subject alternative name (it is X.509 version 1), so Prometheus",
        true,
    ),
    ("other.crt", "other.key", "no subject alternative name, so Prometheus", true),
    ("expired.crt", "expired.key", "expired on Jan  2 00:00:00 2020 +00:00; clients will refuse it", true),
    ("future.crt", "future.key", "not valid before Jan  1 00:00:00 2090 +00:00; clients", true),
    ("p521.crt", "p521.key", TAKEN, true),
    ("ed25519.crt", "ed25519.key", TAKEN, true),
    ("rsa.crt", "rsa.key", TAKEN, true),
    ("rsa.crt", "pkcs1.key", TAKEN, true),
    ("server.crt", "sec1.key", TAKEN, true),
    ("with-parameters.crt", "with-parameters.key", TAKEN, true),
    ("all.pem", "all.pem", TAKEN, true),
    ("windows.crt", "windows.key", TAKEN, true),
    ("bom.crt", "bom.key", TAKEN, false),
    ("broken-chain.crt", "server.key", "certificate 2 cannot be parsed: it is not a valid X.509", true),
    ("rsa1024.crt", "rsa1024.key", "not supported: it is RSA with 1024 bits; expected RSA with 2048", true),
    (
        "secp256k1.crt",
        "secp256k1.key",
        "it is ECDSA on the curve secp256k1, not P-256, P-384 or P-521",
        false,
    ),
    ("ed448.crt", "ed448.key", "not supported: it is Ed448; expected", false),
    ("server.crt", "dsa.key", "not supported: it is DSA; expected", false),
    ("server.crt", "other.key", "does not match the certificate; `openssl x509 -noout -pubkey`", false),
    (
        "chain-backwards.crt",
        "server.key",
        "cert_file: the private key does not match certificate 1 but certificate 2",
        false,
    ),
    ("server.crt", "encrypted.key", "the private key is encrypted; expected one without", false),
    ("rsa.crt", "encrypted-pkcs1.key", "the private key is encrypted; expected one without", false),
    ("server.crt", "parameters.key", "only `-----BEGIN EC PARAMETERS-----`; expected PEM", false),
    ("server.crt", "public.key", "only `-----BEGIN PUBLIC KEY-----`; expected PEM", false),
    ("server.crt", "ssh.key", "only `-----BEGIN OPENSSH PRIVATE KEY-----`; convert", false),
    (
        "server.crt",
        "server.crt",
        "only `-----BEGIN CERTIFICATE-----`; expected PEM with `-----BEGIN PRIVATE",
        false,
    ),
    (
        "server.key",
        "server.crt",
        "only `-----BEGIN PRIVATE KEY-----`; expected PEM with `-----BEGIN CERT",
        false,
    ),
    ("server.crt", "der.key", "binary (DER); convert it with `openssl pkey -inform DER", false),
    ("der.crt", "server.key", "binary (DER); convert it with `openssl x509 -inform DER", false),
    (
        "server.crt",
        "archive.p12",
        "a PKCS#12 archive; convert it with `openssl pkcs12 -in FILE -nocerts",
        false,
    ),
    (
        "archive.p12",
        "server.key",
        "a PKCS#12 archive; convert it with `openssl pkcs12 -in FILE -nokeys",
        false,
    ),
    ("java.jks", "server.key", "a Java key store; convert it with `keytool", false),
    ("trusted.crt", "server.key", "only `-----BEGIN TRUSTED CERTIFICATE-----`; only OpenSSL reads", false),
    ("pkcs7.crt", "server.key", "only `-----BEGIN PKCS7-----`; convert it with `openssl pkcs7", false),
    (
        "request.crt",
        "server.key",
        "only `-----BEGIN CERTIFICATE REQUEST-----`; expected the certificate",
        false,
    ),
    ("empty", "server.key", "cert_file: no certificate found: the text is empty", false),
    ("server.crt", "empty", "key_file: no private key found: the text is empty", false),
    ("utf16.crt", "server.key", "the file is encoded in UTF-16; save it as UTF-8", false),
    ("server.crt", "utf16.key", "the file is encoded in UTF-16; save it as UTF-8", false),
    ("indented.crt", "server.key", "its lines are indented; `-----BEGIN CERTIFICATE-----` must be", false),
    ("server.crt", "indented.key", "its lines are indented; `-----BEGIN PRIVATE KEY-----` must be", false),
    (
        "one-line.crt",
        "server.key",
        "certificate 1 cannot be parsed: its `-----BEGIN` line does not end",
        false,
    ),
    (
        "server.crt",
        "one-line.key",
        "the private key cannot be parsed: its `-----BEGIN` line does not end",
        false,
    ),
    ("cut.crt", "server.key", "certificate 1 cannot be parsed: its `-----END` line is missing", false),
    ("server.crt", "cut.key", "the private key cannot be parsed: its `-----END` line is missing", false),
    ("damaged.crt", "server.key", "certificate 1 cannot be parsed: its base64 is invalid", false),
    ("server.crt", "damaged.key", "the private key cannot be parsed: its base64 is invalid", false),
];

/// The files that [`CASES`] names.
fn certificates() -> Files {
    let files = Files::new();
    files.authority("other", "");
    files.client_without_extensions("version1", "ca");
    files.dated_authority("expired", "20200101000000Z", "20200102000000Z");
    files.dated_authority("future", "20900101000000Z", "20910101000000Z");
    for (name, arguments) in [
        ("p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        ("secp256k1", "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"),
        ("ed25519", "-algorithm ED25519"),
        ("ed448", "-algorithm ED448"),
        ("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
        ("rsa1024", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
    ] {
        files.openssl(&format!("genpkey {arguments} -out {name}.key"));
        let names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost";
        files.openssl(&format!("req -x509 -key {name}.key -out {name}.crt {names} -days 2"));
    }
    files.openssl("rsa -traditional -in rsa.key -out pkcs1.key");
    files.openssl("ec -in server.key -out sec1.key");
    files.openssl("ecparam -name prime256v1 -genkey -out with-parameters.key");
    files.openssl("req -x509 -key with-parameters.key -out with-parameters.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2");
    files.openssl("ecparam -name prime256v1 -out parameters.key");
    files.openssl("pkey -in server.key -pubout -out public.key");
    files.openssl("pkcs8 -topk8 -in server.key -passout pass:secret -out encrypted.key");
    files.openssl("rsa -traditional -aes128 -passout pass:secret -in rsa.key -out encrypted-pkcs1.key");
    files.openssl("pkey -in server.key -outform DER -out der.key");
    files.openssl("x509 -in server.crt -outform DER -out der.crt");
    files.openssl("x509 -in server.crt -trustout -addtrust serverAuth -out trusted.crt");
    files.openssl("pkcs12 -export -in server.crt -inkey server.key -passout pass: -out archive.p12");
    files.openssl("crl2pkcs7 -nocrl -certfile server.crt -out pkcs7.crt");
    files.openssl("req -new -key server.key -subj /CN=localhost -out request.crt");
    files.openssl("dsaparam -genkey -noout -out dsa.key 1024");
    write_unusual_texts(&files);
    files
}

fn write_unusual_texts(files: &Files) {
    files.write("chain-backwards.crt", [files.read("ca.crt"), files.read("server.crt")].concat());
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    files.write("broken-chain.crt", [files.read("server.crt"), broken].concat());
    files.write("all.pem", [files.read("server.key"), files.read("server.crt")].concat());
    files.write("empty", "");
    let text = |name: &str| String::from_utf8(files.read(name)).unwrap();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    files.write("bom.crt", format!("\u{feff}{}", text("server.crt")));
    files.write("bom.key", format!("\u{feff}{}", text("server.key")));
    files.write("utf16.crt", [&[0xFF, 0xFE][..], &utf16(&text("server.crt"))].concat());
    files.write("utf16.key", [&[0xFF, 0xFE][..], &utf16(&text("server.key"))].concat());
    files.write("windows.crt", text("server.crt").replace('\n', "\r\n"));
    files.write("windows.key", text("server.key").replace('\n', "\r\n"));
    files.write("indented.crt", text("server.crt").replace('\n', "\n  ").replacen("--", "  --", 1));
    files.write("indented.key", text("server.key").replace('\n', "\n  ").replacen("--", "  --", 1));
    files.write("one-line.crt", text("server.crt").replace('\n', "\\n"));
    files.write("one-line.key", text("server.key").replace('\n', "\\n"));
    files.write("cut.crt", &text("server.crt")[..200]);
    files.write("cut.key", &text("server.key")[..80]);
    files.write("damaged.crt", text("server.crt").replacen("MII", "MI!", 1));
    files.write("damaged.key", text("server.key").replacen("MI", "M!", 1));
    files.write("ssh.key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    files.write("java.jks", [0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2]);

    // As documented.
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let name = "-subj /CN=HOST -addext subjectAltName=DNS:HOST";
    files.openssl(&format!("req -x509 {key} -days 365 {name} -keyout self-signed.key -out self-signed.crt"));
    files.openssl(&format!("req {key} {name} -keyout signed.key -out signed.csr"));
    let authority = "-CA ca.crt -CAkey ca.key -CAcreateserial";
    files.openssl(&format!(
        "x509 -req -in signed.csr {authority} -days 365 -copy_extensions copy -out signed.crt"
    ));
}

/// Whether the exporter and a `node_exporter` start with a certificate or key, and what the
/// exporter says about it. Regression: certificates of version 1 were refused, and most errors named
/// no reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn server_certificates_and_keys_are_taken_as_by_node_exporter_or_refused_with_the_reason() {
    let files = certificates();
    let mut differences = Vec::new();
    for &(certificate, key, expected, theirs) in CASES {
        let name = format!("{certificate} with {key}");
        files.write(
            "web.yaml",
            format!("tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n"),
        );
        let verdict = check(&files);
        let is_warning = expected.contains("subject alternative") || expected.contains("; clients");
        if verdict.is_ok() != (expected == TAKEN || is_warning) {
            differences.push(format!("{name}: {verdict:?}"));
        }
        let text = verdict.unwrap_or_else(|text| text);
        let is_expected = if expected == TAKEN { text == TAKEN } else { text.contains(expected) };
        if !is_expected {
            differences.push(format!("{name}: expected {expected}, got {text}"));
        }
        let secret = files.read("server.key");
        let secret = String::from_utf8_lossy(&secret[30..60]).into_owned();
        assert!(!text.contains(&secret), "{name}: {text}");
        if NodeExporter::start(&files.path().join("web.yaml")).await.is_some() != theirs {
            differences.push(format!("{name}: node_exporter differs from what is expected"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");

    // The same for the authorities of clients.
    for (file, expected) in [
        ("version1.crt", ""),
        ("bom.crt", ""),
        ("der.crt", "client_ca_file: no certificate found: the file is binary (DER); convert"),
        ("trusted.crt", "client_ca_file: no certificate found: the text has only `-----BEGIN TRUSTED"),
        ("cut.crt", "client_ca_file: certificate 1 cannot be parsed: its `-----END` line is missing"),
        ("empty", "client_ca_file: no certificate found: the text is empty"),
        ("server.key", "client_ca_file: no certificate found: the text has only `-----BEGIN PRIVATE"),
    ] {
        files.web(&format!("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {file}\n"));
        let verdict = check(&files);
        assert_eq!(verdict.is_ok(), expected.is_empty(), "{file}: {verdict:?}");
        assert!(verdict.as_ref().err().is_none_or(|text| text.contains(expected)), "{file}: {verdict:?}");
    }
}

/// What OpenSSL's own client makes of a server certificate of version 1: it is the server's, and is
/// verified with the authority that has signed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn s_client_verifies_a_server_certificate_of_version_1() {
    let files = Files::new();
    files.client_without_extensions("version1", "ca");
    files.write("web.yaml", "tls_server_config: {cert_file: version1.crt, key_file: version1.key}\n");
    let exporter = start(&files.path().join("web.yaml"));
    for version in ["-tls1_2", "-tls1_3"] {
        let mut command = tools::openssl();
        command.current_dir(files.path()).args(["s_client", version, "-CAfile", "ca.crt"]);
        command.args(["-verify_return_error", "-connect", &exporter.address.to_string()]);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        let text = tools::written(&output);
        assert!(output.status.success() && text.contains("Verify return code: 0 (ok)"), "{version}: {text}");
    }
    assert!(exporter.log().contains("(it is X.509 version 1)"), "{}", exporter.log());
}
