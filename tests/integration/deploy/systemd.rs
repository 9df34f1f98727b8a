//! Units, read by a real systemd.
