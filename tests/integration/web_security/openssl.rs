//! Certificates and keys as `openssl` makes them, used with `curl` and `openssl s_client`. For each,
//! the exporter decides as a `node_exporter` with the same files does, or differs as documented.

mod clients;
mod server;

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::exporter::REGION;
use crate::process::{ExporterProcess, program, run};
use crate::tools;

/// The configuration of `openssl ca`, the only command of OpenSSL 3.0 that takes dates.
const DATED: &str = "[ca]\ndefault_ca = dated\n[dated]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\n\
    default_md = sha256\npolicy = policy\n[policy]\ncommonName = supplied\n[authority]\nbasicConstraints = CA:TRUE\n";

/// A directory for the files of `openssl`.
struct Files(TempDir);

impl Files {
    /// With `server.crt`, `server.key` and the certificate authority `ca.crt`.
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.key("server");
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        files.openssl(&format!(
            "req -x509 -key server.key -out server.crt -days 2 -subj /CN=localhost -addext {names}"
        ));
        files.authority("ca", "");
        files
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn append(&self, name: &str, other: &str) {
        self.write(name, [self.read(name), self.read(other)].concat());
    }

    fn openssl(&self, arguments: &str) -> String {
        let mut command = tools::openssl();
        let (status, out, err) = run(command.current_dir(self.path()).args(arguments.split(' ')));
        assert_eq!(status, Some(0), "openssl {arguments}: {out}{err}");
        out
    }

    fn key(&self, name: &str) {
        self.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"));
    }

    /// A self-signed certificate. OpenSSL gives it the basic constraints of an authority.
    fn authority(&self, name: &str, more: &str) {
        self.key(name);
        let more = if more.is_empty() { "-days 2" } else { more };
        self.openssl(&format!("req -x509 -key {name}.key -out {name}.crt -subj /CN={name} {more}"));
    }

    /// A self-signed certificate of an authority that is valid in this time.
    fn dated_authority(&self, name: &str, start: &str, end: &str) {
        self.request(name);
        self.write("dated.cnf", DATED);
        self.write("index.txt", "");
        self.write("serial", "01\n");
        self.openssl(&format!(
            "ca -batch -notext -config dated.cnf -extensions authority -selfsign -keyfile {name}.key -in {name}.csr -out \
             {name}.crt -startdate {start} -enddate {end}"
        ));
    }

    /// A certificate request for a new key.
    fn request(&self, name: &str) {
        self.key(name);
        self.openssl(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={name}"));
    }

    /// A certificate signed by the authority `issuer` that has these extensions.
    fn client(&self, name: &str, issuer: &str, extensions: &str) {
        self.request(name);
        self.write("extensions", extensions.replace("; ", "\n"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.crt -CAkey {issuer}.key -CAcreateserial -days 2 -extfile extensions \
             -out {name}.crt"
        ));
    }

    /// A certificate as `openssl x509 -req` makes it without extensions: OpenSSL 3.0 makes version 1.
    fn client_without_extensions(&self, name: &str, issuer: &str) {
        self.request(name);
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.crt -CAkey {issuer}.key -CAcreateserial -days 2 -out {name}.crt"
        ));
        let text = self.openssl(&format!("x509 -in {name}.crt -noout -text"));
        assert!(text.contains("Version: 1 (0x0)"), "OpenSSL 3.0 is required to make version 1: {text}");
    }

    fn web(&self, tls: &str) -> std::path::PathBuf {
        self.write(
            "web.yaml",
            format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{tls}"),
        );
        self.path().join("web.yaml")
    }

    /// The HTTP status that curl gets with this client certificate, and 0 if the handshake fails.
    async fn curl(&self, address: SocketAddr, client: Option<&str>, version: &str) -> u16 {
        let mut command = tools::curl();
        command.current_dir(self.path()).args(["--silent", "--max-time", "30", "--insecure"]);
        command.args(["--output", "/dev/null", "--write-out", "%{http_code}"]);
        // Otherwise curl itself refuses short keys and SHA-1.
        command.args(["--tls-max", version, "--ciphers", "DEFAULT@SECLEVEL=0"]);
        if let Some(client) = client {
            command.args(["--cert", &format!("{client}.crt"), "--key", &format!("{client}.key")]);
        }
        command.arg(format!("https://{address}/metrics"));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        String::from_utf8(output.stdout).unwrap().parse().unwrap()
    }
}

fn start(web: &Path) -> ExporterProcess {
    ExporterProcess::start(program().env("AWS_REGION", REGION).arg("--web.config.file").arg(web))
}
