//! Who answers, and which headers cross.

use super::*;

fn root() -> HandlerName {
    HandlerName::parse("frontend").unwrap()
}

fn at(path: &str) -> Result<Target, u16> {
    target(&path.parse().unwrap(), &root()).map_err(|failure| failure.status().as_u16())
}

#[test]
fn the_root_answers_all_but_other_handlers_paths() {
    let root = |path: &str| {
        Ok(Target::Handler {
            name: root(),
            path: path.to_owned(),
        })
    };
    assert_eq!(at("/"), root("/"));
    assert_eq!(at("/cart?x=1"), root("/cart?x=1"));
    assert_eq!(at("http://shop.example/cart"), root("/cart"));
    assert_eq!(at("*"), root("/"));
}

#[test]
fn a_handler_answers_below_its_name() {
    let hello = HandlerName::parse("hello").unwrap();
    let to = |path: &str| {
        Ok(Target::Handler {
            name: hello.clone(),
            path: path.to_owned(),
        })
    };
    assert_eq!(at("/~hello/"), to("/"));
    assert_eq!(at("/~hello/a/b?c=d"), to("/a/b?c=d"));
    assert_eq!(at("/~hello"), Ok(Target::Redirect("/~hello/".to_owned())));
    assert_eq!(at("/~hello?x=1"), Ok(Target::Redirect("/~hello/?x=1".to_owned())));
    for nobody in ["/~", "/~Hello/", "/~state/", "/~queue/x", "/~a.b/"] {
        assert_eq!(at(nobody), Err(404), "{nobody}");
    }
}

#[test]
fn headers_of_the_connection_stay_behind() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "keep-alive, X-Private"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("cookie", "session=1"),
        ("accept", "text/html"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut names: Vec<String> = kept(&headers).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["accept", "cookie"]);
}

#[test]
fn an_answer_keeps_its_headers_and_gets_its_own_length() {
    let header = |name: &str, value: &'static str| (name.to_owned(), Bytes::from_static(value.as_bytes()));
    let mut answer = exchange::Response {
        status: 200,
        headers: vec![
            header("Set-Cookie", "a=1"),
            header("set-cookie", "b=2"),
            header("content-length", "999"),
            header("connection", "close"),
        ],
        body: Bytes::from_static(b"hello"),
    };
    let response = passed_on(&answer, false).unwrap();
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
    assert!(!response.headers().contains_key(CONNECTION));
    answer.body = Bytes::new();
    assert_eq!(passed_on(&answer, true).unwrap().headers()[CONTENT_LENGTH], "999");
    for status in [0, 99, 101, 1000] {
        answer.status = status;
        assert!(passed_on(&answer, false).is_err(), "{status}");
    }
    answer.status = 200;
    answer.headers = vec![header("x", "a\r\nset-cookie: b")];
    assert!(passed_on(&answer, false).is_err());
}

#[test]
fn text_is_cut_at_a_character() {
    assert_eq!(cut("héllo", 2), "h");
    assert_eq!(cut("hello", 99), "hello");
}
