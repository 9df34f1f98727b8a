//! The HTTP client that all calls share. Every response passes through it: those of AWS's
//! services, and those of the credential endpoints that the SDK calls itself (IMDS, ECS, SSO
//! and STS).
//!
//! It reads each response completely before the SDK sees it, and limits what a response can
//! do:
//!
//! | part of a response | limit |
//! | --- | --- |
//! | body | 8 MiB, with or without a declared length |
//! | bodies of more than 1 MiB | 4 at a time, the others wait |
//! | values in a JSON body | about 200,000 |
//! | headers, HTTP/1 | about 400 KiB and 100 headers (limits of `hyper`) |
//! | headers, HTTP/2 | 16 KiB (limit of `hyper`) |
//! | trailers and chunk extensions | 16 KiB each (limits of `hyper`), ignored |
//! | `Date` | hidden from the SDK, see [`clock_skew`] |
//! | an HTML page in place of an answer | becomes an error, see [`HtmlPage`] |
//! | `x-amz-retry-after` and `Retry-After` | hidden from the SDK, which uses its own back-off |
//!
//! The timeout of a call's attempt limits how long a response may take. All errors name the
//! [`Destination`] of the request.
//!
//! With a [recording](super::recording), nothing is sent. What it has as an answer passes through the
//! same limits, with the destination of the recorded request.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use parking_lot::Mutex;

use super::clock_skew::{self, SkewWarning};
use super::destination::{Destination, HtmlPage, NotRecorded};
use super::endpoints;
use super::exchange::{NoResponseKind, ObserveExchanges, ObservedRequest, SentRequest};
use super::outbound::{CaBundle, OutboundSettings, Proxy};
use super::recording::{RecordedAnswer, Recording};
use super::request_secrets::RequestSecrets;
use super::response_body::{BodyReader, is_invalid_response};
use super::sdk::AwsSettings;

/// Headers that make the SDK wait before it retries a call, for up to 20 seconds each time.
/// The collection would then time out, and its reason would not be that AWS throttled it.
const RETRY_AFTER_HEADERS: [&str; 2] = ["x-amz-retry-after", "retry-after"];

/// The HTTP clients of all calls: one for each file of certificate authorities, usually one in all. By
/// default, the SDK creates a client for each service client, and ignores the proxy settings of the
/// environment.
#[derive(Debug)]
pub(super) struct HttpClients {
    outbound: Arc<OutboundSettings>,
    /// Answers in place of the network.
    recording: Option<Arc<Recording>>,
    attempt_timeout: Duration,
    skew_warning: SkewWarning,
    body_reader: BodyReader,
    observer: Option<Arc<dyn ObserveExchanges>>,
    by_ca_bundle: Mutex<Vec<(Option<CaBundle>, SharedHttpClient)>>,
}

impl HttpClients {
    /// `attempt_timeout` limits how long each request may take, its response included.
    pub(super) fn new(settings: &AwsSettings, attempt_timeout: Duration) -> Self {
        // An endpoint without TLS is not AWS but a local substitute, which an outbound
        // proxy usually cannot reach.
        let ignores_proxies = settings.endpoint_url.as_deref().is_some_and(endpoints::is_without_tls);
        let outbound = if ignores_proxies { Arc::default() } else { Arc::clone(&settings.outbound) };
        let recording = settings.recording.clone();
        // What is not answered was not answered when it was recorded either, until something else ended it.
        let attempt_timeout = if recording.is_some() { Duration::MAX } else { attempt_timeout };
        let recorded_at = recording.as_ref().map(|recording| recording.unix_seconds());
        Self {
            outbound,
            recording,
            attempt_timeout,
            skew_warning: SkewWarning::new(recorded_at),
            body_reader: BodyReader::default(),
            observer: settings.exchange_observer.0.clone(),
            by_ca_bundle: Mutex::default(),
        }
    }

    /// The client that trusts the authorities of `ca_bundle`, or those of the system.
    pub(super) fn get(&self, ca_bundle: Option<&CaBundle>) -> SharedHttpClient {
        let mut clients = self.by_ca_bundle.lock();
        if let Some((_, client)) = clients.iter().find(|(bundle, _)| bundle.as_ref() == ca_bundle) {
            return client.clone();
        }
        let client = SharedHttpClient::new(self.create(ca_bundle));
        clients.push((ca_bundle.cloned(), client.clone()));
        client
    }

    fn create(&self, ca_bundle: Option<&CaBundle>) -> LimitingClient {
        let upstream = match &self.recording {
            Some(recording) => Upstream::Recording(Arc::clone(recording)),
            None => self.network(ca_bundle),
        };
        LimitingClient {
            upstream,
            attempt_timeout: self.attempt_timeout,
            skew_warning: self.skew_warning.clone(),
            body_reader: self.body_reader.clone(),
            observer: self.observer.clone(),
        }
    }

    fn network(&self, ca_bundle: Option<&CaBundle>) -> Upstream<SharedHttpClient> {
        let tls_context = ca_bundle.map(CaBundle::tls_context);
        let direct = client(ProxyConfig::disabled(), tls_context);
        #[cfg(fuzzing)]
        let direct = super::fuzzing::http_client().unwrap_or(direct);
        let through_proxies = self
            .outbound
            .proxies()
            .map(|proxy| (proxy.clone(), client(proxy.config(), tls_context)))
            .collect();
        Upstream::Network(Network { outbound: Arc::clone(&self.outbound), direct, through_proxies })
    }
}

/// What answers requests. `C` is a client or a connector of the SDK.
#[derive(Debug)]
enum Upstream<C> {
    Network(Network<C>),
    Recording(Arc<Recording>),
}

/// Sends each request directly or through its proxy.
#[derive(Debug)]
struct Network<C> {
    outbound: Arc<OutboundSettings>,
    direct: C,
    through_proxies: Vec<(Proxy, C)>,
}

impl<C> Network<C> {
    /// What sends a request to `url`, and the proxy that it uses.
    fn route(&self, url: &Uri) -> (&C, Option<&Proxy>) {
        let proxy = self.outbound.proxy_for(url);
        let route = self.through_proxies.iter().find(|(used, _)| Some(used) == proxy);
        route.map_or((&self.direct, None), |(proxy, upstream)| (upstream, Some(proxy)))
    }
}

impl Upstream<SharedHttpClient> {
    fn connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> Upstream<SharedHttpConnector> {
        match self {
            Self::Recording(recording) => Upstream::Recording(Arc::clone(recording)),
            Self::Network(Network { outbound, direct, through_proxies }) => Upstream::Network(Network {
                outbound: Arc::clone(outbound),
                direct: direct.http_connector(settings, components),
                through_proxies: through_proxies
                    .iter()
                    .map(|(proxy, client)| (proxy.clone(), client.http_connector(settings, components)))
                    .collect(),
            }),
        }
    }
}

impl Upstream<SharedHttpConnector> {
    /// Where `request` goes, whose URL is `url`, and what answers it there.
    fn route(&self, request: &HttpRequest, url: &Uri) -> (Destination, Responder<'_>) {
        match self {
            Self::Network(network) => {
                let (connector, proxy) = network.route(url);
                (Destination::of(request, url, proxy), Responder::Connector(connector))
            }
            Self::Recording(recording) => {
                let destination = Destination::of(request, url, None);
                let answer = recording.answer(&SentRequest::of(request, url, &destination));
                let recorded = |answer: &RecordedAnswer| {
                    let proxy = answer.proxy().map(ToOwned::to_owned);
                    Destination::recorded(request, answer.endpoint().to_owned(), proxy)
                };
                (answer.as_ref().map_or(destination, recorded), Responder::Recorded(answer))
            }
        }
    }
}

/// Answers one request.
enum Responder<'a> {
    Connector(&'a SharedHttpConnector),
    Recorded(Result<RecordedAnswer, NotRecorded>),
}

impl Responder<'_> {
    fn call(self, request: HttpRequest) -> HttpConnectorFuture {
        match self {
            Self::Connector(connector) => connector.call(request),
            Self::Recorded(Ok(answer)) => HttpConnectorFuture::new(answer.into_response()),
            Self::Recorded(Err(not_recorded)) => HttpConnectorFuture::ready(Err(not_recorded.into())),
        }
    }
}

/// An HTTP client of the SDK, with a connection pool of its own.
fn client(proxy: ProxyConfig, tls_context: Option<&TlsContext>) -> SharedHttpClient {
    let tls_context = tls_context.cloned().unwrap_or_default();
    Builder::new().build_with_connector_fn(move |connector_settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        if let Some(connector_settings) = connector_settings {
            connector = connector.connector_settings(connector_settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            connector = connector.sleep_impl(sleep);
        }
        let tls = connector.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
        tls.tls_context(tls_context.clone()).build()
    })
}

fn kind_of(error: &ConnectorError) -> NoResponseKind {
    match error {
        error if is_invalid_response(error) => NoResponseKind::InvalidResponse,
        error if error.is_timeout() => NoResponseKind::Timeout,
        error if error.is_io() || error.as_other().is_some() => NoResponseKind::Connection,
        _ => NoResponseKind::Other,
    }
}

/// Applies the limits of this module to the responses.
///
/// Whenever the SDK constructs a service client, it checks its HTTP client by loading all
/// root certificates, which costs as much as a call. This wrapper skips the check, because it
/// leaves the validation methods of [`HttpClient`] at their default implementations, which do
/// nothing. TLS certificates of servers are verified as usual.
#[derive(Debug)]
struct LimitingClient {
    upstream: Upstream<SharedHttpClient>,
    attempt_timeout: Duration,
    skew_warning: SkewWarning,
    body_reader: BodyReader,
    observer: Option<Arc<dyn ObserveExchanges>>,
}

impl HttpClient for LimitingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LimitingConnector {
            upstream: self.upstream.connector(settings, components),
            timeout: self.attempt_timeout,
            skew_warning: self.skew_warning.clone(),
            body_reader: self.body_reader.clone(),
            observer: self.observer.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        match &self.upstream {
            Upstream::Network(network) => network.direct.connector_metadata(),
            Upstream::Recording(_) => None,
        }
    }
}

#[derive(Debug)]
struct LimitingConnector {
    upstream: Upstream<SharedHttpConnector>,
    timeout: Duration,
    skew_warning: SkewWarning,
    body_reader: BodyReader,
    observer: Option<Arc<dyn ObserveExchanges>>,
}

impl HttpConnector for LimitingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (skew_warning, body_reader) = (self.skew_warning.clone(), self.body_reader.clone());
        let url: Uri = request.uri().parse().unwrap_or_default();
        let secrets = RequestSecrets::of(&request);
        let (destination, responder) = self.upstream.route(&request, &url);
        let observed = self
            .observer
            .as_ref()
            .map(|observer| ObservedRequest::new(observer, &request, &url, &destination));
        let (response, timeout) = (responder.call(request), self.timeout);
        HttpConnectorFuture::new(async move {
            let exchange = async {
                let mut response = response.await?;
                let (body, permit) = body_reader.read(response.take_body()).await?;
                Ok((response, body, permit))
            };
            // The SDK's own timeout is slightly longer, and its error does not name the destination.
            let exchanged = match tokio::time::timeout(timeout, exchange).await {
                Ok(exchanged) => exchanged.map_err(|error| destination.clone().failed(error)),
                Err(_elapsed) => Err(destination.clone().timed_out(timeout)),
            };
            if let Some(observed) = observed {
                match &exchanged {
                    Ok((response, body, _)) => observed.answered(response, body),
                    Err(error) => observed.failed(kind_of(error), error),
                }
            }
            let (mut response, body, permit) = exchanged?;
            if let Some(page) = HtmlPage::of(&response, &body, &destination) {
                return Err(page.without(&secrets).into());
            }
            // Held until the SDK has parsed the body.
            if let Some(permit) = permit {
                response.add_extension(permit);
            }
            if !response.status().is_success() {
                response.add_extension(secrets);
            }
            response.add_extension(destination);
            clock_skew::hide_unconfirmed_date(&mut response, &body, &skew_warning);
            for name in RETRY_AFTER_HEADERS {
                response.headers_mut().remove(name);
            }
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        })
    }
}
