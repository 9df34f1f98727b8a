//! The schedule on which a created sync runs.

use std::time::Duration;

/// When created syncs run. The first run starts when the sync is created.
#[derive(Clone, Copy, Debug)]
pub struct RunSchedule {
    /// Time from the start of a run to its end.
    pub duration: Duration,
    /// Time from the start of a run to the start of the next.
    pub interval: Duration,
}

impl Default for RunSchedule {
    fn default() -> Self {
        Self { duration: Duration::from_secs(2), interval: Duration::from_mins(1) }
    }
}

/// The runs of a sync up to some time. Times are in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Runs {
    pub(crate) running: bool,
    /// Start of the last run.
    pub(crate) last_start: f64,
    /// Start of the last run that has ended.
    pub(crate) last_finished_start: Option<f64>,
}

impl RunSchedule {
    /// The runs, at `now`, of a sync that was created at `created`. No run starts after `until`, except
    /// for the first. All are in seconds since the Unix epoch.
    pub(crate) fn runs(&self, created: f64, until: f64, now: f64) -> Runs {
        let interval = self.interval.as_secs_f64();
        let previous_runs = ((now.min(until) - created) / interval).floor().max(0.0);
        let last_start = created + previous_runs * interval;
        let running = now - last_start < self.duration.as_secs_f64();
        let previous_start = (previous_runs >= 1.0).then_some(last_start - interval);
        Runs {
            running,
            last_start,
            last_finished_start: if running { previous_start } else { Some(last_start) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_runs_when_created_and_then_at_every_interval() {
        let schedule = RunSchedule { duration: Duration::from_secs(2), interval: Duration::from_mins(1) };
        let at = |now| {
            let Runs { running, last_start, last_finished_start } = schedule.runs(1000.0, f64::INFINITY, now);
            (running, last_start, last_finished_start)
        };
        assert_eq!(at(1000.0), (true, 1000.0, None));
        assert_eq!(at(1002.0), (false, 1000.0, Some(1000.0)));
        assert_eq!(at(1059.0), (false, 1000.0, Some(1000.0)));
        assert_eq!(at(1061.0), (true, 1060.0, Some(1000.0)));
        assert_eq!(at(1063.0), (false, 1060.0, Some(1060.0)));
    }

    #[test]
    fn a_sync_that_stops_running_finishes_its_last_run() {
        let schedule = RunSchedule { duration: Duration::from_secs(2), interval: Duration::from_mins(1) };
        let at = |until, now| {
            let runs = schedule.runs(1000.0, until, now);
            (runs.running, runs.last_start, runs.last_finished_start)
        };
        assert_eq!(at(1061.0, 1061.5), (true, 1060.0, Some(1000.0)));
        assert_eq!(at(1061.0, 5000.0), (false, 1060.0, Some(1060.0)));
        assert_eq!(at(f64::NEG_INFINITY, 1001.0), (true, 1000.0, None));
        assert_eq!(at(f64::NEG_INFINITY, 5000.0), (false, 1000.0, Some(1000.0)));
    }
}
