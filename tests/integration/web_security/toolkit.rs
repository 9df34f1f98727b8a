//! The cases of the exporter-toolkit's own tests, by their names, with the configurations that they
//! have. Each gives the same result, or differs as a row of the table in `config/README.md` says.
//!
//! Of the toolkit's tests, only `TestCacheSize` is missing, which is about its cache of passwords. A
//! test in `src/web/security/token_cache.rs` checks the same of this exporter's.

mod configurations;
mod differences;
mod servers;
mod users;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use tempfile::TempDir;

use crate::exporter::REGION;
use crate::process::{ExporterProcess, program, run};
use crate::tools;

/// What comes of a configuration and a client.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The program refuses the configuration, with this in its message.
    Refused(&'static str),
    /// The client gets this status, and this in the response.
    Response(u16, &'static str),
    /// The handshake fails with this in the client's message.
    Handshake(&'static str),
}
use Outcome::{Handshake, Refused, Response};

const SERVED: Outcome = Response(200, "");

/// A case of the toolkit's tests.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// The web configuration; `None` for an empty `--web.config.file`.
    web: Option<&'static str>,
    scheme: &'static str,
    /// The arguments of curl.
    client: &'static [&'static str],
    requests: usize,
    outcome: Outcome,
    /// The row about the difference, if the toolkit has another outcome.
    difference: Option<&'static str>,
}

const CASE: Case =
    Case { name: "", web: None, scheme: "http", client: &[], requests: 1, outcome: SERVED, difference: None };

/// The files that the toolkit has in `web/testdata`, with other keys.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let mut server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        server.subject_alt_names.push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        files.write("server.crt", &server.self_signed(&key).unwrap().pem());
        files.write("server.key", &key.serialize_pem());
        for (file, names) in [("client_selfsigned", vec![]), ("client2_selfsigned", vec!["test3".to_owned()])]
        {
            let mut client = CertificateParams::new(names).unwrap();
            client.distinguished_name.push(DnType::CommonName, "test");
            client.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
            files.write(&format!("{file}.pem"), &client.self_signed(&key).unwrap().pem());
            files.write(&format!("{file}.key"), &key.serialize_pem());
        }
        files
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Writes a web configuration, in which `INLINE:FILE` stands for the indented text of a file.
    fn web(&self, text: &str) -> PathBuf {
        let lines = text.lines().map(|line| match line.trim_start().strip_prefix("INLINE:") {
            Some(file) => {
                let text = std::fs::read_to_string(self.path().join(file)).unwrap();
                text.lines().fold(String::new(), |text, line| format!("{text}    {line}\n"))
            }
            None => format!("{line}\n"),
        });
        let text: String = lines.collect();
        self.write("web.yaml", &text);
        self.path().join("web.yaml")
    }

    /// The last of several requests with curl, or the first that does not get 200.
    async fn curl(&self, address: SocketAddr, case: &Case) -> (u16, String) {
        let mut last = (0, String::new());
        for _ in 0..case.requests {
            let mut command = tools::curl();
            command.current_dir(self.path()).args(["--silent", "--show-error", "--verbose", "--include"]);
            command.args(["--max-time", "60", "--ipv4", "--cacert", "server.crt"]);
            command.args(["--write-out", "\nstatus=%{http_code}"]).args(case.client);
            command.arg(format!("{}://localhost:{}/", case.scheme, address.port()));
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            let text = tools::written(&output);
            let (_, status) = text.split_once("\nstatus=").unwrap();
            last = (status[..3].parse().unwrap(), text);
            if last.0 != 200 {
                break;
            }
        }
        last
    }
}

fn command(web: Option<&Path>) -> std::process::Command {
    let mut command = program();
    command.env("AWS_REGION", REGION).arg("--web.config.file").arg(web.unwrap_or(Path::new("")));
    command
}

/// What is wrong with the outcome of a case, if anything.
async fn mismatch(files: &Files, case: &Case) -> Option<String> {
    let web = case.web.map(|text| match text {
        "somefile" => files.path().join(text),
        text => files.web(text),
    });
    let wrong = |what: &str| Some(format!("{}: expected {:?}: {what}", case.name, case.outcome));
    // As the toolkit does, with `Validate` first.
    let (status, out, err) = run(command(web.as_deref()).arg("--config.check"));
    let is_valid = status == Some(0);
    if let Refused(text) = case.outcome {
        if is_valid {
            return wrong("it is valid");
        }
        let (started, _, log) = run(command(web.as_deref()).args(["--web.listen-address", "127.0.0.1:0"]));
        let is_refused = started == status && err.contains(text) && log.contains(text);
        return if is_refused { None } else { wrong(&format!("{err}{log}")) };
    }
    if !is_valid {
        return wrong(&format!("{out}{err}"));
    }
    let exporter = ExporterProcess::start(&mut command(web.as_deref()));
    let (status, text) = files.curl(exporter.address, case).await;
    let is_expected = match case.outcome {
        Response(expected, body) => status == expected && text.contains(body),
        Handshake(message) => status == 0 && text.contains(message),
        Refused(_) => false,
    };
    if is_expected { None } else { wrong(&text) }
}

/// Runs the cases, and checks that each difference is documented.
async fn check(cases: &[Case]) {
    let files = Files::new();
    let rows = documented_differences();
    let mut mismatches = Vec::new();
    for case in cases {
        mismatches.extend(mismatch(&files, case).await);
        if let Some(row) = case.difference.filter(|row| !rows.contains(*row)) {
            mismatches.push(format!("{}: the difference is not documented: {row}", case.name));
        }
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n\n"));
}

/// The first cells of the table of differences.
fn documented_differences() -> BTreeSet<String> {
    let page = include_str!("../../../config/README.md");
    let (_, section) = page.split_once("### Differences from the exporter-toolkit\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: BTreeSet<_> =
        rows.filter_map(|row| row.split(" | ").next()).skip(2).map(ToOwned::to_owned).collect();
    assert!(rows.len() > 30, "{rows:?}");
    rows
}
