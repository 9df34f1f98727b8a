//! The entry points of the fuzz targets in `tests/fuzz`: the check of a configuration, what a recording
//! makes of a body, the parser of denials, and the daemon without sockets. This module exists only in builds with `--cfg fuzzing`, such as those of `cargo fuzz`.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use hyper::body::Bytes;
use hyper::{Request, Response};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{BuildError, Stages};
use crate::aws;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, SdkDefaults};
use crate::fleet::Shard;
use crate::model::Denial;
use crate::status::{ExporterInfo, StatusPage};
use crate::web::{Handlers, Router, TelemetryPath};

/// Checks a configuration without asking the SDK for the defaults of its accounts.
///
/// # Errors
/// The first conflict between accounts, regions, roles and endpoints.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    config.account_sources(&SdkDefaults::default()).map(|_| ())
}

/// A body from AWS as `once --record` writes it.
#[must_use]
pub fn recorded_body(body: &str) -> Option<String> {
    aws::fuzzing::recorded_body(body)
}

/// The body of a list of managed nodes, as `once --record` writes it.
#[must_use]
pub fn recorded_nodes(body: &str) -> String {
    aws::fuzzing::recorded_nodes(body)
}

/// What the message of an error that denies access says.
#[must_use]
pub fn denial(message: &str) -> Option<Denial> {
    Denial::parse(message)
}

/// The state of the daemon after a collection of each target.
#[derive(Debug)]
pub struct Exporter(Router);

impl Exporter {
    /// Runs discovery and collects each target once, or until `ready_after` has passed.
    /// `http_client` responds instead of AWS, to all clients that the current thread creates.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn collect(
        config: Config,
        http_client: SharedHttpClient,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        aws::fuzzing::set_http_client(http_client);
        let Stages { discovery, scheduler, store, metrics, readiness, failure_log, applier } =
            Stages::build(config, Shard::default(), String::new(), Arc::default(), clock.clone()).await?;
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(discovery.run(shutdown.clone()));
        tasks.spawn(scheduler.run(shutdown.clone()));
        let failure_log_shutdown = shutdown.clone();
        tasks.spawn(async move { failure_log.run(failure_log_shutdown).await });
        while readiness.check().is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        shutdown.cancel();
        while tasks.join_next().await.is_some() {}
        let info = ExporterInfo {
            telemetry_path: TelemetryPath::default(),
            shard: Shard::default(),
            is_replay: false,
        };
        let Config { redacted, health, .. } = applier.config();
        let (redacted, health) = (redacted.clone(), Arc::clone(health));
        let page = Arc::new(StatusPage::new(store, clock, info, redacted, health));
        Ok(Self(Router::new(Handlers {
            telemetry_path: TelemetryPath::default(),
            metrics,
            page: Arc::clone(&page) as _,
            document: page,
            ready: Box::new(move || readiness.check()),
            reload: None,
        })))
    }

    /// The response to a request, with its whole body.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<Bytes> {
        self.0.respond_in_full(request).await
    }
}
