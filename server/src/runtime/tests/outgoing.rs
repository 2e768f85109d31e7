//! Outgoing HTTP: to the hosts that were granted, up to the call's deadline, and to no others.

use protocol::{Grants, HostGrant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// The place of `HTTP-request-denied` among the cases of `error-code`.
const DENIED: u64 = 15;

/// `wasi:http/types`, as far as sending a request takes it; every case of `error-code` is a part of its type.
const TYPES: &str = r#"(import "wasi:http/types@0.2.0" (instance $types
    (alias outer 1 $pollable (type $outer)) (export "pollable" (type $pollable (eq $outer)))
    (export "fields" (type $fields (sub resource)))
    (export "request-options" (type $options (sub resource)))
    (export "outgoing-request" (type $request (sub resource)))
    (export "incoming-response" (type $response (sub resource)))
    (export "future-incoming-response" (type $future (sub resource)))
    (type $text (option string)) (type $byte (option u8)) (type $half (option u16)) (type $word (option u32))
    (type $long (option u64))
    (type $dns-record (record (field "rcode" $text) (field "info-code" $half)))
    (export "DNS-error-payload" (type $dns (eq $dns-record)))
    (type $tls-record (record (field "alert-id" $byte) (field "alert-message" $text)))
    (export "TLS-alert-received-payload" (type $tls (eq $tls-record)))
    (type $size-record (record (field "field-name" $text) (field "field-size" $word)))
    (export "field-size-payload" (type $size (eq $size-record)))
    (type $maybe-size (option $size))
    (type $codes (variant (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
        (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
        (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
        (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
        (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tls)
        (case "HTTP-request-denied") (case "HTTP-request-length-required") (case "HTTP-request-body-size" $long)
        (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
        (case "HTTP-request-header-section-size" $word) (case "HTTP-request-header-size" $maybe-size)
        (case "HTTP-request-trailer-section-size" $word) (case "HTTP-request-trailer-size" $size)
        (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" $word)
        (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" $long)
        (case "HTTP-response-trailer-section-size" $word) (case "HTTP-response-trailer-size" $size)
        (case "HTTP-response-transfer-coding" $text) (case "HTTP-response-content-coding" $text)
        (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error")
        (case "loop-detected") (case "configuration-error") (case "internal-error" $text)))
    (export "error-code" (type $code (eq $codes)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
    (export "[method]outgoing-request.set-authority"
        (func (param "self" (borrow $request)) (param "authority" $text) (result (result))))
    (export "[method]outgoing-request.set-path-with-query"
        (func (param "self" (borrow $request)) (param "path-with-query" $text) (result (result))))
    (export "[method]incoming-response.status" (func (param "self" (borrow $response)) (result u16)))
    (export "[method]future-incoming-response.subscribe"
        (func (param "self" (borrow $future)) (result (own $pollable))))
    (export "[method]future-incoming-response.get" (func (param "self" (borrow $future))
        (result (option (result (result (own $response) (error $code)))))))))"#;

/// `test:web/web@0.1.0.fetch: func(authority: string) -> u32`: the status of what is answered to a GET, plus 1,000; or the
/// place of the error's case.
fn web() -> Vec<u8> {
    let text = format!(
        r#"(component
        (import "wasi:io/poll@0.2.0" (instance $poll
            (export "pollable" (type $pollable (sub resource)))
            (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
        (alias export $poll "pollable" (type $pollable))
        {TYPES}
        (alias export $types "outgoing-request" (type $request)) (alias export $types "request-options" (type $options))
        (alias export $types "future-incoming-response" (type $future))
        (alias export $types "error-code" (type $code))
        (import "wasi:http/outgoing-handler@0.2.0" (instance $handler
            (alias outer 1 $request (type $r)) (export "outgoing-request" (type $request (eq $r)))
            (alias outer 1 $options (type $o)) (export "request-options" (type $options (eq $o)))
            (alias outer 1 $future (type $f)) (export "future-incoming-response" (type $future (eq $f)))
            (alias outer 1 $code (type $c)) (export "error-code" (type $code (eq $c)))
            (export "handle" (func (param "request" (own $request)) (param "options" (option (own $options)))
                (result (result (own $future) (error $code)))))))
        (core module $Libc (memory (export "memory") 1) (data (i32.const 512) "/orders")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $libc (instantiate $Libc))
        (alias core export $libc "memory" (core memory $memory)) (alias core export $libc "realloc" (core func $realloc))
        (core func $fields (canon lower (func $types "[constructor]fields")))
        (core func $request (canon lower (func $types "[constructor]outgoing-request")))
        (core func $authority (canon lower (func $types "[method]outgoing-request.set-authority")
            (memory $memory) (realloc $realloc)))
        (core func $path (canon lower (func $types "[method]outgoing-request.set-path-with-query")
            (memory $memory) (realloc $realloc)))
        (core func $status (canon lower (func $types "[method]incoming-response.status")))
        (core func $subscribe (canon lower (func $types "[method]future-incoming-response.subscribe")))
        (core func $get (canon lower (func $types "[method]future-incoming-response.get")
            (memory $memory) (realloc $realloc)))
        (core func $block (canon lower (func $poll "[method]pollable.block")))
        (core func $handle (canon lower (func $handler "handle") (memory $memory) (realloc $realloc)))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "fields" (func $fields (result i32)))
            (import "" "request" (func $request (param i32) (result i32)))
            (import "" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
            (import "" "path" (func $path (param i32 i32 i32 i32) (result i32)))
            (import "" "status" (func $status (param i32) (result i32)))
            (import "" "subscribe" (func $subscribe (param i32) (result i32)))
            (import "" "get" (func $get (param i32 i32)))
            (import "" "block" (func $block (param i32)))
            (import "" "handle" (func $handle (param i32 i32 i32 i32)))
            (func (export "fetch") (param $at i32) (param $len i32) (result i32) (local $it i32)
                (local.set $it (call $request (call $fields)))
                (if (call $authority (local.get $it) (i32.const 1) (local.get $at) (local.get $len))
                    (then unreachable))
                (if (call $path (local.get $it) (i32.const 1) (i32.const 512) (i32.const 7)) (then unreachable))
                (call $handle (local.get $it) (i32.const 0) (i32.const 0) (i32.const 2048))
                (if (i32.load8_u (i32.const 2048)) (then (return (i32.load8_u (i32.const 2056)))))
                (local.set $it (i32.load (i32.const 2056)))
                (call $block (call $subscribe (local.get $it)))
                (call $get (local.get $it) (i32.const 2048))
                (if (i32.eqz (i32.load8_u (i32.const 2048))) (then unreachable))
                (if (i32.load8_u (i32.const 2056)) (then unreachable))
                (if (i32.load8_u (i32.const 2064)) (then (return (i32.load8_u (i32.const 2072)))))
                (i32.add (i32.const 1000) (call $status (i32.load (i32.const 2072))))))
        (core instance $c (instantiate $m (with "" (instance
            (export "memory" (memory $memory)) (export "fields" (func $fields)) (export "request" (func $request))
            (export "authority" (func $authority)) (export "path" (func $path)) (export "status" (func $status))
            (export "subscribe" (func $subscribe)) (export "get" (func $get)) (export "block" (func $block))
            (export "handle" (func $handle))))))
        (func $fetch (param "authority" string) (result u32) (canon lift (core func $c "fetch")
            (memory $memory) (realloc $realloc)))
        (instance $i (export "fetch" (func $fetch)))
        (export "test:web/web@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn fetch(authority: &str) -> Call {
    let mut args = Vec::new();
    protocol::value::put_str(&mut args, authority);
    Call {
        args: args.into(),
        ..call("web", "test:web/web@0.1.0", "fetch", 0)
    }
}

fn serve_web(house: &House, hosts: &[String]) {
    let (artifact, _) = house.runtime.compile(&web()).unwrap();
    let terms = Terms {
        grants: Grants {
            hosts: hosts.iter().map(|host| HostGrant::parse(host).unwrap()).collect(),
            ..Grants::default()
        },
        ..Terms::default()
    };
    house.runtime.deploy(&name("web"), &artifact, terms).unwrap();
}

/// Somebody who takes connections; where, and how many.
async fn somebody(answer: Option<&'static str>, tasks: &Tasks) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&asked);
    tasks.spawn("somebody", async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let len = stream.read(&mut head).await.unwrap();
            heard
                .lock()
                .unwrap()
                .push(String::from_utf8_lossy(&head[..len]).into_owned());
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            held.push(stream);
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_request_goes_to_a_granted_host_and_to_no_other() {
    let tasks = Tasks::new();
    let answer = Some("HTTP/1.1 204 No Content\r\n\r\n");
    let (granted, asked) = somebody(answer, &tasks).await;
    let (other, unasked) = somebody(answer, &tasks).await;
    let mut house = House::alone();
    serve_web(&house, std::slice::from_ref(&granted));
    assert_eq!(house.value(fetch(&granted)).await, number(1_204));
    let head = asked.lock().unwrap().remove(0);
    assert!(head.starts_with("GET /orders HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {granted}")), "{head}");
    assert_eq!(house.value(sampled(fetch(&other))).await, number(DENIED));
    let span = house.spans.recv().await.unwrap();
    let told = &span.logs[0].message;
    assert!(
        told.contains(&other) && told.contains("`hosts` under [handler.web]"),
        "{told}"
    );
    // By default nobody is reached.
    serve_web(&house, &[]);
    assert_eq!(house.value(fetch(&granted)).await, number(DENIED));
    assert!(unasked.lock().unwrap().is_empty() && asked.lock().unwrap().is_empty());
    tasks.cancel();
}

#[tokio::test]
async fn a_request_that_is_not_answered_ends_with_its_call() {
    let tasks = Tasks::new();
    let (silent, asked) = somebody(None, &tasks).await;
    let house = House::alone();
    serve_web(&house, std::slice::from_ref(&silent));
    // Long enough to ask on a busy machine.
    let error = house
        .call(until(fetch(&silent), Duration::from_secs(3)))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline, "{error}");
    assert_eq!(asked.lock().unwrap().len(), 1);
    tasks.cancel();
}
