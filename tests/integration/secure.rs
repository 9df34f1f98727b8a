//! TLS, passwords and limits, as the web configuration asks for them.

pub(crate) mod certificates;
mod clients;
mod floods;
mod limits;
mod renewal;
mod sockets;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use certificates::Authority;

use crate::exporter::{Exporter, Setup, fake_aws, one_target};

/// A web configuration with its certificates, and the exporter that keeps to it.
pub(crate) struct Secured {
    pub(crate) exporter: Exporter,
    pub(crate) files: Files,
    _aws: fake_aws::FakeAws,
}

/// What the web configuration is read from: itself, `server.crt` and `server.key`
/// by the authority `ca.crt`, and for clients `client.crt` and `client.key`.
pub(crate) struct Files {
    directory: TempDir,
    pub(crate) authority: Authority,
}

/// Asks for TLS with the certificate of [`Files`].
pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// Whose password is `secret`.
pub(crate) fn users() -> String {
    format!("basic_auth_users:\n  ann: {}\n", hash("secret"))
}

/// At the lowest cost.
pub(crate) fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

impl Files {
    pub(crate) fn new(web: &str) -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap(), authority: Authority::new() };
        files.write("ca.crt", &files.authority.pem());
        files.renew_server("localhost");
        let client = files.authority.sign("prometheus.example");
        files.write("client.crt", &client.certificate);
        files.write("client.key", &client.key);
        files.write("web.yaml", web);
        files
    }

    /// A new certificate for this name, and for the loopback addresses.
    pub(crate) fn renew_server(&self, name: &str) {
        let server = self.authority.sign(name);
        self.write("server.key", &server.key);
        self.write("server.crt", &server.certificate);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Secured {
    pub(crate) async fn start(web: &str) -> Self {
        Self::start_with(web, Setup::default()).await
    }

    pub(crate) async fn start_with(web: &str, setup: Setup) -> Self {
        let files = Files::new(web);
        let aws = fake_aws().await;
        let setup = Setup { web_config_file: Some(files.path("web.yaml")), ..setup };
        let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
        Self { exporter, files, _aws: aws }
    }
}
