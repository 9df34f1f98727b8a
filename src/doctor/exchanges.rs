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
    /// The best measurement of the host's clock by endpoint.
    clock_differences: Mutex<HashMap<String, ClockDifference>>,
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
    Other(String),
}

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

impl ExchangeLog {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, calls: Mutex::default(), clock_differences: Mutex::default() }
    }

    /// The requests of a call so far. `None` if none was sent.
    pub(super) fn requests(&self, access_key_id: &str, operation: Operation) -> Option<Requests> {
        self.calls.lock().get(&Call { access_key_id: access_key_id.to_owned(), operation }).cloned()
    }

    /// How far the host's clock is from that of AWS, by the endpoint in the middle. A single server with
    /// a wrong time does not matter. `None` if AWS did not answer.
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
        let endpoint = exchange.request.destination.host_and_port();
        let mut differences = self.clock_differences.lock();
        let is_better = |best: &ClockDifference| exchange.duration < best.duration;
        if differences.get(endpoint).is_none_or(is_better) {
            let endpoint = endpoint.to_owned();
            let difference =
                ClockDifference { seconds, endpoint: endpoint.clone(), duration: exchange.duration };
            differences.insert(endpoint, difference);
        }
    }
}

impl ObserveExchanges for ExchangeLog {
    fn exchange_ended(&self, exchange: &Exchange<'_>) {
        self.record_call(exchange);
        self.record_time(exchange);
    }
}
