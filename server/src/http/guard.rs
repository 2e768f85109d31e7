//! Who may talk to the UI's port. Any web page can send requests to loopback, and DNS rebinding makes them same-origin,
//! so: every request carries a loopback `Host` with our port (421), a request that could change something and has an
//! `Origin` has ours (403), and a body is JSON or WASM, which no form can send (415).

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::error::Failure;

/// What JSON is sent as.
pub(super) const JSON: &str = "application/json";
/// What components are sent as.
pub(super) const WASM: &str = "application/wasm";

/// Lets a request pass, or answers in its place. Answers carry `nosniff`.
pub(super) async fn guard(State(port): State<u16>, request: Request, next: Next) -> Response {
    let checked = check(request.method(), request.uri(), request.headers(), port);
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert("x-content-type-options", nosniff);
    response
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap, port: u16) -> Result<(), Failure> {
    check_host(uri, headers, port)?;
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    for origin in headers.get_all(ORIGIN) {
        let ours = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://"));
        if !ours.is_some_and(|authority| is_ours(authority, port)) {
            let detail = format!(
                "the page of {origin:?} may not change anything here; use Cleave's own pages or the API"
            );
            return Err(Failure::origin_not_allowed(detail));
        }
    }
    check_content_type(method, headers)
}

/// Whether a request may talk to the OTLP doors: a loopback `Host`, which HTTP/2 has as the authority, and no page of any
/// site.
pub(super) fn check_otlp(uri: &Uri, headers: &HeaderMap, port: u16) -> Result<(), Failure> {
    if let Some(origin) = headers.get(ORIGIN) {
        let detail = format!("the page of {origin:?} may not send spans here; send them from a program");
        return Err(Failure::origin_not_allowed(detail));
    }
    match uri.authority() {
        Some(authority) if !headers.contains_key(HOST) => match is_ours(authority.as_str(), port) {
            true => Ok(()),
            false => Err(Failure::host_not_allowed(format!(
                "this is not `{authority}`; send to 127.0.0.1:{port}"
            ))),
        },
        _ => check_host(uri, headers, port),
    }
}

fn check_host(uri: &Uri, headers: &HeaderMap, port: u16) -> Result<(), Failure> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        _ => {
            return Err(Failure::host_not_allowed(
                "send one `Host` header, as `Host: 127.0.0.1:PORT`",
            ));
        }
    };
    let authorities = host
        .to_str()
        .ok()
        .into_iter()
        .chain(uri.authority().map(Authority::as_str));
    let mut count = 0;
    for authority in authorities {
        count += 1;
        if !is_ours(authority, port) {
            return Err(foreign_host(host, port));
        }
    }
    if count == 0 {
        Err(foreign_host(host, port))
    } else {
        Ok(())
    }
}

fn foreign_host(host: &HeaderValue, port: u16) -> Failure {
    Failure::host_not_allowed(format!("this is not {host:?}; open http://127.0.0.1:{port}"))
}

/// Whether `host:port` names this machine's loopback and our port.
fn is_ours(authority: &str, port: u16) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else {
        return false;
    };
    // Without a port, it is HTTP's own.
    if parsed.port_u16().unwrap_or(80) != port || authority.contains('@') {
        return false;
    }
    let host = parsed.host();
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn check_content_type(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0");
    if *method == Method::DELETE && !has_body {
        return Ok(());
    }
    if is_of(headers, JSON) || is_of(headers, WASM) {
        return Ok(());
    }
    let detail = format!("send `Content-Type: {JSON}`, or `{WASM}` for a handler");
    Err(Failure::unsupported_media_type(detail))
}

/// Whether the body is of a media type, whatever its parameters.
pub(super) fn is_of(headers: &HeaderMap, media_type: &str) -> bool {
    let Some(Ok(given)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    given
        .split(';')
        .next()
        .is_some_and(|given| given.trim().eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let uri = Uri::from_static("/api/v1/status");
        check(&method, &uri, &map, 7070).map_or_else(|failure| failure.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_loopback_with_our_port_is_our_host() {
        for ours in [
            "127.0.0.1:7070",
            "localhost:7070",
            "LOCALHOST:7070",
            "[::1]:7070",
            "127.0.0.2:7070",
        ] {
            assert_eq!(status(Method::GET, &[("host", ours)]), 200, "{ours}");
        }
        for foreign in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost",
            "evil.example:7070",
            "evil.example",
            "localhost.evil.example:7070",
            "127.0.0.1.evil.example:7070",
            "evil@127.0.0.1:7070",
            "192.168.1.1:7070",
            "[::2]:7070",
            "",
        ] {
            assert_eq!(status(Method::GET, &[("host", foreign)]), 421, "{foreign}");
        }
        assert_eq!(status(Method::GET, &[]), 421);
        assert_eq!(
            status(
                Method::GET,
                &[("host", "127.0.0.1:7070"), ("host", "127.0.0.1:7070")]
            ),
            421
        );
        assert!(is_ours("localhost", 80));
    }

    #[test]
    fn an_absolute_uri_must_be_ours_too() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("127.0.0.1:7070"));
        let uri = Uri::from_static("http://evil.example/api/v1/status");
        assert!(check(&Method::GET, &uri, &headers, 7070).is_err());
    }

    #[test]
    fn another_site_s_page_changes_nothing() {
        let host = ("host", "127.0.0.1:7070");
        let json = ("content-type", "application/json");
        for origin in [
            "http://127.0.0.1:7070",
            "http://localhost:7070",
            "http://[::1]:7070",
        ] {
            assert_eq!(
                status(Method::PUT, &[host, json, ("origin", origin)]),
                200,
                "{origin}"
            );
        }
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:8080",
            "https://127.0.0.1:7070",
            "",
        ] {
            assert_eq!(
                status(Method::PUT, &[host, json, ("origin", origin)]),
                403,
                "{origin}"
            );
            assert_eq!(
                status(Method::DELETE, &[host, ("origin", origin)]),
                403,
                "{origin}"
            );
            assert_eq!(
                status(Method::OPTIONS, &[host, ("origin", origin)]),
                403,
                "{origin}"
            );
        }
        assert_eq!(
            status(Method::GET, &[host, ("origin", "http://evil.example")]),
            200
        );
    }

    #[test]
    fn no_form_can_write() {
        let host = ("host", "127.0.0.1:7070");
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/WASM",
        ] {
            assert_eq!(
                status(Method::POST, &[host, ("content-type", good)]),
                200,
                "{good}"
            );
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonx",
        ] {
            assert_eq!(status(Method::POST, &[host, ("content-type", bad)]), 415, "{bad}");
        }
        assert_eq!(status(Method::PUT, &[host]), 415);
        assert_eq!(status(Method::DELETE, &[host]), 200);
        assert_eq!(status(Method::DELETE, &[host, ("content-length", "3")]), 415);
    }
}
