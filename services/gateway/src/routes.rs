//! Which request gets which answer. Contract: `docs/api.md`.

use std::sync::Arc;

use adit_sys::clock::boottime;
use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            REFERRER_POLICY, TRANSFER_ENCODING, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::{
    chips,
    doors::Doors,
    identity::Identity,
    metrics::{self, Dialect},
    server::Counters,
    status::Status,
};

/// Nothing here takes a body; a small one is passed over, a larger one is not even waited for.
const BODY_BYTES: u64 = 4096;

/// The page may load its own style and script and ask its own unit, nothing else, and nobody may frame it.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                              img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What answers are made from.
#[derive(Debug)]
pub struct Gateway {
    doors: Doors,
    identity: Identity,
    pub(crate) counters: Counters,
}

impl Gateway {
    pub fn new(doors: Doors, identity: Identity) -> Self {
        Self { doors, identity, counters: Counters::default() }
    }

    async fn status(&self) -> Status {
        let reading = self.doors.read().await;
        Status::new(&self.identity, boottime().as_secs(), &reading)
    }
}

/// The whole site.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        // A page, its style and its script belong to one release: a browser asks again after an update.
        get(async move || ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text))
    };
    Router::new()
        .route("/", file(HTML, include_str!("../page/index.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("../page/page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("../page/page.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../page/icon.svg")))
        .route("/api/v1/status", get(status))
        .route("/api/v1/chips", get(chips))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(refuse_bodies))
        .layer(middleware::map_response(add_security_headers))
        .with_state(gateway)
}

async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    json(StatusCode::OK, &gateway.status().await)
}

async fn chips(State(gateway): State<Arc<Gateway>>) -> Response {
    json(StatusCode::OK, &chips::Machine::new(&*gateway.doors.chips().await))
}

async fn metrics(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let dialect = Dialect::preferred(&accept.collect::<Vec<_>>().join(","));
    let status = gateway.status().await;
    // Who hangs is not waited for twice.
    let chips = match status.hardware {
        Some(_) => Some(chips::Machine::new(&*gateway.doors.chips().await)),
        None => None,
    };
    let text = metrics::text(dialect, &status, chips.as_ref(), gateway.counters.now());
    let headers = [(CONTENT_TYPE, dialect.content_type()), (CACHE_CONTROL, "no-store"), (VARY, "accept")];
    (headers, text).into_response()
}

/// An answer that is not what was asked for: one line of JSON.
#[derive(Serialize)]
struct Problem {
    error: &'static str,
    message: &'static str,
}

async fn not_found() -> Response {
    let message = "served here: /, /api/v1/status, /api/v1/chips, /metrics";
    json(StatusCode::NOT_FOUND, &Problem { error: "not_found", message })
}

async fn method_not_allowed() -> Response {
    let message = "this is read only: GET or HEAD";
    json(StatusCode::METHOD_NOT_ALLOWED, &Problem { error: "method_not_allowed", message })
}

async fn refuse_bodies(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length > BODY_BYTES) {
        let message = "nothing here takes a body";
        let refusal = Problem { error: "content_too_large", message };
        let mut response = json(StatusCode::PAYLOAD_TOO_LARGE, &refusal);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    next.run(request).await
}

async fn add_security_headers(mut response: Response) -> Response {
    let names: [(HeaderName, &'static str); 6] = [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in names {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn json(code: StatusCode, value: &impl Serialize) -> Response {
    let mut text = serde_json::to_string(value).expect("our values have string keys and finite numbers");
    text.push('\n');
    (code, [(CONTENT_TYPE, JSON), (CACHE_CONTROL, "no-store")], text).into_response()
}
