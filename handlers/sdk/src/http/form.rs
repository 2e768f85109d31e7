//! Forms and queries: fields in the encoding that browsers use. What is malformed is taken literally, never refused.

/// Named fields, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=1&b=two+words`.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (field(k), field(v)))
                .collect(),
        )
    }

    /// The first field of this name, without blanks around it; empty if it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.trim())
    }

    /// A field as number, if it is one.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.get(name).parse().ok()
    }
}

fn field(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// Replaces `%41` by `A`. Bytes that are not UTF-8 become replacement characters.
pub fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        match (first, after) {
            (b'%', &[high, low, ref tail @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    out.push(high * 16 + low);
                    rest = tail;
                }
                _ => {
                    out.push(first);
                    rest = after;
                }
            },
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Makes a text fit for one part of a path or query.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let form = Form::parse("product_id=storm-kettle&quantity=2&name=Ada+L%C3%B6vl%26ce&empty=&bare");
        assert_eq!(form.get("product_id"), "storm-kettle");
        assert_eq!(form.number("quantity"), Some(2_u32));
        assert_eq!(form.get("name"), "Ada Lövl&ce");
        assert_eq!(
            (form.get("empty"), form.get("bare"), form.get("missing")),
            ("", "", "")
        );
        assert_eq!(form.number::<u32>("name"), None);
    }

    #[test]
    fn malformed_escapes_stand_as_they_are() {
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%4"), "%4");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
        assert_eq!(percent_decode("%+1%ff"), "%+1\u{fffd}");
    }

    #[test]
    fn encoding_and_decoding_are_inverse() {
        let text = "a b&c=d/ü?%";
        assert_eq!(percent_decode(&percent_encode(text)), text);
    }
}
