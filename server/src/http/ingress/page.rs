//! How a failure at the ingress looks: a small page for people, a problem for programs.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::Full;

use crate::http::error::{Failure, PROBLEM_JSON};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:12vh auto;max-width:36rem;padding:0 1.5rem;\
color:#1f2430;background:#fbfaf8}small,code{color:#5c6370;word-break:break-all}h1{font-size:1.5rem}a{color:inherit}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181d}small,code{color:#9aa1ad}}";

/// Whether a client reads JSON rather than pages.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .collect();
    let has = |media_type: &str| accepted.iter().any(|accept| accept.contains(media_type));
    !has("text/html") && (has("application/json") || has(PROBLEM_JSON))
}

/// For programs.
pub(super) fn problem(failure: &Failure) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(failure.problem()).expect("a problem is text and numbers");
    response(failure, PROBLEM_JSON, body)
}

/// For people; `trace` is where the request's trace can be seen.
pub(super) fn page(failure: &Failure, trace: &str) -> Response<Full<Bytes>> {
    let problem = failure.problem();
    let title = escape(&problem.title);
    let trace_id = problem.trace_id.map(|id| id.to_string()).unwrap_or_default();
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1><p>{}</p>\
         <p><small>{} {} · trace <a href=\"{}\">{trace_id}</a></small></p></body></html>\n",
        escape(&problem.detail),
        problem.status,
        escape(&problem.code),
        escape(trace),
    );
    let mut response = response(failure, "text/html; charset=utf-8", html.into_bytes());
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn response(failure: &Failure, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = failure.status();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Text as it stands in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_json_gets_a_problem() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            wants_json(&headers)
        };
        assert!(wants("application/json"));
        assert!(wants("application/problem+json, */*"));
        assert!(!wants("text/html,application/json;q=0.9"));
        assert!(!wants("*/*"));
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[test]
    fn what_a_handler_says_is_shown_as_text() {
        let failure = Failure::bad_answer("<script>alert('x')</script>");
        let page = page(&failure, "http://127.0.0.1:7070/traces/1");
        assert_eq!(escape("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
        assert_eq!(page.status(), failure.status());
    }
}
