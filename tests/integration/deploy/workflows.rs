//! Continuous integration and releases.
