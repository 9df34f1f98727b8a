//! Tests that every file in `tests/fixtures/web/bad` gives the error in its first line, and
//! that every file in `tests/fixtures/web/good` is valid. The certificates and keys that
//! they refer to are generated here.

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// A directory with a certificate and its key, the key of another certificate, and a CA.
fn certificates() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    write("server.crt", certificate.pem());
    write("server.key", key.serialize_pem());
    let key = KeyPair::generate().unwrap();
    write("other.key", key.serialize_pem());
    write("ca.crt", CertificateParams::default().self_signed(&key).unwrap().pem());
    std::fs::create_dir(directory.path().join("below")).unwrap();
    directory
}

/// The names and texts of the fixtures in the directory `kind`: `good` or `bad`.
fn fixtures(kind: &str) -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/web").join(kind);
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Writes `text` to a file in `directory` and loads it.
fn load(directory: &TempDir, name: &str, text: &str) -> Result<WebConfig, ConfigError> {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    WebConfig::load(&path)
}

#[test]
fn every_invalid_file_gives_the_error_in_its_first_line() {
    let directory = certificates();
    let mut differences = String::new();
    for (name, text) in fixtures("bad") {
        let prefix = format!("{}/", directory.path().display());
        let expected = format!("{name}:{}", text.lines().next().unwrap().strip_prefix("# ").unwrap());
        let actual = match load(&directory, &name, &text) {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string().replace(&prefix, ""),
        };
        if actual != expected {
            differences = format!("{differences}expected: {expected}\n  actual: {actual}\n");
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn every_valid_file_is_loaded() {
    let directory = certificates();
    for (name, text) in fixtures("good") {
        if let Err(error) = load(&directory, &name, &text) {
            panic!("{error}");
        }
    }
}

#[test]
fn settings_reach_the_rules() {
    let directory = certificates();
    let good = |name: &str| {
        let text = fixtures("good").into_iter().find(|(other, _)| other == name).unwrap().1;
        load(&directory, name, &text).unwrap()
    };
    let all = good("every_key.yaml");
    assert!(all.rules.tls.is_some());
    assert_eq!(all.rules.headers["x-frame-options"], "deny");
    assert_eq!(all.rules.headers["content-security-policy"], "default-src 'self' *.test.example.net");
    assert_eq!(all.rules.headers.len(), 5);
    assert_eq!(all.rules.users.keys().collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(all.rules.excluded_paths.len(), 2);
    let limit = all.rules.rate_limit.unwrap();
    assert_eq!((limit.interval.as_millis(), limit.burst.get()), (100, 20));
    assert!(all.warnings.is_empty());
    assert_eq!(all.files.0.len(), 4, "the file itself, the certificate, its key and the client CA");

    for name in ["empty.yaml", "only_comments.yaml", "empty_users.yaml", "no_rate_limit.yaml"] {
        let AccessRules { tls, headers, users, excluded_paths, rate_limit } = good(name).rules;
        assert!(
            tls.is_none() && headers.is_empty() && users.is_empty() && excluded_paths.is_empty(),
            "{name}"
        );
        assert_eq!(rate_limit, None, "{name}");
    }
    assert!(good("empty_headers.yaml").rules.headers.is_empty());
    assert_eq!(
        good("users_without_tls.yaml").warnings,
        ["basic_auth_users is set without tls_server_config, so passwords cross the network unencrypted"]
    );
}

#[test]
fn certificates_and_keys_can_be_inline() {
    let directory = certificates();
    let indented = |name: &str| {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
        text.lines().fold(String::new(), |text, line| text + "    " + line + "\n")
    };
    let text = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}  client_ca: |\n{}  client_auth_type: VerifyClientCertIfGiven\n",
        indented("server.crt"),
        indented("server.key"),
        indented("ca.crt"),
    );
    let config = load(&directory, "inline.yaml", &text).unwrap();
    assert!(config.rules.tls.is_some());
    // Neither `Debug` nor an error in the same file shows the key.
    let secret = indented("server.key").lines().nth(1).unwrap().trim().to_owned();
    let shown = format!("{config:?}");
    let error = load(&directory, "wrong.yaml", &text.replace("cert: |", "cert_file: |")).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1);
    for shown in [shown, format!("{error:?} {error}")] {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

#[test]
fn the_error_names_an_unreadable_file() {
    let directory = certificates();
    let missing = directory.path().join("missing.yaml");
    let error = WebConfig::load(&missing).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read the configuration file {}", missing.display()));
    let large = directory.path().join("large.yaml");
    std::fs::write(&large, "#".repeat(1024 * 1024 + 1)).unwrap();
    let error = WebConfig::load(&large).unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "it is larger than 1 MiB");
}

#[test]
fn a_change_of_any_file_is_detected() {
    let directory = certificates();
    let load =
        || load(&directory, "web.yaml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n");
    let config = load().unwrap();
    assert!(!config.files.have_changed());
    // Rewriting the same contents is not a change.
    let key = directory.path().join("server.key");
    let text = std::fs::read(&key).unwrap();
    std::fs::write(&key, &text).unwrap();
    assert!(!config.files.have_changed());
    std::fs::remove_file(&key).unwrap();
    assert!(config.files.have_changed());
    std::fs::write(&key, &text).unwrap();
    assert!(!config.files.have_changed());
    std::fs::write(directory.path().join("web.yaml"), "").unwrap();
    assert!(config.files.have_changed());
}
