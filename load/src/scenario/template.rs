//! Template: text with `{variables}`, parsed once and filled in for every request.
//!
//! `{{` and `}}` stand for braces. `{session}` is the number of the virtual user; all other names are the scenario's
//! variables. What is filled in is encoded for the place where it goes; the text around it is sent as written.

/// Where a template's values go, which decides how they are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A path: everything but unreserved characters is percent-encoded.
    Path,
    /// A form value: as in a path, and the text around the variables is encoded too, with `+` for a space.
    Form,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(usize),
    Session,
}

/// The built-in variable: the number of the virtual user.
pub const SESSION: &str = "session";

impl Template {
    /// Parses `text`; `names` are the scenario's variables. The error names the fault and the remedy.
    pub fn parse(text: &str, names: &[String]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = tail.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some(after) = tail.strip_prefix('{') {
                let Some((name, after)) = after.split_once('}') else {
                    return Err(format!(
                        "`{text}` opens a brace that it does not close; write `{{{{` for a brace"
                    ));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Self::variable(name, names)?);
                rest = after;
            } else {
                return Err(format!(
                    "`{text}` closes a brace that it did not open; write `}}}}` for a brace"
                ));
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    fn variable(name: &str, names: &[String]) -> Result<Part, String> {
        if name == SESSION {
            return Ok(Part::Session);
        }
        if let Some(index) = names.iter().position(|known| known == name) {
            return Ok(Part::Variable(index));
        }
        let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
        known.push(SESSION);
        Err(format!(
            "`{{{name}}}` is not a variable; {}",
            super::hint(name, &known)
        ))
    }

    /// Appends the text to `out`; `value` gives the value of a variable.
    pub fn render<'v>(&self, place: Place, session: u64, value: impl Fn(usize) -> &'v str, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) if place == Place::Path => out.push_str(text),
                Part::Text(text) => encode(text, place, out),
                Part::Variable(index) => encode(value(*index), place, out),
                Part::Session => out.push_str(&session.to_string()),
            }
        }
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub fn encode(text: &str, place: Place, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' if place == Place::Form => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, place: Place) -> String {
        let template = Template::parse(text, &["product".to_owned()]).unwrap();
        let mut out = String::new();
        template.render(place, 7, |_| "a/b c", &mut out);
        out
    }

    #[test]
    fn values_are_encoded_for_their_place() {
        assert_eq!(
            render("/product/{product}?q=1", Place::Path),
            "/product/a%2Fb%20c?q=1"
        );
        assert_eq!(render("x {product}&{session}", Place::Form), "x+a%2Fb+c%267");
    }

    #[test]
    fn doubled_braces_are_braces() {
        assert_eq!(render("/{{{session}}}", Place::Path), "/{7}");
    }

    #[test]
    fn faults_are_named() {
        let names = ["product".to_owned()];
        let error = Template::parse("/{produkt}", &names).unwrap_err();
        assert!(
            error.contains("`{produkt}`") && error.contains("`product`"),
            "{error}"
        );
        assert!(
            Template::parse("/{product", &names)
                .unwrap_err()
                .contains("does not close")
        );
        assert!(
            Template::parse("/product}", &names)
                .unwrap_err()
                .contains("did not open")
        );
    }
}
