//! Session: one virtual user: its number, cookies and connection. A user does one operation at a time.

use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

use crate::client::Connection;

/// Cookies that one user keeps; a server that sets more names is beyond what a mix needs.
const COOKIES_MAX: usize = 32;

/// One virtual user.
#[derive(Debug)]
pub struct Session {
    /// Its number, unique within a run.
    pub id: u64,
    /// Its connection, if one is open.
    pub connection: Option<Connection>,
    /// The last answer's body; kept to reuse its memory.
    pub body: Vec<u8>,
    cookies: Vec<(String, String)>,
    header: Option<HeaderValue>,
}

impl Session {
    /// A new user without cookies.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            connection: None,
            body: Vec::new(),
            cookies: Vec::new(),
            header: None,
        }
    }

    /// Adds the user's cookies to a request.
    pub fn sign(&self, headers: &mut HeaderMap) {
        if let Some(header) = &self.header {
            headers.insert(COOKIE, header.clone());
        }
    }

    /// Takes the cookies that an answer sets. Attributes other than an expiry in the past do not matter to a user of
    /// one host.
    pub fn accept(&mut self, headers: &HeaderMap) {
        let mut changed = false;
        for value in headers.get_all(SET_COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            changed |= self.set_cookie(text);
        }
        if changed {
            let text = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("; ");
            self.header = if text.is_empty() {
                None
            } else {
                HeaderValue::from_str(&text).ok()
            };
        }
    }

    fn set_cookie(&mut self, text: &str) -> bool {
        let mut parts = text.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return false;
        };
        let ends = parts.any(|attribute| {
            attribute.split_once('=').is_some_and(|(key, age)| {
                key.eq_ignore_ascii_case("max-age") && age.trim().parse::<i64>().is_ok_and(|age| age <= 0)
            })
        });
        let known = self.cookies.iter().position(|(known, _)| known == name);
        match (known, ends) {
            (Some(at), true) => {
                self.cookies.remove(at);
            }
            (Some(at), false) if self.cookies[at].1 == value => return false,
            (Some(at), false) => value.clone_into(&mut self.cookies[at].1),
            (None, false) if self.cookies.len() < COOKIES_MAX => {
                self.cookies.push((name.to_owned(), value.to_owned()))
            }
            (None, _) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cookies: &[&str]) -> HeaderMap {
        cookies
            .iter()
            .map(|cookie| (SET_COOKIE, HeaderValue::from_str(cookie).unwrap()))
            .collect()
    }

    fn sent(session: &Session) -> Option<String> {
        let mut headers = HeaderMap::new();
        session.sign(&mut headers);
        headers
            .get(COOKIE)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_are_kept_changed_and_dropped() {
        let mut session = Session::new(1);
        assert_eq!(sent(&session), None);
        session.accept(&answer(&["session=abc; Path=/; HttpOnly", "currency=EUR"]));
        assert_eq!(sent(&session).as_deref(), Some("session=abc; currency=EUR"));
        session.accept(&answer(&["currency=JPY"]));
        assert_eq!(sent(&session).as_deref(), Some("session=abc; currency=JPY"));
        session.accept(&answer(&["session=; Max-Age=0"]));
        assert_eq!(sent(&session).as_deref(), Some("currency=JPY"));
    }

    #[test]
    fn the_number_of_cookies_has_a_limit() {
        let mut session = Session::new(1);
        let many: Vec<String> = (0..100).map(|index| format!("c{index}=1")).collect();
        session.accept(&answer(&many.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(session.cookies.len(), COOKIES_MAX);
    }
}
