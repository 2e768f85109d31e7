//! Pages that could not be made: what happened, who failed, and the way back.

use sdk::CallError;
use sdk::http::Response;

use crate::Neighbours;
use crate::markup::escape;
use crate::visit::Visit;

#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for does not exist.
    NotFound(String),
    /// The request makes no sense.
    Invalid(String),
    /// The page exists, but not for this method; these are its methods.
    Method(&'static str),
    /// A handler that the page needs did not answer.
    Silent(&'static str, CallError),
    /// A handler answered, but could not do its work.
    Broken(&'static str, String),
}

/// A short page. It asks no other handler: those may be the ones that fail.
pub(crate) fn failure(world: &impl Neighbours, visit: &Visit, failure: &Failure) -> Response {
    let (status, title, text, handler) = match failure {
        Failure::NotFound(what) => (404, "Not found", format!("{what}."), None),
        Failure::Invalid(why) => (422, "That did not work", format!("{why}."), None),
        Failure::Method(allowed) => (
            405,
            "Not like that",
            format!("This address takes {allowed}."),
            None,
        ),
        Failure::Silent(handler, error) => {
            let again = if error.retryable {
                " Please try again in a moment."
            } else {
                ""
            };
            (
                502,
                "We are missing a colleague",
                format!("The {handler} handler does not answer.{again}"),
                Some(*handler),
            )
        }
        Failure::Broken(handler, why) => (
            502,
            "We are missing a colleague",
            format!("The {handler} handler reports: {why}."),
            Some(*handler),
        ),
    };
    if let Failure::Silent(_, error) = failure {
        world.error(&format!("no page: {}", error.message));
    }
    let hook = handler
        .map(|name| format!(" data-handler=\"{}\"", escape(name)))
        .unwrap_or_default();
    let detail = match failure {
        Failure::Silent(_, error) => {
            format!("<p class=\"detail\"><code>{}</code></p>", escape(&error.message))
        }
        _ => String::new(),
    };
    let (text, here) = (escape(&text), escape(&visit.here));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} · Tern &amp; Thimble</title>\
         <link rel=\"stylesheet\" href=\"/style.css\"></head><body><main id=\"main\" class=\"failure\">\
         <img src=\"/pictures/tern.svg\" alt=\"\" width=\"96\" height=\"96\">\
         <h1>{title}</h1><p id=\"failure\" data-status=\"{status}\"{hook}>{text}</p>{detail}\
         <p><a class=\"button\" href=\"{here}\">Try again</a> <a href=\"/\">To the shop window</a></p>\
         </main></body></html>\n"
    );
    let response = Response::html(status, page);
    if let Failure::Method(allowed) = failure {
        response.with_header("allow", *allowed)
    } else {
        response
    }
}
