//! A visitor of the shop: a browser without scripts, which keeps cookies and follows no redirect by itself.

use std::collections::BTreeMap;

use http::Method;

use super::client::{Answer, Client, Req};

/// One visitor.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    ingress: Client,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn new(ingress: &Client) -> Self {
        Self {
            ingress: ingress.clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// The same visitor at another address, as after a restart.
    pub(crate) fn at(&self, ingress: &Client) -> Self {
        Self {
            ingress: ingress.clone(),
            cookies: self.cookies.clone(),
        }
    }

    /// The same visitor's visit, sent over; fails only if no whole answer came.
    pub(crate) fn try_visit(
        &mut self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let mut request = Req::new(method.clone(), path);
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header("cookie", &pairs.join("; "));
        }
        if method == Method::POST {
            request = request.body("application/x-www-form-urlencoded", encode(form));
        }
        let answer = self.ingress.try_send(request)?;
        for line in answer.headers.get_all("set-cookie") {
            let pair = line
                .to_str()
                .unwrap_or_default()
                .split(';')
                .next()
                .unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.try_visit(Method::GET, path, &[])
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_visit(Method::POST, path, form)
            .unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// A page that must come.
    #[track_caller]
    pub(crate) fn page(&mut self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status.as_u16(), 200, "GET {path}: {}", answer.text());
        answer.text()
    }

    #[track_caller]
    pub(crate) fn add(&mut self, product: &str, quantity: u32) {
        let answer = self.post(
            "/cart",
            &[("product_id", product), ("quantity", &quantity.to_string())],
        );
        assert_eq!(answer.status.as_u16(), 303, "{}", answer.text());
        assert_eq!(answer.header("location"), "/cart");
    }

    /// Buys what is in the cart and returns the page of thanks.
    #[track_caller]
    pub(crate) fn check_out(&mut self) -> String {
        let answer = self.post("/cart/checkout", &card_form("robin@harbour.example"));
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        let page = answer.text();
        assert!(
            between(&page, "id=\"order-id\">", "<").starts_with("ORD-"),
            "{page}"
        );
        page
    }

    /// Puts one thing into the cart and buys it.
    #[track_caller]
    pub(crate) fn buy_something(&mut self) -> String {
        let product = between(&self.page("/"), "data-product=\"", "\"").to_owned();
        self.add(&product, 1);
        self.check_out()
    }
}

/// The fields of the checkout's form.
pub(crate) fn card_form(email: &str) -> [(&'static str, &str); 10] {
    [
        ("email", email),
        ("name", "Robin Thimble"),
        ("street", "3 Ferry Steps"),
        ("postcode", "4021"),
        ("city", "Ternhaven"),
        ("country", "Norway"),
        ("card_number", "4539 1488 0343 6467"),
        ("card_month", "1"),
        ("card_year", "2039"),
        ("card_code", "672"),
    ]
}

/// What stands between two marks; empty if the first is not there.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(start) else {
        return "";
    };
    rest.split(end).next().unwrap_or_default()
}

fn encode(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let bytes = text.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        });
        bytes.collect::<String>()
    };
    let pairs: Vec<_> = form
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}
