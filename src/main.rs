//! The `ssm-sync-exporter` daemon: parses, builds, runs, and maps what went
//! wrong to an exit status. All logic is in the library.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use ssm_sync_exporter::app::{App, BuildError, Options};
use ssm_sync_exporter::cli::{Cli, Command, OnceOnly, ShardError};
use ssm_sync_exporter::clock::Clock;
use ssm_sync_exporter::config::{Config, ConfigError, WebConfig};
use ssm_sync_exporter::fleet::Shard;
use ssm_sync_exporter::logging::{Format, Verbosity};
use ssm_sync_exporter::once::{Once, OnceError, Output, ProgressBar};
use ssm_sync_exporter::signals::Signals;
use ssm_sync_exporter::systemd::ServiceManager;
use ssm_sync_exporter::{cli, logging};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The SDK makes hundreds of small allocations for each call, on whichever
/// thread is free. The C library's allocator takes a quarter more CPU for a call.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// It could not do its work.
const FAILED: u8 = 1;
/// It was asked wrongly.
const MISUSED: u8 = 2;

/// How long threads may take to end when all else has.
const LAST_WAIT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return complain(MISUSED, &cli::one_line(&error)),
        Err(help_or_version) => {
            return match help_or_version.print() {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(FAILED),
            };
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let asked_wrongly = error.is::<ConfigError>()
                || error.is::<OnceOnly>()
                || error.is::<ShardError>()
                || matches!(error.downcast_ref(), Some(BuildError::Config(_)));
            complain(if asked_wrongly { MISUSED } else { FAILED }, &format!("{error:#}"))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    cli.check()?;
    let hostname = gethostname::gethostname().to_string_lossy().into_owned();
    let shard = cli.shard(&hostname)?;
    let config = Config::load(cli.config_file.as_deref(), std::env::vars_os())?;
    if cli.config_check {
        let web = cli.web_config_file.as_deref().map(WebConfig::load).transpose()?;
        let mut out = std::io::stdout().lock();
        for warning in config.warnings.iter().chain(web.iter().flat_map(|web| &web.warnings)) {
            writeln!(out, "warning: {warning}")?;
        }
        writeln!(out, "the configuration is good")?;
        return Ok(());
    }
    match cli.command {
        Command::Serve => {
            let options = Options {
                listen_addresses: cli.listen_addresses,
                systemd_socket: cli.web_systemd_socket,
                web_config_file: cli.web_config_file,
                max_requests: cli.web_max_requests,
                telemetry_path: cli.telemetry_path,
                shard,
                // Replicas of one configuration run on hosts, or pods, of their own.
                replica: hostname,
                lifecycle: cli.lifecycle,
                reloads: None,
                service_manager: ServiceManager::of_process(),
            };
            serve(cli.log_format, cli.log_level, config, options)
        }
        Command::Once => once(&cli, config, shard, hostname),
    }
}

fn serve(format: Format, level: Verbosity, config: Config, options: Options) -> anyhow::Result<()> {
    logging::init(format, level, std::io::stderr).context("cannot set up logging")?;
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let (shutdown, at_once) = (CancellationToken::new(), CancellationToken::new());
        let signals = Signals::catch().context("cannot catch signals")?;
        let (reload, reloads) = mpsc::channel(1);
        let options = Options { reloads: Some(reloads), ..options };
        let mut tasks = JoinSet::new();
        tasks.spawn(signals.follow(shutdown.clone(), at_once.clone(), reload));
        // A signal must end it even while it still looks for its region.
        let Some(app) =
            shutdown.run_until_cancelled(Box::pin(App::build(config, options, Clock::system()))).await
        else {
            return Ok(());
        };
        match at_once.run_until_cancelled(app?.run(shutdown)).await {
            Some(ended) => Ok(ended?),
            None => bail!("cut short by a second signal"),
        }
    });
    // A name that is being looked up occupies a thread until the resolver gives
    // up, and the runtime would wait for it.
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}

/// As Go's runtime does. What cannot be raised is what there is.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        debug!(%error, "cannot raise the limit on open files");
    }
}

fn once(cli: &Cli, config: Config, shard: Shard, replica: String) -> anyhow::Result<()> {
    let sink = Output::open(cli.output.as_deref())?;
    // Among lines for programs a bar would be in the way.
    let progress = ProgressBar::new(cli.log_format == Format::Logfmt);
    logging::init(cli.log_format, cli.log_level, progress.log_writer()).context("cannot set up logging")?;
    raise_file_limit();
    let format = cli.format.unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let (shutdown, at_once) = (CancellationToken::new(), CancellationToken::new());
        let signals = Signals::catch().context("cannot catch signals")?;
        let (reload, mut reloads) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(signals.follow(shutdown.clone(), at_once, reload));
        let ended_too = shutdown.clone();
        tasks.spawn(async move {
            // There is nothing to reload for, and nobody left to write to.
            if reloads.recv().await.is_some() {
                ended_too.cancel();
            }
        });
        let building = Box::pin(Once::build(config, shard, replica, Clock::system()));
        let Some(once) = shutdown.run_until_cancelled(building).await else {
            return Err(OnceError::Interrupted.into());
        };
        Ok(once?.run(format, sink, &progress, &shutdown).await?)
    });
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}

fn complain(status: u8, message: &str) -> ExitCode {
    // If stderr is gone there is nobody left to tell; the status still does.
    let _ignored = writeln!(std::io::stderr(), "ssm-sync-exporter: {message}");
    ExitCode::from(status)
}
