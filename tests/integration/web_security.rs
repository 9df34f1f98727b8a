//! Tests of the web configuration (TLS, client certificates, passwords and limits), and of
//! listeners.

pub(crate) mod certificates;
mod clients;
mod cross_site;
mod floods;
mod guessing;
pub(crate) mod http2;
mod limits;
mod listeners;
mod node_exporter;
mod openssl;
mod refusals;
mod reload;
mod toolkit;
mod unread_responses;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use certificates::Authority;

use crate::exporter::{Exporter, Setup, fake_aws, one_target};

/// An exporter with a web configuration and its certificates.
pub(crate) struct SecuredExporter {
    pub(crate) exporter: Exporter,
    pub(crate) files: WebFiles,
    pub(crate) _aws: fake_aws::FakeAws,
}

/// A directory with the web configuration `web.yaml`, the authority's certificate `ca.crt`, and
/// certificates signed by it: `server.crt` with `server.key`, and `client.crt` with `client.key`.
pub(crate) struct WebFiles {
    directory: TempDir,
    pub(crate) authority: Authority,
}

/// A web configuration that enables TLS with the certificate of [`WebFiles`].
pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A web configuration with the user `ann` and the password `secret`.
pub(crate) fn users() -> String {
    format!("basic_auth_users:\n  ann: {}\n", hash("secret"))
}

/// The bcrypt hash of a password, with the lowest cost.
pub(crate) fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

impl WebFiles {
    pub(crate) fn new(web: &str) -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap(), authority: Authority::new() };
        files.write("ca.crt", &files.authority.pem());
        files.renew_server_certificate("localhost");
        let client = files.authority.sign("prometheus.example");
        files.write("client.crt", &client.certificate);
        files.write("client.key", &client.key);
        files.write("web.yaml", web);
        files
    }

    /// Replaces the server certificate with one for this name and the loopback addresses.
    pub(crate) fn renew_server_certificate(&self, name: &str) {
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

impl SecuredExporter {
    pub(crate) async fn start(web: &str) -> Self {
        Self::start_with(web, Setup::default()).await
    }

    pub(crate) async fn start_with(web: &str, setup: Setup) -> Self {
        let files = WebFiles::new(web);
        let aws = fake_aws().await;
        let setup = Setup { web_config_file: Some(files.path("web.yaml")), ..setup };
        let exporter = Exporter::start_with(&aws, &one_target(), &setup).await;
        Self { exporter, files, _aws: aws }
    }
}
