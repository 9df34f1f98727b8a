//! The `ssm-sync-exporter` program: parses the command line, runs the daemon or one-shot
//! mode until it ends or a signal arrives, and maps the outcome to an exit status.
//! Everything else is in the library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ssm_sync_exporter::app::{self, App, BuildError, Options};
use ssm_sync_exporter::aws::{Recorder, Recording, RecordingFile, ReplayError};
use ssm_sync_exporter::cli::{self, Cli, Command, NoExpectationsError, Parsed, ShardError, UsageError};
use ssm_sync_exporter::clock::Clock;
use ssm_sync_exporter::config::{self, Config, ConfigError};
use ssm_sync_exporter::doctor::{self, Doctor, DoctorError};
use ssm_sync_exporter::fleet::Shard;
use ssm_sync_exporter::logging::{Format, Log};
use ssm_sync_exporter::once::{Once, OnceError};
use ssm_sync_exporter::signals::Signals;
use ssm_sync_exporter::systemd::ServiceManager;
use ssm_sync_exporter::terminal::{self, Output, ProgressBar};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The SDK makes hundreds of small allocations per call, on any thread. With the C
/// library's allocator, a call takes a quarter more CPU time.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit status if the exporter failed.
const STATUS_FAILURE: u8 = 1;
/// The exit status if the command line or the configuration is invalid.
const STATUS_USAGE: u8 = 2;

/// The warning about a recording with names.
const RAW_RECORDING: &str = "ssm-sync-exporter: warning: --record.raw leaves names as they are: the recording has \
    account ids, the names of accounts, roles, buckets and syncs, e-mail addresses and messages, but no access keys, \
    tokens or external ids";

const CANNOT_WRITE: &str = "cannot write to stdout";

/// How long the process waits for threads that block, such as in a DNS lookup, before it
/// exits.
const THREAD_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the process waits until the last log lines are written. If the reader of stderr is
/// paused, they are lost.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let log = Log::new(Clock::system());
    log.install_panic_hook();
    // The panic hook logs why this fails.
    let status = catch_unwind(AssertUnwindSafe(|| start(&log))).unwrap_or(ExitCode::from(STATUS_FAILURE));
    log.finish(LOG_TIMEOUT);
    status
}

fn start(log: &Log) -> ExitCode {
    let cli = match Cli::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Run(cli)) => *cli,
        Ok(Parsed::Print(help_or_version)) => {
            return match terminal::print_styled(&help_or_version).context(CANNOT_WRITE) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(log, STATUS_FAILURE, &format!("{error:#}")),
            };
        }
        Err(error) => return fail(log, STATUS_USAGE, &error.to_string()),
    };
    log.set_format(cli.log_format);
    match run(cli, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(log, exit_status(&error), &format!("{error:#}")),
    }
}

fn run(cli: Cli, log: &Log) -> anyhow::Result<()> {
    match cli.command {
        Command::ConfigSchema => return print(&format!("{:#}\n", config::schema())),
        Command::ConfigDefaults => return print(&config::defaults()),
        Command::Completions(shell) => return print(&cli::completions(shell)),
        Command::Man => return print(&cli::man_page()),
        Command::Serve | Command::Once | Command::Doctor | Command::ConfigCheck => {}
    }
    let hostname = gethostname::gethostname().to_string_lossy().into_owned();
    let (config_file, environment) = (cli.config_file.as_deref(), std::env::vars_os());
    let explain = |error: ConfigError| match UsageError::of_variable(&error) {
        Some(error) => anyhow::Error::new(error),
        None => error.into(),
    };
    let (config, shard, clock) = match &cli.replay {
        None => {
            (Config::load(config_file, environment).map_err(explain)?, cli.shard(&hostname)?, Clock::system())
        }
        Some(file) => {
            let recording = Arc::new(Recording::read(file)?);
            let config = Config::load_for_recording(&recording, config_file, environment).map_err(explain)?;
            (config, recording.shard(), recording.clock())
        }
    };
    cli.check_expectations(&config)?;
    match cli.command {
        _ if cli.check_config => check(config, shard, cli.web_config_file(), clock),
        Command::Once => once(&cli, log, config, shard, hostname, clock),
        Command::Doctor => doctor(&cli, log, config, shard, hostname, clock),
        Command::ConfigCheck => check(config, shard, cli.web_config_file(), clock),
        _ => serve(cli, log, config, shard, hostname, clock),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    terminal::print(text.as_bytes()).context(CANNOT_WRITE)
}

/// Checks both configuration files as [`serve`] does, and prints their warnings and what would be polled.
fn check(config: Config, shard: Shard, web_config_file: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
    let stdout = Output::new(None)?;
    run_until_signalled(|shutdown, reload_signals| async move {
        // As in `once`, SIGHUP is a termination signal.
        drop(reload_signals);
        let checking = Box::pin(app::check(config, web_config_file, shard, clock));
        let checked = shutdown.run_until_cancelled(checking).await;
        let report = checked.context("interrupted by a signal")??;
        let warnings: Vec<_> =
            report.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        print(&format!("the configuration is valid\n{}\n{}", warnings.concat(), report.text(&stdout)))
    })
}

/// Runs the daemon until a termination signal arrives.
fn serve(
    cli: Cli,
    log: &Log,
    config: Config,
    shard: Shard,
    hostname: String,
    clock: Clock,
) -> anyhow::Result<()> {
    log.start(std::io::stderr()).context("cannot start the thread that writes the log")?;
    log.subscribe(cli.log_level()).context("cannot set up logging")?;
    run_until_signalled(|shutdown, reload_signals| async move {
        let options = Options {
            web_config_file: cli.web_config_file().map(Path::to_owned),
            listen_addresses: cli.listen_addresses,
            use_systemd_socket: cli.use_systemd_socket,
            max_requests: cli.max_requests,
            telemetry_path: cli.telemetry_path,
            shard,
            // Replicas with the same configuration run on different hosts or pods.
            replica: hostname,
            enable_lifecycle: cli.enable_lifecycle,
            reload_signals: Some(reload_signals),
            service_manager: ServiceManager::from_environment(),
            log_counters: log.counters(),
        };
        // `build` may wait for the instance metadata service, and a signal must end that
        // wait too.
        let building = Box::pin(App::build(config, options, clock));
        match shutdown.run_until_cancelled(building).await {
            Some(app) => Ok(app?.run(shutdown).await?),
            None => Ok(()),
        }
    })
}

/// Polls every target once and writes the result.
fn once(
    cli: &Cli,
    log: &Log,
    config: Config,
    shard: Shard,
    hostname: String,
    clock: Clock,
) -> anyhow::Result<()> {
    let output = Output::new(cli.output.as_deref())?;
    let recorder = recorder(cli, log)?;
    // A replay has a single time, so the recorded run has one, too. In whole seconds, it is the same after
    // it has been written and read.
    let clock = match recorder {
        Some(_) => Clock::fixed(clock.now().floor()),
        None => clock,
    };
    let progress = &start_log_with_progress(cli, log)?;
    let (format, fail_on) = (cli.format.unwrap_or_default(), cli.fail_on.unwrap_or_default());
    run_until_signalled(|shutdown, reload_signals| async move {
        // Nothing can be reloaded. Without a receiver, SIGHUP is a termination signal.
        drop(reload_signals);
        let building =
            Box::pin(Once::build(config, output, recorder, shard, hostname, log.counters(), clock));
        match shutdown.run_until_cancelled(building).await {
            Some(once) => Ok(once?.run(format, fail_on, progress, &shutdown).await?),
            None => Err(OnceError::Interrupted.into()),
        }
    })
}

/// Prepares the recording of `--record`, if there is one.
fn recorder(cli: &Cli, log: &Log) -> anyhow::Result<Option<Recorder>> {
    let Some(path) = &cli.record else { return Ok(None) };
    let others = [("--output", cli.output.as_deref()), ("--config.file", cli.config_file.as_deref())];
    let file = RecordingFile::create(path, &others)?;
    if cli.record_raw {
        log.print(RAW_RECORDING);
    }
    Ok(Some(Recorder::start(file, cli.record_raw)?))
}

/// Takes every step of a poll once, and writes what failed and what to do about it.
fn doctor(
    cli: &Cli,
    log: &Log,
    config: Config,
    shard: Shard,
    hostname: String,
    clock: Clock,
) -> anyhow::Result<()> {
    let format = cli.format_of_doctor()?;
    let output = Output::new(cli.output.as_deref())?;
    let progress = &start_log_with_progress(cli, log)?;
    let options = doctor::Options {
        narrowing: cli.narrowing(),
        concurrency: cli.concurrency,
        shard,
        replica: hostname,
    };
    run_until_signalled(|shutdown, reload_signals| async move {
        // Nothing can be reloaded. Without a receiver, SIGHUP is a termination signal.
        drop(reload_signals);
        let building = Box::pin(Doctor::build(config, options, output, log.counters(), clock));
        match shutdown.run_until_cancelled(building).await {
            Some(doctor) => Ok(doctor?.run(format, progress, &shutdown).await?),
            None => Err(DoctorError::Interrupted.into()),
        }
    })
}

/// Starts the log, with a progress bar below it if stderr is a terminal.
fn start_log_with_progress(cli: &Cli, log: &Log) -> anyhow::Result<ProgressBar> {
    // A bar would be mixed up with JSON log lines.
    let progress = ProgressBar::new(cli.log_format == Format::Logfmt);
    log.start(progress.log_writer()).context("cannot start the thread that writes the log")?;
    log.subscribe(cli.log_level()).context("cannot set up logging")?;
    Ok(progress)
}

/// Runs `work` on a new runtime, with a token that the first termination signal (SIGTERM or
/// SIGINT) cancels, and a receiver that gets a message for each SIGHUP. If `work` drops the
/// receiver, SIGHUP is a termination signal, too. A second termination signal drops `work`.
fn run_until_signalled<F>(work: impl FnOnce(CancellationToken, Receiver<()>) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    let outcome = runtime.block_on(async {
        let signals = Signals::install().context("cannot install signal handlers")?;
        let (shutdown, abort) = (CancellationToken::new(), CancellationToken::new());
        let (reloads, reload_signals) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(signals.handle(shutdown.clone(), abort.clone(), reloads));
        match abort.run_until_cancelled(work(shutdown, reload_signals)).await {
            Some(outcome) => outcome,
            None => bail!("aborted by a second signal"),
        }
    });
    // A DNS lookup occupies a thread until the resolver gives up, and dropping the runtime
    // would wait for it.
    runtime.shutdown_timeout(THREAD_TIMEOUT);
    outcome
}

/// Raises the soft limit on open files as far as possible, as the Go runtime does.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        debug!(%error, "cannot raise the limit on open files");
    }
}

fn exit_status(error: &anyhow::Error) -> u8 {
    let is_usage_error = error.is::<ConfigError>()
        || error.is::<UsageError>()
        || error.is::<ReplayError>()
        || error.is::<NoExpectationsError>()
        || error.is::<ShardError>()
        || matches!(error.downcast_ref(), Some(BuildError::Config(_)))
        || matches!(error.downcast_ref(), Some(DoctorError::NotPolled(_)));
    if is_usage_error { STATUS_USAGE } else { STATUS_FAILURE }
}

fn fail(log: &Log, status: u8, message: &str) -> ExitCode {
    log.print(&format!("ssm-sync-exporter: {message}"));
    ExitCode::from(status)
}
