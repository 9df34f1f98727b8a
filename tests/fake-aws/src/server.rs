//! The HTTP server: identifies the caller and the operation, and passes the call to the service.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;

use crate::body::{self, Body};
use crate::fault::{Fault, FaultRule};
use crate::reply::{self, ApiError, Reply};
use crate::service::Service;
use crate::sigv4::Scope;
use crate::world::{SyncKind, World};
use crate::{account, effects, organizations, sigv4, ssm, sts};

/// Maximum length of a request body in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeAws {
    address: SocketAddr,
    world: Arc<World>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

impl FakeAws {
    /// Starts serving `world` on `address`.
    ///
    /// # Errors
    /// The server cannot listen on the address.
    pub async fn start(world: Arc<World>, address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&world)));
        Ok(Self { address, world, _tasks: tasks })
    }

    /// The value for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The state that the server serves.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }
}

async fn accept(listener: TcpListener, world: Arc<World>) {
    // The set is dropped together with the server, which aborts the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, Arc::clone(&world)));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            // `accept` failed, for example because no file descriptors are left.
            else => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, world: Arc<World>) {
    let service = service_fn(move |request| {
        let world = Arc::clone(&world);
        async move { Ok::<_, Infallible>(handle(&world, request).await) }
    });
    // Faults decide on the header `Date`.
    let mut connection =
        http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    // A broken connection is either the client's fault or injected on purpose.
    if let Err(error) = (&mut connection).await
        && body::is_reset(&error)
    {
        let _ignored = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn handle(world: &World, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return body::full(reply::plain(413, "too large\n"));
    };
    if head.uri.path().starts_with("/_fake/") {
        return body::full(control(world, &head.method, head.uri.path(), &body));
    }

    let authorization =
        head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let number = world.count_request();
    let request_id = format!("00000000-0000-4000-8000-{number:012}");
    let clock_offset = world.clock_offset();
    let error_response = |service, error| {
        effects::send(reply::response(service, Reply::Error(error), &request_id), "", &[], clock_offset)
    };
    let Some(scope) = Scope::parse(authorization) else {
        let error = ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token");
        return error_response(Service::Ssm, error);
    };
    let Some(service) = Service::from_name(scope.service) else {
        return error_response(Service::Ssm, ApiError::new("UnknownOperationException", ""));
    };
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let target = header("x-amz-target").unwrap_or_default();
    let parameters: sts::Parameters = match service {
        Service::Sts => form_urlencoded::parse(&body).into_owned().collect(),
        _ => sts::Parameters::new(),
    };
    let operation = match service {
        Service::Sts => parameters.get("Action").map_or("", String::as_str),
        Service::Ssm => target.strip_prefix("AmazonSSM.").unwrap_or_default(),
        Service::Organizations => target.strip_prefix("AWSOrganizationsV20161128.").unwrap_or_default(),
        Service::Account => account::operation(head.uri.path()),
    };
    let caller = match world.caller(scope.access_key, header("x-amz-security-token"), world.now()) {
        Ok(caller) => caller,
        Err(error) => return error_response(service, service.credential_error(&error)),
    };

    let faults = world.record_call(service.name(), &caller.account, scope.region, operation);
    for fault in &faults {
        match fault {
            Fault::Stall => std::future::pending().await,
            Fault::Delay(millis) | Fault::EndlessSlowPages(millis) => {
                tokio::time::sleep(Duration::from_millis(*millis)).await;
            }
            Fault::Response { status, body } => {
                return effects::send(reply::plain(*status, body.clone()), operation, &faults, clock_offset);
            }
            _ => {}
        }
    }
    // The time of a signature is checked before permissions.
    let ahead = faults.iter().fold(clock_offset, |ahead, fault| match fault {
        Fault::ClockAhead(seconds) => ahead + SignedDuration::from_secs((*seconds).into()),
        _ => ahead,
    });
    let signing_time = header("x-amz-date").map_or(Ok(()), |date| sigv4::check_signing_time(date, ahead));
    let error = signing_time.err().map(|message| service.signing_time_error(message));
    let error = error
        .or_else(|| faults.iter().find_map(|fault| service.fault_error(fault, &caller, operation, number)));
    let error = error.or_else(|| service.policy_denial(&caller, operation));
    let reply = match (error, service) {
        (Some(error), _) => Reply::Error(error),
        (None, Service::Sts) => {
            sts::handle(world, &caller, scope.region, operation, &parameters, &faults, world.now())
        }
        (None, _) => match serde_json::from_slice::<Value>(&body) {
            Ok(request @ Value::Object(_)) => {
                let (account, faults) = (&caller.account, faults.as_slice());
                match service {
                    Service::Organizations => {
                        organizations::handle(world, account, operation, &request, faults)
                    }
                    Service::Account => account::handle(world, &caller, operation, &request, faults),
                    _ => ssm::handle(world, account, scope.region, operation, &request, faults),
                }
            }
            _ => Reply::Error(ApiError::new("SerializationException", "")),
        },
    };
    effects::send(reply::response(service, reply, &request_id), operation, &faults, clock_offset)
}

/// A sync that is listed exactly as `item`, see [`World::put_item`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutItem {
    account: String,
    region: String,
    sync_type: String,
    item: Value,
}

/// The control API for tests in other languages: `PUT /_fake/faults` sets a JSON list of
/// [`FaultRule`]s, `PUT /_fake/items` adds a JSON list of [`PutItem`]s, and `GET /_fake/calls`
/// returns the number of calls of each operation by account and region.
fn control(world: &World, method: &Method, path: &str, body: &[u8]) -> Response<Bytes> {
    match (method, path) {
        (&Method::PUT, "/_fake/faults") => match serde_json::from_slice::<Vec<FaultRule>>(body) {
            Ok(rules) => {
                world.set_faults(rules);
                reply::plain(204, "")
            }
            Err(error) => reply::plain(400, format!("{error}\n")),
        },
        (&Method::PUT, "/_fake/items") => match serde_json::from_slice::<Vec<PutItem>>(body) {
            Ok(items) => put_items(world, items),
            Err(error) => reply::plain(400, format!("{error}\n")),
        },
        (&Method::GET, "/_fake/calls") => reply::plain(200, world.calls_as_json().to_string()),
        _ => reply::plain(404, "not found\n"),
    }
}

fn put_items(world: &World, items: Vec<PutItem>) -> Response<Bytes> {
    for PutItem { account, region, sync_type, item } in items {
        let Some(kind) = SyncKind::from_name(&sync_type) else {
            return reply::plain(400, format!("unknown sync type {sync_type}\n"));
        };
        world.put_item(&account, &region, kind, item);
    }
    reply::plain(204, "")
}
