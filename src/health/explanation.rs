//! Why a sync has its health, in a sentence with the times and limits that decide it.

use std::time::Duration;

use super::{AssessedSync, Health, LimitOrigin, LimitOrigins};
use crate::duration;
use crate::model::{SyncStatus, SyncType, UnixSeconds};
use crate::snapshot::ManagedNodes;

/// Explains the health of a sync, in full sentences. Names between backticks are from the configuration.
/// The text has no values from AWS other than times.
pub(crate) fn explain(sync: &AssessedSync<'_>, origins: &LimitOrigins, now: UnixSeconds) -> String {
    let fields = sync.sync;
    let max_success_age = limit(sync.max_success_age, "max_success_age", &origins.max_success_age);
    let max_run_time = limit(sync.max_run_time, "max_run_time", &origins.max_run_time);
    let success = fields.last_successful_sync.map(|at| age(at, now));
    let begun = fields.last_sync.map(|at| format!(" for {}", elapsed(at, now))).unwrap_or_default();
    match sync.health {
        Health::Failed => {
            let attempt = fields.last_sync.map(|at| format!(", {},", age(at, now))).unwrap_or_default();
            let success = success.map_or_else(
                || "AWS reports no success.".to_owned(),
                |success| format!("The last success was {success}."),
            );
            format!("AWS reports that the last attempt{attempt} failed. {success}")
        }
        Health::SourceFault => {
            "AWS reports a fault of the source, so the sync cannot read all accounts and regions that it is meant for."
                .to_owned()
        }
        Health::Stale => {
            let problem = match (fields.last_successful_sync, fields.created) {
                (Some(at), _) => format!("No success for {}; {max_success_age}.", elapsed(at, now)),
                (None, Some(at)) => {
                    format!("No success since the sync was created {}; {max_success_age}.", age(at, now))
                }
                (None, None) => format!("No success; {max_success_age}."),
            };
            let since = fields.last_successful_sync.or(fields.created);
            format!("{problem}{}", about_nodes(sync, since, now))
        }
        Health::Stuck => {
            format!(
                "A run has been in progress{begun}, and none has succeeded since it began; {max_run_time}.{}",
                about_nodes(sync, fields.last_sync, now)
            )
        }
        Health::InProgress if sync.managed_nodes == Some(ManagedNodes::Absent) => {
            format!("A run has been in progress{begun}. {NO_NODES}, so its duration does not matter.")
        }
        Health::InProgress => match (fields.last_sync, fields.last_successful_sync) {
            (Some(begun), Some(success)) if success >= begun => format!(
                "AWS reports a run in progress. The last success, {}, is not older than the run, so the sync works.",
                age(success, now)
            ),
            (Some(begun), _) => format!(
                "A run has been in progress for {}. It counts as stuck when it takes too long; {max_run_time}.{}",
                elapsed(begun, now),
                excuse(sync, begun, sync.max_run_time, now)
            ),
            (None, _) => "AWS reports a run in progress, and not since when.".to_owned(),
        },
        _ if sync.managed_nodes == Some(ManagedNodes::Absent) => match success {
            Some(success) => format!("The last success was {success}. {NO_NODES}, so its age does not matter."),
            None => format!("AWS reports no success. {NO_NODES}, so none is expected."),
        },
        _ => match success {
            Some(success) => {
                let at = fields.last_successful_sync.unwrap_or(now);
                let excuse = excuse(sync, at, sync.max_success_age, now);
                format!("The last success was {success}; {max_success_age}.{excuse}")
            }
            None if fields.sync_type == SyncType::FromSource => {
                "AWS reports no fault of the source. For this type of sync, AWS reports no successes.".to_owned()
            }
            None if fields.last_status == Some(SyncStatus::Successful) => {
                "AWS reports that the last attempt succeeded, and not when.".to_owned()
            }
            None => {
                let excuse = excuse(sync, fields.created.unwrap_or(now), sync.max_success_age, now);
                format!("AWS reports no success yet; {max_success_age}.{excuse}")
            }
        },
    }
}

/// The beginning of a sentence about a sync that has no inventory to copy.
const NO_NODES: &str = "There are no managed nodes here";

/// Why a sync has no problem although `since` is longer ago than its limit: a sentence after a space.
/// Empty if `since` is within the limit.
fn excuse(sync: &AssessedSync<'_>, since: UnixSeconds, limit: Duration, now: UnixSeconds) -> String {
    if now - since > limit.as_secs_f64() { idle_time(sync, Some(since), now) } else { String::new() }
}

/// From when the limit counts, as a sentence after a space. Empty if it counts from `since`.
fn idle_time(sync: &AssessedSync<'_>, since: Option<UnixSeconds>, now: UnixSeconds) -> String {
    match sync.idle_until.filter(|idle_until| since.is_none_or(|since| since < *idle_until)) {
        Some(idle_until) => {
            format!(
                " The limit counts from the last lookup that found no managed nodes here, {}.",
                age(idle_until, now)
            )
        }
        None => String::new(),
    }
}

/// How a problem depends on managed nodes: sentences, each after a space. The limit counts from `since`
/// unless there were no managed nodes later.
fn about_nodes(sync: &AssessedSync<'_>, since: Option<UnixSeconds>, now: UnixSeconds) -> String {
    let idle = idle_time(sync, since, now);
    let nodes = match sync.managed_nodes {
        Some(ManagedNodes::Unknown(failure)) => format!(
            " It is unknown whether there are managed nodes here: the managed-node lookup fails (`{}`).",
            failure.reason.as_str()
        ),
        Some(ManagedNodes::Pending) => " Managed nodes have not been looked up yet.".to_owned(),
        Some(ManagedNodes::Present) => {
            " There are managed nodes here, whose inventory may be missing at the destination.".to_owned()
        }
        Some(ManagedNodes::Absent) | None => String::new(),
    };
    idle + &nodes
}

fn age(at: UnixSeconds, now: UnixSeconds) -> String {
    duration::format_age(now - at)
}

fn elapsed(since: UnixSeconds, now: UnixSeconds) -> String {
    duration::format(Duration::try_from_secs_f64(now - since).unwrap_or_default())
}

/// A limit and where it comes from.
fn limit(limit: Duration, key: &str, origin: &LimitOrigin) -> String {
    let origin = match origin {
        LimitOrigin::Default => format!("`health.{key}`"),
        LimitOrigin::Rule(number) => format!("`{key}` of rule {number} in `health.rules`"),
        LimitOrigin::Expectation(name) => format!("`{key}` of the expectation `{name}`"),
    };
    format!("the limit for this sync is {} ({origin})", duration::format(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::SyncLimits;
    use crate::health::tests::sync;
    use crate::model::{DataSync, Failure, Reason};

    const NOW: UnixSeconds = 1_763_800_000.0;
    const HOUR: UnixSeconds = 3600.0;

    fn explanation(health: Health, origins: &LimitOrigins, change: impl FnOnce(&mut DataSync)) -> String {
        let mut sync = sync("a", Some(NOW - 75.0 * HOUR));
        change(&mut sync);
        let assessed = AssessedSync {
            sync: &sync,
            health,
            max_success_age: Duration::from_hours(48),
            max_run_time: Duration::from_hours(2),
            managed_nodes: None,
            idle_until: None,
        };
        explain(&assessed, origins, NOW)
    }

    #[test]
    fn managed_nodes_are_part_of_the_explanation_where_they_matter() {
        use ManagedNodes::{Absent, Pending, Present, Unknown};
        let explain = |health, managed_nodes, idle_until, change: &dyn Fn(&mut DataSync)| {
            let mut sync = sync("a", Some(NOW - 75.0 * HOUR));
            change(&mut sync);
            let SyncLimits { max_success_age, max_run_time, .. } = SyncLimits::default();
            let managed_nodes = Some(managed_nodes);
            let assessed = AssessedSync {
                sync: &sync,
                health,
                max_success_age,
                max_run_time,
                managed_nodes,
                idle_until,
            };
            super::explain(&assessed, &LimitOrigins::default(), NOW)
        };
        let (as_is, never) = (|_: &mut DataSync| {}, |sync: &mut DataSync| sync.last_successful_sync = None);
        let running = |sync: &mut DataSync| sync.last_sync = Some(NOW - 5.0 * HOUR);
        let denied = Failure::new(Reason::AccessDenied, "message");
        for (health, nodes, idle_until, change, expected) in [
            (
                Health::Healthy,
                Absent,
                Some(NOW),
                &as_is as &dyn Fn(&mut DataSync),
                "The last success was 3d 3h ago. There are no managed nodes here, so its age does not matter.",
            ),
            (
                Health::Healthy,
                Absent,
                Some(NOW),
                &never,
                "AWS reports no success. There are no managed nodes here, so none is expected.",
            ),
            (
                Health::InProgress,
                Absent,
                Some(NOW),
                &running,
                "A run has been in progress for 5h. There are no managed nodes here, so its duration does not matter.",
            ),
            (
                Health::Healthy,
                Present,
                None,
                &as_is,
                "The last success was 3d 3h ago; the limit for this sync is 2d (`health.max_success_age`).",
            ),
            (
                Health::Healthy,
                Present,
                Some(NOW - 5.0 * HOUR),
                &as_is,
                "The last success was 3d 3h ago; the limit for this sync is 2d (`health.max_success_age`). The limit \
                 counts from the last lookup that found no managed nodes here, 5h ago.",
            ),
            (
                Health::InProgress,
                Present,
                Some(NOW - HOUR),
                &running,
                "A run has been in progress for 5h. It counts as stuck when it takes too long; the limit for this sync is \
                 2h (`health.max_run_time`). The limit counts from the last lookup that found no managed \
                 nodes here, 1h ago.",
            ),
            (
                Health::Stale,
                Present,
                Some(NOW - 50.0 * HOUR),
                &as_is,
                "No success for 3d 3h; the limit for this sync is 2d (`health.max_success_age`). The limit counts from \
                 the last lookup that found no managed nodes here, 2d 2h ago. There are managed nodes here, whose inventory may be \
                 missing at the destination.",
            ),
            (
                Health::Stale,
                Unknown(&denied),
                Some(NOW - 80.0 * HOUR),
                &as_is,
                "No success for 3d 3h; the limit for this sync is 2d (`health.max_success_age`). It is unknown \
                 whether there are managed nodes here: the managed-node lookup fails (`access_denied`).",
            ),
            (
                Health::Stuck,
                Pending,
                None,
                &running,
                "A run has been in progress for 5h, and none has succeeded since it began; the limit for this sync is \
                 2h (`health.max_run_time`). Managed nodes have not been looked up yet.",
            ),
        ] {
            assert_eq!(explain(health, nodes, idle_until, change), expected);
        }
    }

    #[test]
    fn each_health_is_explained_with_its_times_and_its_limit() {
        let default = &LimitOrigins::default();
        let rules =
            &LimitOrigins { max_success_age: LimitOrigin::Rule(2), max_run_time: LimitOrigin::Rule(3) };
        let expectation = &LimitOrigins {
            max_success_age: LimitOrigin::Expectation("org-inventory".to_owned()),
            max_run_time: LimitOrigin::Default,
        };
        let never = |sync: &mut DataSync| {
            (sync.last_successful_sync, sync.created) = (None, Some(NOW - 240.0 * HOUR));
        };
        let running = |success: f64| {
            move |sync: &mut DataSync| {
                sync.last_sync = Some(NOW - 5.0 * HOUR);
                sync.last_successful_sync = Some(NOW - success * HOUR);
            }
        };
        let from_source = |sync: &mut DataSync| {
            (sync.sync_type, sync.last_successful_sync) = (SyncType::FromSource, None);
        };
        for (found, text) in [
            (
                explanation(Health::Stale, rules, |_| ()),
                "No success for 3d 3h; the limit for this sync is 2d (`max_success_age` of rule 2 in `health.rules`).",
            ),
            (
                explanation(Health::Healthy, expectation, |_| ()),
                "The last success was 3d 3h ago; the limit for this sync is 2d (`max_success_age` of the expectation \
                 `org-inventory`).",
            ),
            (
                explanation(Health::Stale, default, never),
                "No success since the sync was created 10d ago; the limit for this sync is 2d (`health.max_success_age`).",
            ),
            (
                explanation(Health::Stuck, rules, running(9.0)),
                "A run has been in progress for 5h, and none has succeeded since it began; the limit for this sync is 2h \
                 (`max_run_time` of rule 3 in `health.rules`).",
            ),
            (
                explanation(Health::InProgress, default, running(9.0)),
                "A run has been in progress for 5h. It counts as stuck when it takes too long; the limit for this sync is 2h \
                 (`health.max_run_time`).",
            ),
            (
                explanation(Health::InProgress, default, running(4.0)),
                "AWS reports a run in progress. The last success, 4h ago, is not older than the run, so the sync works.",
            ),
            (
                explanation(Health::Failed, default, |_| ()),
                "AWS reports that the last attempt, 3d 3h ago, failed. The last success was 3d 3h ago.",
            ),
            (
                explanation(Health::Failed, default, |sync| {
                    (sync.last_sync, sync.last_successful_sync) = (None, None);
                }),
                "AWS reports that the last attempt failed. AWS reports no success.",
            ),
            (
                explanation(Health::Healthy, default, |_| ()),
                "The last success was 3d 3h ago; the limit for this sync is 2d (`health.max_success_age`).",
            ),
            (
                explanation(Health::Healthy, default, from_source),
                "AWS reports no fault of the source. For this type of sync, AWS reports no successes.",
            ),
        ] {
            assert_eq!(found, text);
        }
    }
}
