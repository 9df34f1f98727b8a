//! Runs the exporter against a fake AWS, and checks what it serves.

use std::path::PathBuf;
use std::sync::OnceLock;

use http::{Request, StatusCode};
use ssm_sync_exporter::clock::Clock;
use ssm_sync_exporter::config::Config;
use ssm_sync_exporter::fuzzing::Exporter;
use tokio::runtime::{Builder, Runtime};

use crate::aws::{Answer, Call, FakeAws};
use crate::{exposition, file};

/// A runtime whose time passes without waiting.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// What the exporter polls.
#[derive(Clone, Copy, Debug)]
pub enum Fleet {
    /// One target, which is faster.
    OneTarget,
    /// An account with a role, an account without one, and an organization, so that every call is
    /// made.
    Everything,
}

impl Fleet {
    fn config(self) -> String {
        let key = b"[hub]\naws_access_key_id = AKIAFUZZ\naws_secret_access_key = secret\n";
        let (credentials, empty) = (file("credentials", key), file("empty", b""));
        let (credentials, empty) = (credentials.display(), empty.display());
        let more = match self {
            Self::OneTarget => "",
            Self::Everything => {
                "  - {id: '222233334444', profile: hub, regions: ['*']}
managed_nodes: {enabled: true}
organization:
  profile: hub
  member_role: 'arn:{partition}:iam::{account_id}:role/Exporter'
"
            }
        };
        format!(
            "interval: 1h
timeout: 20s
ready_after: 1m
regions: [eu-west-1]
aws: {{sts_region: eu-west-1, shared_credentials_file: '{credentials}', shared_config_file: '{empty}'}}
accounts:
  - {{id: '111122223333', profile: hub, assume_roles: [{{arn: 'arn:aws:iam::111122223333:role/Exporter'}}]}}
{more}"
        )
    }
}

/// The exporter after it has collected each target.
pub async fn collect(fleet: Fleet, aws: FakeAws) -> Exporter {
    // A fuzz target uses the same fleet for all inputs.
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let path = FILE.get_or_init(|| file("exporter.yaml", fleet.config().as_bytes()));
    let config = Config::load(Some(path), []).unwrap();
    Exporter::collect(config, aws.http_client(), Clock::new(|| 1_763_800_000.0)).await.unwrap()
}

/// Collects from an AWS with these answers, and checks the metrics and the status page.
pub fn check_answers(fleet: Fleet, answers: Vec<(Call, Answer)>) {
    let size: usize = answers.iter().map(|(_, answer)| answer.body.len()).sum();
    runtime().block_on(async {
        let exporter = collect(fleet, FakeAws::new(answers)).await;
        let metrics = get(&exporter, "/metrics").await;
        exposition::check(&metrics);
        // A text of an answer is a label of some twenty series at most, perhaps escaped. The name of a
        // sync is also a label of the series for each of its source regions and organizational units,
        // whose number is limited.
        let of_sources = size.saturating_mul(size).min(50_000_000);
        assert!(
            metrics.len() < 100_000 + 50 * size + of_sources,
            "{size} bytes from AWS became {} bytes",
            metrics.len()
        );
        let page = get(&exporter, "/?status=trouble").await;
        assert!(page.len() < 200_000 + 50 * size, "{size} bytes from AWS became {} bytes", page.len());
    });
}

async fn get(exporter: &Exporter, path: &str) -> String {
    let response = exporter.respond(Request::get(path).header("host", "exporter").body(()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    String::from_utf8(response.into_body().to_vec()).unwrap()
}
