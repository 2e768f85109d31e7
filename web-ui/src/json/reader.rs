//! `Reader`: a text as tokens; the part of reading that knows no type.

use std::borrow::Cow;

use super::Error;

/// How deep lists and objects may lie in each other.
const DEPTH_MAX: u16 = 128;

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to here are exact as floats.
const EXACT_WHOLE_MAX: u64 = 1 << 53;

/// A text, and how far it has been read.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u16,
}

/// A value, or how one begins.
#[derive(Debug, PartialEq)]
pub enum Token<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List,
    Object,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// The error, with the place where it was found.
    pub fn located(&self, error: Error) -> Error {
        Error(format!("{error}, at byte {}", self.at))
    }

    /// Nothing but blanks may follow.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.located(Error::expected("the end"))),
        }
    }

    /// The next value, or its beginning.
    pub fn token(&mut self) -> Result<Token<'a>, Error> {
        let Some(next) = self.peek() else {
            return Err(Error::expected("a value"));
        };
        match next {
            b'n' => self.word("null", Token::Null),
            b't' => self.word("true", Token::Bool(true)),
            b'f' => self.word("false", Token::Bool(false)),
            b'"' => self.quoted().map(Token::Text),
            b'[' => self.open(Token::List),
            b'{' => self.open(Token::Object),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Error::expected("a value")),
        }
    }

    pub fn boolean(&mut self) -> Result<bool, Error> {
        match self.token()? {
            Token::Bool(value) => Ok(value),
            _ => Err(Error::expected("true or false")),
        }
    }

    pub fn unsigned(&mut self) -> Result<u64, Error> {
        match self.token()? {
            Token::Unsigned(value) => Ok(value),
            _ => Err(Error::expected("a number that is whole and not negative")),
        }
    }

    pub fn signed(&mut self) -> Result<i64, Error> {
        let value = match self.token()? {
            Token::Unsigned(value) => i64::try_from(value).ok(),
            Token::Signed(value) => Some(value),
            _ => None,
        };
        value.ok_or_else(|| Error::expected("a whole number"))
    }

    pub fn float(&mut self) -> Result<f64, Error> {
        match self.token()? {
            Token::Unsigned(value) => Ok(value as f64),
            Token::Signed(value) => Ok(value as f64),
            Token::Float(value) => Ok(value),
            _ => Err(Error::expected("a number")),
        }
    }

    pub fn text(&mut self) -> Result<Cow<'a, str>, Error> {
        match self.token()? {
            Token::Text(text) => Ok(text),
            _ => Err(Error::expected("a string")),
        }
    }

    pub fn list(&mut self) -> Result<(), Error> {
        match self.token()? {
            Token::List => Ok(()),
            _ => Err(Error::expected("a list")),
        }
    }

    pub fn object(&mut self) -> Result<(), Error> {
        match self.token()? {
            Token::Object => Ok(()),
            _ => Err(Error::expected("an object")),
        }
    }

    /// Takes a `null`, if there is one.
    pub fn is_null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.word("null", Token::Null).is_ok()
    }

    /// Whether something follows in a list or an object, whose `end` is taken otherwise. `first` is true before the
    /// first, and is false afterwards.
    pub fn next(&mut self, first: &mut bool, end: u8) -> Result<bool, Error> {
        let next = self.peek();
        if next == Some(end) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !std::mem::take(first) {
            if next != Some(b',') {
                return Err(Error::expected("`,` or the end of a list or an object"));
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// The key of an entry, and the colon after it.
    pub fn key(&mut self) -> Result<Cow<'a, str>, Error> {
        if self.peek() != Some(b'"') {
            return Err(Error::expected("a key"));
        }
        let key = self.quoted()?;
        if self.peek() != Some(b':') {
            return Err(Error::expected("`:`"));
        }
        self.at += 1;
        Ok(key)
    }

    /// Reads a value that nobody wants.
    pub fn skip(&mut self) -> Result<(), Error> {
        let end = match self.token()? {
            Token::List => b']',
            Token::Object => b'}',
            _ => return Ok(()),
        };
        let mut first = true;
        while self.next(&mut first, end)? {
            if end == b'}' {
                self.key()?;
            }
            self.skip()?;
        }
        Ok(())
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, Error> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Error::expected("a value"));
        }
        self.at += word.len();
        Ok(token)
    }

    fn open(&mut self, token: Token<'a>) -> Result<Token<'a>, Error> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::expected("fewer lists and objects in each other"));
        }
        Ok(token)
    }

    /// A string, from its opening quote on.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Error> {
        self.at += 1;
        let mut out = Cow::Borrowed("");
        loop {
            let start = self.at;
            while !matches!(self.byte(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            // It starts and ends beside ASCII, so it cuts no letter.
            let plain = &self.text[start..self.at];
            let ends = self.byte();
            self.at += 1;
            match ends {
                Some(b'"') if out.is_empty() => return Ok(Cow::Borrowed(plain)),
                Some(b'"') => {
                    out.to_mut().push_str(plain);
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.to_mut().push_str(plain);
                    let letter = self.escaped()?;
                    out.to_mut().push(letter);
                }
                _ => return Err(Error::expected("the end of a string")),
            }
        }
    }

    /// The letter that an escape stands for, from after its backslash on.
    fn escaped(&mut self) -> Result<char, Error> {
        let byte = self.byte();
        self.at += 1;
        Ok(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut code = self.hexadecimal()?;
                if (0xd800..0xdc00).contains(&code) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hexadecimal()?;
                    code = 0x1_0000 + ((code - 0xd800) << 10) + low.wrapping_sub(0xdc00) % 0x400;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(Error::expected("the other half of a letter"));
                    }
                }
                char::from_u32(code).ok_or_else(|| Error::expected("a letter"))?
            }
            _ => return Err(Error::expected("an escape")),
        })
    }

    fn hexadecimal(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| Error::expected("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        let negative = self.take(b'-');
        let mut value = Some(0);
        let digits = self.digits(&mut value)?;
        if digits > 1 && self.text.as_bytes()[self.at - digits] == b'0' {
            return Err(Error::expected("no zero before a number"));
        }
        let mut is_whole = true;
        let mut places = 0;
        if self.take(b'.') {
            places = self.digits(&mut value)?;
            is_whole = false;
        }
        let is_scaled = self.take(b'e') || self.take(b'E');
        if is_scaled {
            // A sign, or none.
            let _ = self.take(b'-') || self.take(b'+');
            self.digits(&mut None)?;
        }
        match value {
            Some(value) if is_whole && !is_scaled && !negative => return Ok(Token::Unsigned(value)),
            Some(value) if is_whole && !is_scaled && value != 0 => {
                if let Some(value) = 0_i64.checked_sub_unsigned(value) {
                    return Ok(Token::Signed(value));
                }
            }
            Some(value) if value < EXACT_WHOLE_MAX && places < POWERS.len() && !is_scaled => {
                // Both are exact, so the result is the nearest there is.
                let float = value as f64 / POWERS[places];
                return Ok(Token::Float(if negative { -float } else { float }));
            }
            _ => {}
        }
        Ok(Token::Float(nearest(&self.text[start..self.at])))
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.byte() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Puts digits behind those of `value`, which is lost when they are too many; says how many there were.
    fn digits(&mut self, value: &mut Option<u64>) -> Result<usize, Error> {
        let start = self.at;
        while let Some(byte @ b'0'..=b'9') = self.byte() {
            let digit = u64::from(byte - b'0');
            *value = value.and_then(|value| value.checked_mul(10)?.checked_add(digit));
            self.at += 1;
        }
        match self.at - start {
            0 => Err(Error::expected("a digit")),
            digits => Ok(digits),
        }
    }
}

/// The float that is nearest to a number of any length. The browser has this at hand, which Rust has not.
#[cfg(target_arch = "wasm32")]
fn nearest(number: &str) -> f64 {
    js_sys::parse_float(number)
}

/// The float that is nearest to a number of any length.
#[cfg(not(target_arch = "wasm32"))]
fn nearest(number: &str) -> f64 {
    number
        .parse()
        .expect("digits, a point and an exponent are a number")
}
