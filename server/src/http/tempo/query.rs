//! TraceQL, as far as it is answered: one spanset filter, `{ resource.service.name = "cart" && duration > 5ms || … }`.
//!
//! Comparisons, `&&`, `||` and parentheses; `=~` with `|` and `.*` alone; `| select(…)` is read and has no effect. What is
//! not answered (structure, aggregates, metrics) is refused with its name, never answered wrongly.

use super::super::found::{Field, Literal, Op, Scope, Test, go_duration};

/// The longest query, and the deepest.
const BYTES_MAX: usize = 4_096;
const DEPTH_MAX: usize = 32;

/// Reads a query; `None` where everything fits.
pub(super) fn read(text: &str) -> Result<Option<Test>, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("a query has at most {BYTES_MAX} bytes"));
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let inner = text.strip_prefix('{').ok_or("a query begins with `{`")?;
    let mut reader = Reader(inner);
    let test = if reader.takes("}") {
        None
    } else {
        let test = reader.any(0)?;
        if !reader.takes("}") {
            return Err(format!("`}}` is missing before `{}`", reader.near()));
        }
        Some(test)
    };
    let rest = reader.0.trim();
    if rest.is_empty() || (rest.starts_with("| select(") && rest.ends_with(')') && !rest[1..].contains('|')) {
        Ok(test)
    } else {
        Err(format!("`{rest}` is not answered here: write one `{{ … }}`"))
    }
}

struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn takes(&mut self, token: &str) -> bool {
        let trimmed = self.0.trim_start();
        match trimmed.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn near(&self) -> &'a str {
        let text = self.0.trim_start();
        &text[..text.floor_char_boundary(24)]
    }

    fn any(&mut self, depth: usize) -> Result<Test, String> {
        let mut tests = vec![self.all(depth)?];
        while self.takes("||") {
            tests.push(self.all(depth)?);
        }
        Ok(if tests.len() == 1 {
            tests.remove(0)
        } else {
            Test::Any(tests)
        })
    }

    fn all(&mut self, depth: usize) -> Result<Test, String> {
        let mut tests = vec![self.one(depth)?];
        while self.takes("&&") {
            tests.push(self.one(depth)?);
        }
        Ok(if tests.len() == 1 {
            tests.remove(0)
        } else {
            Test::All(tests)
        })
    }

    fn one(&mut self, depth: usize) -> Result<Test, String> {
        if depth > DEPTH_MAX {
            return Err("the query is nested too deeply".to_owned());
        }
        if self.takes("(") {
            let test = self.any(depth + 1)?;
            return match self.takes(")") {
                true => Ok(test),
                false => Err(format!("`)` is missing before `{}`", self.near())),
            };
        }
        // Grafana writes `{ true }` for everything.
        if self.takes("true") {
            return Ok(Test::All(Vec::new()));
        }
        let field = self.field()?;
        let op = [
            ("=~", Op::Like),
            ("!~", Op::Unlike),
            ("!=", Op::Ne),
            (">=", Op::Ge),
            ("<=", Op::Le),
            ("=", Op::Eq),
            (">", Op::Gt),
            ("<", Op::Lt),
        ]
        .into_iter()
        .find_map(|(token, op)| self.takes(token).then_some(op));
        let op = op.ok_or_else(|| format!("a comparison is missing before `{}`", self.near()))?;
        let literal = self.literal()?;
        if let (Op::Like | Op::Unlike, Literal::Text(pattern)) = (op, &literal) {
            let plain = pattern.replace(".*", "");
            if plain.contains(['(', ')', '[', ']', '+', '?', '*', '^', '$', '\\', '{', '}']) {
                return Err(format!(
                    "`{pattern}`: of regular expressions `|` and `.*` alone are answered here"
                ));
            }
        }
        Ok(Test::Is(field, op, literal))
    }

    fn word(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let is_part = |c: char| c.is_alphanumeric() || "._-:/@".contains(c);
        let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }

    fn field(&mut self) -> Result<Field, String> {
        let near = self.near();
        let mut word = self.word().to_owned();
        // A name with other characters is quoted: `span."a b"`.
        if word.ends_with('.') && self.0.starts_with('"') {
            word.push_str(&self.quoted('"')?);
        }
        let field = match word.as_str() {
            "name" | "span:name" => Field::Name,
            "kind" | "span:kind" => Field::Kind,
            "status" | "span:status" => Field::Status,
            "duration" | "span:duration" => Field::DurationNs,
            "rootName" | "trace:rootName" => Field::RootName,
            "rootServiceName" | "trace:rootService" => Field::RootService,
            "traceDuration" | "trace:duration" => Field::TraceDurationNs,
            word => {
                let scopes = [
                    ("span.", Scope::Span),
                    ("resource.", Scope::Resource),
                    (".", Scope::Either),
                ];
                let found = scopes
                    .iter()
                    .find_map(|(prefix, scope)| Some((word.strip_prefix(prefix)?, *scope)));
                match found {
                    Some((key, scope)) if !key.is_empty() => Field::Attribute(scope, key.to_owned()),
                    _ => return Err(format!("`{near}` is no field that is answered here")),
                }
            }
        };
        Ok(field)
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut chars = self.0.char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => text.push(c),
                    None => break,
                },
                c if c == quote => {
                    self.0 = &self.0[at + c.len_utf8()..];
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err("a text has no end".to_owned())
    }

    fn literal(&mut self) -> Result<Literal, String> {
        self.0 = self.0.trim_start();
        if let Some(quote) = ['"', '`'].into_iter().find(|quote| self.0.starts_with(*quote)) {
            return self.quoted(quote).map(Literal::Text);
        }
        let near = self.near();
        let is_negative = self.takes("-");
        let word = self.word();
        let number = word.parse().ok().or_else(|| go_duration(word));
        match number {
            Some(number) => Ok(Literal::Number(if is_negative { -number } else { number })),
            None if word == "nil" => Ok(Literal::Nil),
            None if !word.is_empty() && !is_negative => Ok(Literal::Text(word.to_owned())),
            None => Err(format!("a value is missing before `{near}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(field: Field, op: Op, literal: Literal) -> Test {
        Test::Is(field, op, literal)
    }

    #[test]
    fn queries_of_grafana_are_read() {
        let service = is(
            Field::Attribute(Scope::Resource, "service.name".into()),
            Op::Eq,
            Literal::Text("cart".into()),
        );
        let slow = is(Field::DurationNs, Op::Gt, Literal::Number(5e6));
        let failed = is(Field::Status, Op::Eq, Literal::Text("error".into()));
        for (text, expected) in [
            ("", None),
            ("{}", None),
            ("{ true }", Some(Test::All(vec![]))),
            ("{resource.service.name=\"cart\"}", Some(service.clone())),
            (
                "{resource.service.name=`cart` && duration>5ms} | select(status, span.x)",
                Some(Test::All(vec![service.clone(), slow.clone()])),
            ),
            (
                "{ duration > 5ms && (status = error || resource.service.name = \"cart\") }",
                Some(Test::All(vec![slow, Test::Any(vec![failed, service])])),
            ),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_answered_is_refused() {
        for bad in [
            "cart",
            "{",
            "{ name }",
            "{ name = }",
            "{ name = \"x }",
            "{} | rate()",
            "{} >> {}",
            "{ event:name = \"x\" }",
            "{ name =~ \"a[bc]\" }",
            "{ (name = \"x\" }",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[{}()&|=<>~!a-z.\"`é 0-9\\\\-]{0,60}") {
            let _ = read(&text);
            let _ = read(&format!("{{{text}"));
        }
    }
}
