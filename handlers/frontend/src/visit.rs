//! Who is looking: the session and the currency, as two cookies.
//!
//! A session id is random and says nothing about anybody. A cookie that is not well formed counts as missing.

use sdk::Random;
use sdk::http::{Request, Response};
use shop::SHOP_CURRENCY;

const SESSION_BYTES: usize = 16;
/// Half a year, in seconds.
const REMEMBERED_SECONDS: u32 = 15_768_000;

pub(crate) struct Visit {
    pub(crate) session: String,
    pub(crate) currency: String,
    /// Where a form that comes back to the same page sends its visitor.
    pub(crate) here: String,
    is_new: bool,
}

impl Visit {
    pub(crate) fn of(request: &Request, random: &impl Random) -> Self {
        let known = request
            .cookie("session")
            .filter(|id| is_session(id))
            .map(str::to_owned);
        let here = match (request.method.as_str(), request.query.as_str()) {
            ("GET", "") => request.path.clone(),
            ("GET", query) => format!("{}?{query}", request.path),
            _ => "/".to_owned(),
        };
        Self {
            is_new: known.is_none(),
            session: known.unwrap_or_else(|| random.random_hex(SESSION_BYTES)),
            currency: request
                .cookie("currency")
                .filter(|code| is_currency(code))
                .unwrap_or(SHOP_CURRENCY)
                .to_owned(),
            here,
        }
    }

    /// Gives a new visitor the cookie to come back with.
    pub(crate) fn remember(&self, response: Response) -> Response {
        if self.is_new {
            response.with_header("set-cookie", cookie("session", &self.session))
        } else {
            response
        }
    }
}

/// A cookie that only this shop gets, and no script.
pub(crate) fn cookie(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age={REMEMBERED_SECONDS}; HttpOnly; SameSite=Lax")
}

pub(crate) fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_session(id: &str) -> bool {
    matches!(id.len(), 1..=64)
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
