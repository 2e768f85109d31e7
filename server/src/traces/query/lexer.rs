//! A query's words: signs, names, texts, numbers and durations, each with its place.

use super::Fault;

/// Units of durations, in ns, the largest first.
pub(super) const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIGNS: [&str; 16] = [
    "&&", "||", ">>", ">=", "<=", "!=", "!~", "=~", "==", "{", "}", "(", ")", "=", "<", ">",
];

/// A word of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Sign(&'static str),
    Name(String),
    Text(String),
    Int(i64),
    Float(f64),
    Duration(u64),
    /// The end of the query.
    End,
}

impl Token {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Sign(sign) => format!("`{sign}`"),
            Self::Name(name) => format!("`{name}`"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Int(number) => format!("`{number}`"),
            Self::Float(number) => format!("`{number}`"),
            Self::Duration(ns) => format!("the duration {ns}ns"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// All words with their places, characters from 1; the last is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start();
        let at = text[..text.len() - rest.len()].chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            tokens.push((at, Token::End));
            return Ok(tokens);
        };
        let (token, left) = if first == '"' || first == '`' {
            quoted(rest, first, at)?
        } else if first.is_ascii_digit()
            || (first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(rest, at)?
        } else if is_of_name(first) {
            name(rest, at)?
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            let shown = if sign == "==" { "=" } else { sign };
            (Token::Sign(shown), &rest[sign.len()..])
        } else if first == '!' {
            (Token::Sign("!"), &rest[1..])
        } else {
            return Err(Fault {
                at,
                found: format!("`{first}`"),
                expected: "a name, a value, or one of `{ } ( ) && || ! = != =~ !~ < <= > >= >>`".to_owned(),
            });
        };
        tokens.push((at, token));
        rest = left;
    }
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '.' | ':' | '/' | '@' | '*' | '?')
}

/// A name; a part of it may be quoted, as in `attr."key with blanks"`.
fn name(text: &str, at: usize) -> Result<(Token, &str), Fault> {
    let end = text
        .find(|char| !is_of_name(char) && char != '-')
        .unwrap_or(text.len());
    let (plain, rest) = text.split_at(end);
    if plain.ends_with('.') && rest.starts_with('"') {
        let (key, rest) = quoted(rest, '"', at + plain.chars().count())?;
        if let Token::Text(key) = key {
            return Ok((Token::Name(format!("{plain}{key}")), rest));
        }
    }
    Ok((Token::Name(plain.to_owned()), rest))
}

fn quoted(text: &str, quote: char, at: usize) -> Result<(Token, &str), Fault> {
    let mut read = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((place, char)) = chars.next() {
        if char == quote {
            return Ok((Token::Text(read), &text[place + 1..]));
        }
        if char != '\\' || quote == '`' {
            read.push(char);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => read.push('\n'),
            Some((_, 't')) => read.push('\t'),
            Some((_, char @ ('"' | '\\'))) => read.push(char),
            Some((place, other)) => {
                return Err(Fault {
                    at: at + text[..place].chars().count(),
                    found: format!("`\\{other}`"),
                    expected: "one of `\\\"`, `\\\\`, `\\n`, `\\t`".to_owned(),
                });
            }
            None => break,
        }
    }
    Err(Fault {
        at: at + text.chars().count(),
        found: "the end".to_owned(),
        expected: format!("`{quote}`, which ends the text that begins at character {at}"),
    })
}

/// A number, or a duration with its unit behind.
fn number(text: &str, at: usize) -> Result<(Token, &str), Fault> {
    let digits = text
        .find(|char: char| !char.is_ascii_digit() && char != '.' && char != '-')
        .unwrap_or(text.len());
    let (mut plain, mut rest) = text.split_at(digits);
    // A power of ten, as a small or large fraction is printed.
    if let Some(power) = rest.strip_prefix('e') {
        let end = power
            .find(|char: char| !char.is_ascii_digit() && char != '-')
            .unwrap_or(power.len());
        (plain, rest) = text.split_at(digits + 1 + end);
    }
    let end = rest
        .find(|char: char| !char.is_alphanumeric())
        .unwrap_or(rest.len());
    let (unit, left) = rest.split_at(end);
    let fault = |expected: &str| Fault {
        at,
        found: format!("`{plain}{unit}`"),
        expected: expected.to_owned(),
    };
    let unit = if unit == "µs" { "us" } else { unit };
    if unit.is_empty() {
        if let Ok(number) = plain.parse() {
            return Ok((Token::Int(number), left));
        }
        let number = plain.parse().ok().filter(|number: &f64| number.is_finite());
        return match number {
            Some(number) => Ok((Token::Float(number), left)),
            None => Err(fault("a number such as `200` or `0.5`")),
        };
    }
    let size = UNITS
        .iter()
        .find(|(known, _)| *known == unit)
        .map(|(_, size)| *size);
    let size = size.ok_or_else(|| fault("a number, or a duration with `ns`, `us`, `ms`, `s`, `m` or `h`"))?;
    let whole = plain
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(size));
    let duration = whole.or_else(|| {
        let ns = plain.parse::<f64>().ok()? * size as f64;
        (0.0..1e19).contains(&ns).then_some(ns as u64)
    });
    match duration {
        Some(ns) => Ok((Token::Duration(ns), left)),
        None => Err(fault(
            "a duration such as `5ms` or `1.5s`, at most some centuries",
        )),
    }
}
