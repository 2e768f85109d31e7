//! `Completion`: what may come next at a place of a query, and what it would replace. Pure.
//!
//! Promises: whatever the text, the place is one of it; what is offered there is what the language takes
//! (`docs/query.md`), names of handlers, nodes, edges and requests as far as they are known. Not here: whether a query
//! is one, which the server says.

use crate::filters::quoted;

/// Offers that are shown.
const MOST: usize = 9;

/// What can come next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the text that an offer replaces.
    pub from: usize,
    pub to: usize,
    pub offers: Vec<Offer>,
}

/// Something that can come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// As it is written, with the space that follows it.
    pub text: String,
    /// What it is, in words; nothing for values.
    pub about: &'static str,
}

/// Names that values are completed from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub handlers: Vec<String>,
    pub nodes: Vec<String>,
    pub edges: Vec<String>,
    pub requests: Vec<String>,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Handler,
    Node,
    Edge,
    Request,
    Text,
    Duration,
    Number,
    Words(&'static [&'static str]),
}

const STATUSES: Kind = Kind::Words(&["ok", "err", "error"]);

const FIELDS: [(&str, Kind, &str); 21] = [
    ("handler", Kind::Handler, "who did it"),
    ("status", STATUSES, "how it ended"),
    ("duration", Kind::Duration, "how long it took"),
    ("name", Kind::Request, "the function or request"),
    ("edge", Kind::Edge, "caller and callee"),
    ("node", Kind::Node, "where"),
    ("peer", Kind::Handler, "the other end of a call"),
    (
        "cold",
        Kind::Words(&["true", "false"]),
        "whether an instance was made for it",
    ),
    (
        "kind",
        Kind::Words(&["server", "client", "internal", "producer", "consumer"]),
        "kind of span",
    ),
    (
        "transport",
        Kind::Words(&["direct", "codec", "uds", "tcp", "quic", "queue"]),
        "the way it went",
    ),
    ("message", Kind::Text, "why it failed"),
    ("log", Kind::Text, "any of its log lines"),
    (
        "placement",
        Kind::Words(&["together", "apart", "groups"]),
        "of the trace",
    ),
    ("root.name", Kind::Request, "the whole request"),
    ("root.handler", Kind::Handler, "who took the request"),
    ("root.duration", Kind::Duration, "of the root"),
    ("root.status", STATUSES, "how the root ended"),
    ("trace.duration", Kind::Duration, "of the whole trace"),
    ("trace.spans", Kind::Number, "how many"),
    ("trace.errors", Kind::Number, "how many failed"),
    (".", Kind::Text, "an attribute: .http.response.status_code"),
];

const EQUAL: [(&str, &str); 2] = [("=", "is"), ("!=", "is not")];
const LIKE: [(&str, &str); 2] = [("=~", "fits a pattern: * and ?"), ("!~", "fits no such pattern")];
const ORDER: [(&str, &str); 4] = [
    (">", "more"),
    (">=", "at least"),
    ("<", "less"),
    ("<=", "at most"),
];

/// What stands before the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before<'a> {
    /// Nothing, or what a condition follows.
    Start,
    Field(&'a str),
    Sign(&'a str),
    Value,
    /// A whole set of spans.
    Set,
    /// What joins two sets.
    Joint,
}

/// What may come at a place of a text; the place is a byte of it.
pub fn complete(text: &str, caret: usize, names: &Names) -> Completion {
    let caret = (0..=caret.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let head = text.get(..caret).unwrap_or_default();
    let (before, from) = read(head);
    let part = head.get(from..).unwrap_or_default();
    let rest = text.get(caret..).unwrap_or_default();
    let to = caret + end_of_word(part, rest);
    let (before, field) = match before {
        Before::Sign(field) => (before, field),
        before => (before, ""),
    };
    let mut offers: Vec<Offer> = match before {
        Before::Start => fields(""),
        Before::Joint => fields("{ "),
        Before::Field(field) => signs(field),
        Before::Sign(_) => values(field, names),
        Before::Value => joints(head.contains('{')),
        Before::Set => offered([
            ("&& ", "and also"),
            ("|| ", "or"),
            (">> ", "above"),
            ("> ", "the parent of"),
        ]),
    };
    let wanted = part.trim_start_matches(['"', '`']).to_lowercase();
    let bare = |offer: &Offer| offer.text.trim_start_matches(['"', '{', ' ']).to_lowercase();
    offers.retain(|offer| bare(offer).contains(&wanted) && offer.text.trim_end() != part);
    // Those that begin so come first, in their order.
    offers.sort_by_key(|offer| !bare(offer).starts_with(&wanted));
    offers.truncate(MOST);
    Completion { from, to, offers }
}

/// The text with an offer taken, and the place after it.
pub fn accept(text: &str, completion: &Completion, offer: &Offer) -> (String, usize) {
    let head = text.get(..completion.from).unwrap_or_default();
    let tail = text.get(completion.to..).unwrap_or_default();
    let offered = if tail.starts_with(' ') {
        offer.text.trim_end()
    } else {
        &offer.text
    };
    (format!("{head}{offered}{tail}"), head.len() + offered.len())
}

/// What stands before the word at the end of a text, and where that word begins.
fn read(head: &str) -> (Before<'_>, usize) {
    let (mut before, mut at, mut braces) = (Before::Start, 0, 0_u32);
    let mut field = "";
    while at < head.len() {
        let rest = head.get(at..).unwrap_or_default();
        let first = rest.chars().next().unwrap_or(' ');
        let length = match first {
            ' ' | '\t' => {
                at += 1;
                continue;
            }
            '"' | '`' => match closing(rest, first) {
                Some(length) => length,
                // The text ends within.
                None => return (before, at),
            },
            _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            _ if SIGNS.contains(first) => rest.find(|c: char| !SIGNS.contains(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let word = rest.get(..length).unwrap_or_default();
        // A word that the text ends with is still being written.
        if at + length == head.len() && (is_of_word(first) || SIGNS.contains(first)) {
            let is_joint =
                matches!(word, "&&" | "||" | ">>") && matches!(before, Before::Value | Before::Set);
            if !is_joint && word != "!" {
                return (before, at);
            }
        }
        at += length;
        before = match (word, before) {
            ("{", _) => {
                braces += 1;
                Before::Start
            }
            ("}", _) => {
                braces = braces.saturating_sub(1);
                Before::Set
            }
            ("(", before) => before,
            (")", before) => before,
            ("!", _) => Before::Start,
            ("&&" | "||" | ">>" | ">", Before::Set) => Before::Joint,
            ("&&" | "||", _) => {
                if braces == 0 && head.contains('{') {
                    Before::Joint
                } else {
                    Before::Start
                }
            }
            (word, Before::Start | Before::Joint) => {
                field = word;
                Before::Field(word)
            }
            (_, Before::Field(_)) => Before::Sign(field),
            (_, Before::Sign(_) | Before::Value | Before::Set) => Before::Value,
        };
    }
    (before, head.len())
}

const SIGNS: &str = "=!<>~&|";

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "_.:-/".contains(c)
}

/// The length of a quoted text; nothing if it does not end.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            char if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// How much of what follows the place belongs to its word.
fn end_of_word(part: &str, rest: &str) -> usize {
    match part.chars().next() {
        Some(quote @ ('"' | '`')) => {
            let length = rest.find(quote).map(|at| at + 1);
            // A quote of another text is none of this one.
            length
                .filter(|length| {
                    !rest
                        .get(..*length)
                        .unwrap_or_default()
                        .contains(['{', '}', '&', '|'])
                })
                .unwrap_or(0)
        }
        Some(first) if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
        Some(_) => rest.find(|c: char| !SIGNS.contains(c)).unwrap_or(rest.len()),
        None => 0,
    }
}

fn kind(field: &str) -> Kind {
    FIELDS
        .iter()
        .find(|(name, ..)| *name == field)
        .map_or(Kind::Text, |(_, kind, _)| *kind)
}

fn fields(open: &str) -> Vec<Offer> {
    let offer = |(name, _, about): &(&str, Kind, &'static str)| Offer {
        // An attribute's key follows the point.
        text: format!("{open}{name}{}", if *name == "." { "" } else { " " }),
        about,
    };
    FIELDS.iter().map(offer).collect()
}

fn signs(field: &str) -> Vec<Offer> {
    let sets: &[&[(&str, &'static str)]] = match kind(field) {
        Kind::Duration | Kind::Number => &[&ORDER, &EQUAL],
        Kind::Words(_) => &[&EQUAL],
        Kind::Text if field.starts_with('.') => &[&EQUAL, &LIKE, &ORDER],
        Kind::Handler | Kind::Node | Kind::Edge | Kind::Request => &[&EQUAL, &LIKE],
        Kind::Text => &[&LIKE, &EQUAL],
    };
    let offer = |(sign, about): &(&str, &'static str)| Offer {
        text: format!("{sign} "),
        about,
    };
    sets.iter().flat_map(|set| set.iter()).map(offer).collect()
}

fn values(field: &str, names: &Names) -> Vec<Offer> {
    let texts: Vec<String> = match kind(field) {
        Kind::Handler => names.handlers.clone(),
        Kind::Node => names.nodes.clone(),
        Kind::Edge => names.edges.iter().map(|name| quoted(name)).collect(),
        Kind::Request => names.requests.iter().map(|name| quoted(name)).collect(),
        Kind::Duration => ["1ms", "5ms", "50ms", "500ms", "1s", "200us"]
            .map(str::to_owned)
            .into(),
        Kind::Number => ["0", "10", "100"].map(str::to_owned).into(),
        Kind::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Kind::Text => Vec::new(),
    };
    texts
        .into_iter()
        .map(|text| Offer {
            text: format!("{text} "),
            about: "",
        })
        .collect()
}

fn joints(has_sets: bool) -> Vec<Offer> {
    let mut joints = offered([("&& ", "and"), ("|| ", "or")]);
    if has_sets {
        joints.extend(offered([("} ", "the end of the condition")]));
    }
    joints
}

fn offered<const N: usize>(list: [(&str, &'static str); N]) -> Vec<Offer> {
    list.map(|(text, about)| Offer {
        text: text.to_owned(),
        about,
    })
    .into()
}

/// The byte of a place that is counted as browsers count.
pub fn byte_of(text: &str, units: usize) -> usize {
    let mut seen = 0;
    for (at, char) in text.char_indices() {
        if seen >= units {
            return at;
        }
        seen += char.len_utf16();
    }
    text.len()
}

/// The same the other way round.
pub fn units_of(text: &str, byte: usize) -> usize {
    text.get(..byte).unwrap_or(text).encode_utf16().count()
}

/// Where a refusal of a query says that it lies (`at character 14: …`), as a byte of the query, and what it says.
pub fn fault<'a>(detail: &'a str, query: &str) -> Option<(usize, &'a str)> {
    let (_, said) = detail.split_once("at character ")?;
    let (at, words) = said.split_once(": ")?;
    let at: usize = at.parse().ok()?;
    let byte = query
        .char_indices()
        .nth(at.checked_sub(1)?)
        .map_or(query.len(), |(byte, _)| byte);
    Some((byte, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            handlers: vec!["cart".into(), "checkout".into()],
            nodes: vec!["home".into()],
            edges: vec!["cart -> state:store".into()],
            requests: vec!["GET /cart".into()],
        }
    }

    /// The offers at the `|`, without their last space.
    fn at(text: &str) -> Vec<String> {
        let caret = text.find('§').unwrap();
        let completion = complete(&text.replace('§', ""), caret, &names());
        completion
            .offers
            .iter()
            .map(|offer| offer.text.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn what_the_language_takes_is_offered() {
        assert_eq!(at("§")[..3], ["handler", "status", "duration"]);
        assert_eq!(at("{ hand§"), ["handler", "root.handler"]);
        assert_eq!(at("{ handler §"), ["=", "!=", "=~", "!~"]);
        assert_eq!(at("{ handler = §"), ["cart", "checkout"]);
        assert_eq!(at("{ handler = ch§"), ["checkout"]);
        assert_eq!(at("{ handler = cart §"), ["&&", "||", "}"]);
        assert_eq!(at("{ handler = cart && sta§"), ["status", "root.status"]);
        assert_eq!(at("{ status = §"), ["ok", "err", "error"]);
        assert_eq!(at("{ handler = cart } §"), ["&&", "||", ">>", ">"]);
        assert_eq!(at("{ handler = cart } && §")[0], "{ handler");
        assert_eq!(at("{ handler = cart } >> §")[0], "{ handler");
        assert_eq!(at("{ edge = \"car§"), ["\"cart -> state:store\""]);
        assert_eq!(at("{ name = §"), ["\"GET /cart\""]);
        assert_eq!(at("duration > 5§"), ["5ms", "50ms", "500ms"]);
        assert_eq!(at("duration §")[..2], [">", ">="]);
        assert_eq!(at("duration > 5ms && ! §")[0], "handler");
        assert_eq!(at("cold = true §"), ["&&", "||"]);
        assert_eq!(at(".http.status §").len(), 8);
        assert_eq!(at("{ log = §"), Vec::<String>::new());
    }

    #[test]
    fn an_offer_takes_the_place_of_the_word_around_the_caret() {
        let take = |text: &str, which: usize| {
            let caret = text.find('§').unwrap();
            let text = text.replace('§', "");
            let completion = complete(&text, caret, &names());
            let (text, at) = accept(&text, &completion, &completion.offers[which]);
            format!("{}§{}", &text[..at], &text[at..])
        };
        assert_eq!(take("{ ha§ndl }", 0), "{ handler§ }");
        assert_eq!(
            take("{ edge = \"ca§rt -> x\" }", 0),
            "{ edge = \"cart -> state:store\"§ }"
        );
        assert_eq!(take("{ status = §", 2), "{ status = error §");
        assert_eq!(take("§", 0), "handler §");
    }

    #[test]
    fn no_text_and_no_place_are_too_odd() {
        for text in [
            "\"",
            "{{{ ) && || = =",
            "ü = ü && \u{1f600} = \"\u{1f600}",
            "a!b<c>d~e",
            "`x",
            "{ a = \"\\",
        ] {
            for caret in 0..=text.len() + 3 {
                let completion = complete(text, caret, &names());
                assert!(
                    completion.from <= completion.to && completion.to <= text.len(),
                    "{text} {caret}"
                );
                assert!(text.is_char_boundary(completion.from) && text.is_char_boundary(completion.to));
                for offer in &completion.offers {
                    accept(text, &completion, offer);
                }
            }
        }
    }

    #[test]
    fn a_fault_is_found_at_its_character() {
        let detail = "read `q`: at character 4: found `5`, expected a duration such as `5ms`";
        assert_eq!(
            fault(detail, "ü > 5"),
            Some((4, "found `5`, expected a duration such as `5ms`"))
        );
        assert_eq!(
            fault("at character 9: found the end", "abc"),
            Some((3, "found the end"))
        );
        assert_eq!(fault("there is no trace", "abc"), None);
        assert_eq!((byte_of("aü\u{1f600}b", 4), units_of("aü\u{1f600}b", 7)), (7, 4));
    }
}
