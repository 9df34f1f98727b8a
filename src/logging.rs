//! Log lines on stderr, as logfmt or JSON.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `ts=… level=info message=… key=value`
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Which log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Verbosity {
    /// Every collection and every request.
    Debug,
    /// What an operator wants to know of.
    Info,
    /// What may need attention.
    Warn,
    /// What needs attention.
    Error,
}

/// Sets up logging for the whole process. `writer` leads to stderr, past whatever
/// else is shown there.
///
/// # Errors
/// It has been set up already.
pub fn init<W>(format: Format, verbosity: Verbosity, writer: W) -> Result<(), TryInitError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let own = match verbosity {
        Verbosity::Debug => Level::DEBUG,
        Verbosity::Info => Level::INFO,
        Verbosity::Warn => Level::WARN,
        Verbosity::Error => Level::ERROR,
    };
    // What goes wrong in the libraries reaches us as errors, which we log once
    // and in context. At their own lower levels they would write down requests
    // with everything in them, secrets included, so no flag leads there.
    let filter = Targets::new().with_target("ssm_sync_exporter", own).with_default(LevelFilter::ERROR);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Logfmt => {
            registry.with(tracing_logfmt::builder().with_target(false).layer().with_writer(writer)).try_init()
        }
        Format::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_target(false)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(writer),
            )
            .try_init(),
    }
}
