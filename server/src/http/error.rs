//! `Failure`: the one place that chooses a failure's status. Becomes `application/problem+json` with a stable code.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use protocol::api::problem::Problem;
use protocol::{CallError, ErrorCode, TraceId};

use crate::otlp;
use crate::placement;
use crate::queue;
use crate::runtime::inspect::Rejection;
use crate::runtime::json::JsonError;
use crate::telemetry::new_span_id;
use crate::traces;

/// The media type of a problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    problem: Problem,
}

impl Failure {
    fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let problem = Problem {
            title: title.to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            pointer: None,
            trace_id: None,
        };
        Self { status, problem }
    }

    /// A call that failed.
    pub(super) fn call(error: &CallError) -> Self {
        let (status, title) = match error.code {
            ErrorCode::NotFound => (StatusCode::NOT_FOUND, "Nobody serves this"),
            ErrorCode::Invalid => (StatusCode::BAD_REQUEST, "The arguments do not fit"),
            ErrorCode::Rejected => (StatusCode::FORBIDDEN, "The call was refused"),
            ErrorCode::Trapped => (StatusCode::BAD_GATEWAY, "The handler trapped"),
            ErrorCode::Deadline => (StatusCode::GATEWAY_TIMEOUT, "The deadline passed"),
            ErrorCode::Cancelled => (StatusCode::SERVICE_UNAVAILABLE, "The call was cancelled"),
            ErrorCode::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "Too much at once"),
            ErrorCode::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, "The node cannot be reached"),
            ErrorCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "A fault of Cleave"),
        };
        Self::new(status, error.code.as_str(), title, error.message.clone())
    }

    /// A thing that there is not.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// A request that cannot be read.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "The request cannot be read",
            detail,
        )
    }

    /// JSON that does not fit; `within` is the pointer to what was to be encoded.
    pub(super) fn json(error: &JsonError, within: &str) -> Self {
        let title = "The JSON does not fit the function's type";
        let failure = Self::new(StatusCode::BAD_REQUEST, "invalid", title, error.message.clone());
        failure.at(format!("{within}{}", error.pointer))
    }

    /// A path with another method.
    pub(super) fn method_not_allowed(method: &http::Method, path: &str) -> Self {
        let detail = format!("`{path}` does not take {method}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            detail,
        )
    }

    /// A foreign `Host`.
    pub(super) fn host_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host-not-allowed",
            "This host is not served",
            detail,
        )
    }

    /// A foreign `Origin`.
    pub(super) fn origin_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "origin-not-allowed",
            "Another site's page may not change this",
            detail,
        )
    }

    /// A body of a type that is not read.
    pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let title = "This content type is not read";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            title,
            detail,
        )
    }

    /// A body beyond its limit.
    pub(super) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("the body has more than {bytes_max} bytes, which is the most that is read");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            detail,
        )
    }

    /// Headers beyond their limit.
    pub(super) fn too_many_headers(count: usize, count_max: usize) -> Self {
        let detail = format!("the request has {count} headers, {count_max} are the most");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, "too-many-headers", "Too many headers", detail)
    }

    /// A body that did not come in time.
    pub(super) fn too_slow() -> Self {
        let detail = "the body did not arrive in time; send it faster, or less of it";
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The request came too slowly",
            detail,
        )
    }

    /// A handler's answer that cannot be passed on.
    pub(super) fn bad_answer(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "bad-answer",
            "The handler's answer cannot be passed on",
            detail,
        )
    }

    /// A function that cannot be called through bytes.
    pub(super) fn local_only(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(
            status,
            "local-only",
            "The function cannot be called from outside",
            detail,
        )
    }

    /// More at once than is read.
    pub(super) fn too_many_requests(detail: impl Into<String>) -> Self {
        let title = "Too many requests at once";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", title, detail)
    }

    /// Spans come faster than they can be stored.
    pub(super) fn store_behind() -> Self {
        let detail = "spans come faster than they are stored; send them again later";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "The trace store is behind",
            detail,
        )
    }

    /// A body with too many spans.
    pub(super) fn too_many_spans(error: &otlp::Error) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "too-large", "The body is too large", error.to_string())
    }

    /// A signal of OTLP that is not taken.
    pub(super) fn no_such_signal(path: &str) -> Self {
        let detail = format!(
            "`{path}` is not taken: Cleave keeps traces alone; send spans to `/v1/traces`, and logs as events of them"
        );
        Self::not_found(detail)
    }

    /// A node that does not serve yet.
    pub(super) fn not_ready() -> Self {
        let detail = "the node is starting: handlers are being read and placed";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail)
    }

    /// One event stream too many.
    pub(super) fn too_many_streams(count_max: usize) -> Self {
        let detail = format!("{count_max} event streams are open, the most there may be; close one");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Too many event streams",
            detail,
        )
    }

    /// A fault of ours: the reason stays in the log, under an id.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        let id = new_span_id();
        tracing::error!(error.id = %id, %error, "a request failed");
        let detail = format!("the log has the reason under {id}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A fault of Cleave",
            detail,
        )
    }

    /// Where in the request's JSON.
    #[must_use]
    pub(super) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.problem.pointer = Some(pointer.into());
        self
    }

    /// The trace of the request.
    #[must_use]
    pub(super) fn traced(mut self, trace_id: TraceId) -> Self {
        self.problem.trace_id = Some(trace_id);
        self
    }

    /// The status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is told.
    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The number that gRPC has for it.
    pub(super) fn grpc_code(&self) -> u64 {
        match self.status {
            StatusCode::BAD_REQUEST => 3,
            StatusCode::REQUEST_TIMEOUT => 4,
            StatusCode::NOT_FOUND | StatusCode::UNSUPPORTED_MEDIA_TYPE => 12,
            StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => 7,
            StatusCode::PAYLOAD_TOO_LARGE => 8,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => 14,
            _ => 13,
        }
    }

    /// When to try again, in seconds, where that could help.
    pub(super) fn retry_after(&self) -> Option<HeaderValue> {
        let statuses = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        statuses
            .contains(&self.status)
            .then_some(HeaderValue::from_static("1"))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(
            status,
            "handler-rejected",
            "The handler is rejected",
            rejection.to_string(),
        )
    }
}

impl From<placement::Error> for Failure {
    fn from(error: placement::Error) -> Self {
        if let placement::Error::UnknownNode { .. } = error {
            return Self::not_found(error.to_string());
        }
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(
            status,
            "placement-refused",
            "The placement is refused",
            error.to_string(),
        )
    }
}

impl From<queue::Error> for Failure {
    fn from(error: queue::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<traces::Error> for Failure {
    fn from(error: traces::Error) -> Self {
        match error {
            traces::Error::Query { .. } => Self::invalid(error.to_string()),
            traces::Error::Gone(_) => Self::not_found(error.to_string()),
            traces::Error::TooLarge { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "trace-too-large",
                "The trace is too large for this",
                error.to_string(),
            ),
            error => Self::internal(&error),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after();
        let body = serde_json::to_vec(&self.problem).expect("a problem is text and numbers");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status() {
        let table = ErrorCode::ALL.map(|code| {
            let failure = Failure::call(&CallError::new(code, "why"));
            (
                failure.problem.code.clone(),
                failure.status.as_u16(),
                failure.retry_after().is_some(),
            )
        });
        let expected = [
            ("not-found", 404, false),
            ("invalid", 400, false),
            ("rejected", 403, false),
            ("trapped", 502, false),
            ("deadline", 504, false),
            ("cancelled", 503, true),
            ("overloaded", 503, true),
            ("unreachable", 503, true),
            ("internal", 500, false),
        ];
        let expected = expected.map(|(code, status, retry)| (code.to_owned(), status, retry));
        assert_eq!(table, expected);
    }

    #[test]
    fn a_failure_is_a_problem_with_its_pointer_and_its_trace() {
        let error = JsonError {
            pointer: "/0/price".to_owned(),
            message: "expected u32".to_owned(),
        };
        let response = Failure::json(&error, "/args").traced(TraceId(7)).into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let failure = Failure::json(&error, "/args").traced(TraceId(7));
        let json = serde_json::to_value(failure.problem()).unwrap();
        assert_eq!(json["pointer"], "/args/0/price");
        assert_eq!(json["trace_id"], format!("{:032x}", 7));
        assert_eq!(json["code"], "invalid");
    }

    #[test]
    fn what_went_wrong_inside_is_not_told_outside() {
        let failure = Failure::internal(&std::io::Error::other("secret path"));
        assert!(
            !serde_json::to_string(failure.problem())
                .unwrap()
                .contains("secret")
        );
    }
}
