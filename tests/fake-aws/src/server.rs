//! The HTTP server: identifies the caller and the operation, and passes the call to the service.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;

use crate::authorization::Call;
use crate::body::{self, Body};
use crate::fault::Fault;
use crate::reply::{self, ApiError, Reply};
use crate::service::Service;
use crate::sigv4::Scope;
use crate::world::World;
use crate::{account, control, effects, iam, organizations, sigv4, ssm, sts};

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
        return body::full(control::handle(world, &head.method, head.uri.path(), &body));
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
        Service::Sts | Service::Iam => form_urlencoded::parse(&body).into_owned().collect(),
        _ => sts::Parameters::new(),
    };
    let operation = match service {
        Service::Sts | Service::Iam => parameters.get("Action").map_or("", String::as_str),
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
    let request = if service.is_query() { Some(Value::Null) } else { serde_json::from_slice(&body).ok() };
    let call = Call::of(world, service, operation, &caller, scope.region, &parameters, request.as_ref());
    let error = error.or_else(|| faults.iter().find_map(|fault| service.fault_error(fault, &call, number)));
    // STS itself checks the permission to assume a role. Nothing can deny the other operation.
    let denial = |call| world.denial(call).map(|message| service.access_denied(message));
    let error = error.or_else(|| if service == Service::Sts { None } else { denial(call) });
    let reply = match (error, service, request) {
        (Some(error), _, _) => Reply::Error(error),
        (None, Service::Sts, _) => {
            sts::handle(world, &caller, scope.region, operation, &parameters, &faults, world.now())
        }
        (None, Service::Iam, _) => iam::handle(world, &caller.account, operation, &parameters),
        (None, _, Some(request @ Value::Object(_))) => {
            let (account, faults) = (&caller.account, faults.as_slice());
            match service {
                Service::Organizations => organizations::handle(world, account, operation, &request, faults),
                Service::Account => account::handle(world, &caller, operation, &request, faults),
                _ => ssm::handle(world, account, scope.region, operation, &request, faults),
            }
        }
        (None, ..) => Reply::Error(ApiError::new("SerializationException", "")),
    };
    effects::send(reply::response(service, reply, &request_id), operation, &faults, clock_offset)
}
