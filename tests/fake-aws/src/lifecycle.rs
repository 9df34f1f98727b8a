//! How a sync lives on once it has been created.

use std::time::Duration;

/// How long a run of a sync takes, and how often there is one.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// From the start of a run to its end.
    pub takes: Duration,
    /// From the start of a run to that of the next.
    pub every: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { takes: Duration::from_secs(2), every: Duration::from_mins(1) }
    }
}

/// What a sync shows of its runs at some moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Runs {
    /// Whether one is under way.
    pub(crate) running: bool,
    /// When the last one started.
    pub(crate) last: f64,
    /// When the last one that has ended had started.
    pub(crate) last_ended: Option<f64>,
}

impl Rhythm {
    /// The runs at `now` of a sync that was created at `created`; both in
    /// seconds. The first run starts with the creation.
    pub(crate) fn runs(&self, created: f64, now: f64) -> Runs {
        let every = self.every.as_secs_f64();
        let past = ((now - created) / every).floor().max(0.0);
        let last = created + past * every;
        let running = now - last < self.takes.as_secs_f64();
        let before = (past >= 1.0).then_some(last - every);
        Runs { running, last, last_ended: if running { before } else { Some(last) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_runs_at_once_and_then_again_and_again() {
        let rhythm = Rhythm { takes: Duration::from_secs(2), every: Duration::from_mins(1) };
        let at = |now| {
            let Runs { running, last, last_ended } = rhythm.runs(1000.0, now);
            (running, last, last_ended)
        };
        assert_eq!(at(1000.0), (true, 1000.0, None));
        assert_eq!(at(1002.0), (false, 1000.0, Some(1000.0)));
        assert_eq!(at(1059.0), (false, 1000.0, Some(1000.0)));
        assert_eq!(at(1061.0), (true, 1060.0, Some(1000.0)));
        assert_eq!(at(1063.0), (false, 1060.0, Some(1060.0)));
    }
}
