//! Renders the snapshot as Prometheus metrics.
//!
//! ```text
//! sync_families        ┐
//! target_families      │
//! expectation_families ├─▶ registry ─▶ exposition ─▶ request ─▶ web
//! exporter_families    ┘                   ▲
//!          format, sample_encoding, escape ┘
//! ```
//!
//! A family is data (`family`): a name, a help text, a type and a pure function from a sync
//! or a target to samples. `exposition` renders each collection once and serves it to every
//! scrape. `request` implements the trait by which the web server requests a scrape. This
//! module must not know how targets are collected, nor how HTTP is served.
//!
//! The `prometheus` crate is used in this module only. It keeps the counters of the
//! exporter and encodes their families.
//!
//! Nothing here checks for duplicate series. The snapshot rules them out: no two targets,
//! and no two syncs of a target, ever have the same key.

mod error_codes;
mod escape;
mod expectation_families;
mod exporter_families;
mod exposition;
mod family;
mod format;
mod registry;
mod request;
mod sample_encoding;
mod sync_families;
mod target_families;

pub use exporter_families::ExporterMetrics;
pub use exposition::{Exposition, ExpositionSettings, Scrape};
pub use format::{Format, NegotiatedFormat};
pub use registry::{FamilyFilter, FamilyName, UnknownFamily};
