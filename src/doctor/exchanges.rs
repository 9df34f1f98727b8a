//! Keeps what is worth knowing about each request to AWS: where it went, how long it took, and what
//! time it was there.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::check::Requests;
use crate::aws::{Exchange, ObserveExchanges};
use crate::clock::Clock;

/// The requests of a run, by the call that they belong to.
#[derive(Debug)]
pub(super) struct ExchangeLog {
    clock: Clock,
    calls: Mutex<HashMap<Call, Requests>>,
    /// The best measurement of the host's clock by service and region.
    clock_differences: Mutex<HashMap<ServiceRegion, ClockDifference>>,
}

/// A call to AWS. The SDK may send several requests for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub(super) access_key_id: String,
    pub(super) operation: Operation,
}

/// An operation with the parameters that tell calls with the same credentials apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    AssumeRole { role_arn: String },
    ListSyncs { region: String, sync_type: String },
    ListManagedNodes { region: String },
    Other(String),
}

type ServiceRegion = (Option<String>, Option<String>);

/// How far the host's clock is from that of AWS.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClockDifference {
    /// The host's time minus that of AWS, in seconds.
    pub(super) seconds: f64,
    /// Which host said what time it is.
    pub(super) endpoint: String,
    /// How long the request took. The difference is that much uncertain.
    duration: Duration,
}

#[cfg(test)]
impl ClockDifference {
    pub(super) fn of(seconds: f64, endpoint: &str) -> Self {
        Self { seconds, endpoint: endpoint.to_owned(), duration: Duration::ZERO }
    }
}

impl ExchangeLog {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, calls: Mutex::default(), clock_differences: Mutex::default() }
    }

    /// The requests of a call so far. `None` if none was sent.
    pub(super) fn requests(&self, access_key_id: &str, operation: Operation) -> Option<Requests> {
        self.calls.lock().get(&Call { access_key_id: access_key_id.to_owned(), operation }).cloned()
    }

    /// How far the host's clock is from that of AWS, in the middle of what its services say in the
    /// regions. A single server with a wrong time does not matter. `None` if AWS did not answer.
    pub(super) fn clock_difference(&self) -> Option<ClockDifference> {
        let mut differences: Vec<ClockDifference> = self.clock_differences.lock().values().cloned().collect();
        differences.sort_by(|one, other| {
            one.seconds.total_cmp(&other.seconds).then_with(|| one.endpoint.cmp(&other.endpoint))
        });
        let middle = differences.len() / 2;
        differences.into_iter().nth(middle)
    }

    fn record_call(&self, exchange: &Exchange<'_>) {
        let request = exchange.request;
        let (Some(access_key_id), Some(operation)) = (&request.access_key_id, &request.operation) else {
            return;
        };
        let operation = match operation.as_str() {
            "AssumeRole" => {
                Operation::AssumeRole { role_arn: request.form_parameter("RoleArn").unwrap_or_default() }
            }
            "ListResourceDataSync" => Operation::ListSyncs {
                region: request.region.clone().unwrap_or_default(),
                sync_type: request.json_parameter("SyncType").unwrap_or_default(),
            },
            "DescribeInstanceInformation" => {
                Operation::ListManagedNodes { region: request.region.clone().unwrap_or_default() }
            }
            other => Operation::Other(other.to_owned()),
        };
        let call = Call { access_key_id: access_key_id.clone(), operation };
        let destination = &request.destination;
        let mut calls = self.calls.lock();
        let earlier = calls.get(&call);
        let requests = Requests {
            number: earlier.map_or(0, |requests| requests.number).saturating_add(1),
            endpoint: destination.host_and_port().to_owned(),
            proxy: destination.proxy().map(ToOwned::to_owned),
            status: exchange.status(),
            duration: earlier.map_or(Duration::ZERO, |requests| requests.duration) + exchange.duration,
        };
        calls.insert(call, requests);
    }

    fn record_time(&self, exchange: &Exchange<'_>) {
        let Some(aws_time) = exchange.aws_time() else { return };
        // A date has whole seconds. AWS took the time while the request was on its way.
        let seconds = self.clock.now() - exchange.duration.as_secs_f64() / 2.0 - (aws_time + 0.5);
        let request = exchange.request;
        let key = (request.service.clone(), request.region.clone());
        let mut differences = self.clock_differences.lock();
        let is_better = |best: &ClockDifference| exchange.duration < best.duration;
        if differences.get(&key).is_none_or(is_better) {
            let endpoint = request.destination.host_and_port().to_owned();
            differences.insert(key, ClockDifference { seconds, endpoint, duration: exchange.duration });
        }
    }
}

impl ObserveExchanges for ExchangeLog {
    fn exchange_ended(&self, exchange: &Exchange<'_>) {
        self.record_call(exchange);
        self.record_time(exchange);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_server_with_a_wrong_time_does_not_matter() {
        let log = ExchangeLog::new(Clock::new(|| 0.0));
        assert_eq!(log.clock_difference(), None);
        for (index, seconds) in [0.2, 86_400.0, -0.1, 0.1, -3600.0].into_iter().enumerate() {
            let endpoint = format!("ssm.region-{index}.amazonaws.com:443");
            let key = (Some("ssm".to_owned()), Some(index.to_string()));
            log.clock_differences.lock().insert(key, ClockDifference::of(seconds, &endpoint));
        }
        let difference = log.clock_difference().unwrap();
        assert_eq!(
            (difference.seconds, difference.endpoint.as_str()),
            (0.1, "ssm.region-3.amazonaws.com:443")
        );
    }
}
