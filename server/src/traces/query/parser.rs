//! From words to a query, by descent; how deep is bounded.

use super::field::{Level, STATUSES};
use super::lexer::{Token, tokens};
use super::{Condition, Fault, Field, Literal, Op, QUERY_BYTES_MAX, Query};

/// Brackets within brackets.
const DEPTH_MAX: usize = 32;

pub(super) fn parse(text: &str) -> Result<Query, Fault> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(Fault {
            at: QUERY_BYTES_MAX,
            found: format!("a query of {} bytes", text.len()),
            expected: format!("at most {QUERY_BYTES_MAX}"),
        });
    }
    let tokens = tokens(text)?;
    let has_braces = tokens.iter().any(|(_, token)| *token == Token::Sign("{"));
    let mut parser = Parser {
        tokens,
        next: 0,
        depth: 0,
    };
    // Without braces it is one condition.
    let query = if has_braces {
        parser.query()?
    } else if parser.peek() == &Token::End {
        Query::Spans(Condition::All)
    } else {
        Query::Spans(parser.condition()?)
    };
    match parser.peek() {
        Token::End => Ok(query),
        _ => Err(parser.fault("`&&`, `||`, or the end")),
    }
}

struct Parser {
    /// The last is the end, and is never passed.
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if is_it {
            self.next += 1;
        }
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(self.fault(&format!("`{sign}`")))
        }
    }

    /// That what comes next is not what it should be.
    fn fault(&self, expected: &str) -> Fault {
        let (at, token) = self
            .tokens
            .get(self.next)
            .or_else(|| self.tokens.last())
            .map_or((1, &Token::End), |(at, token)| (*at, token));
        Fault {
            at,
            found: token.shown(),
            expected: expected.to_owned(),
        }
    }

    fn descend(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault(&format!("at most {DEPTH_MAX} brackets within each other")));
        }
        Ok(())
    }

    fn query(&mut self) -> Result<Query, Fault> {
        let mut left = self.sets()?;
        while self.takes("||") {
            left = Query::Or(Box::new(left), Box::new(self.sets()?));
        }
        Ok(left)
    }

    fn sets(&mut self) -> Result<Query, Fault> {
        let mut left = self.relatives()?;
        while self.takes("&&") {
            left = Query::And(Box::new(left), Box::new(self.relatives()?));
        }
        Ok(left)
    }

    fn relatives(&mut self) -> Result<Query, Fault> {
        let mut left = self.set()?;
        loop {
            if self.takes(">>") {
                left = Query::Below(Box::new(left), Box::new(self.set()?));
            } else if self.takes(">") {
                left = Query::Child(Box::new(left), Box::new(self.set()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn set(&mut self) -> Result<Query, Fault> {
        self.descend()?;
        let set = if self.takes("(") {
            let query = self.query()?;
            self.expect(")")?;
            query
        } else if self.takes("{") {
            let condition = if matches!(self.peek(), Token::Sign("}")) {
                Condition::All
            } else {
                self.condition()?
            };
            self.expect("}")?;
            Query::Spans(condition)
        } else {
            return Err(self.fault("a set of spans: `{` and a condition, or `(`"));
        };
        self.depth -= 1;
        Ok(set)
    }

    fn condition(&mut self) -> Result<Condition, Fault> {
        let mut left = self.both()?;
        while self.takes("||") {
            left = Condition::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Condition, Fault> {
        let mut left = self.one()?;
        while self.takes("&&") {
            left = Condition::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Condition, Fault> {
        self.descend()?;
        let condition = if self.takes("!") {
            Condition::Not(Box::new(self.one()?))
        } else if self.takes("(") {
            let condition = self.condition()?;
            self.expect(")")?;
            condition
        } else if matches!(self.peek(), Token::Name(name) if name == "true") {
            self.take();
            Condition::All
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, Fault> {
        let Token::Name(name) = self.peek().clone() else {
            return Err(self.fault("a field such as `handler`, `duration` or `.key`, `!` or `(`"));
        };
        let Some(field) = Field::of(&name) else {
            let meant =
                Field::nearest(&name).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(self.fault(&format!("a field; an attribute is written `.{name}`{meant}")));
        };
        self.take();
        let level = field.level();
        let op = self.op(level)?;
        // TraceQL's word for a span that did not fail.
        let is_unset = matches!(self.peek(), Token::Name(word) | Token::Text(word) if word == "unset");
        if is_unset && level == Level::Words(STATUSES) {
            self.take();
            let op = match op {
                Op::Unequal => Op::Equal,
                _ => Op::Unequal,
            };
            return Ok(Condition::Compare(field, op, Literal::Word("error")));
        }
        let value = self.value(level, op)?;
        Ok(Condition::Compare(field, op, value))
    }

    fn op(&mut self, level: Level) -> Result<Op, Fault> {
        let (can_order, can_match) = match level {
            Level::Text => (false, true),
            Level::Duration | Level::Number => (true, false),
            Level::Bool | Level::Words(_) => (false, false),
            Level::Any => (true, true),
        };
        let op = match self.peek() {
            Token::Sign(sign) => Op::of(sign),
            _ => None,
        };
        let fits = |op: &Op| match op {
            Op::Equal | Op::Unequal => true,
            Op::Like | Op::Unlike => can_match,
            _ => can_order,
        };
        let Some(op) = op.filter(fits) else {
            let fitting: Vec<_> = Op::ALL.into_iter().filter(fits).map(Op::sign).collect();
            return Err(self.fault(&format!("one of `{}`", fitting.join("`, `"))));
        };
        self.take();
        Ok(op)
    }

    fn value(&mut self, level: Level, op: Op) -> Result<Literal, Fault> {
        let is_match = matches!(op, Op::Like | Op::Unlike);
        let is_order = !is_match && !matches!(op, Op::Equal | Op::Unequal);
        let value = match (level, self.peek()) {
            (_, Token::Name(name)) if name == "nil" && !is_match && !is_order => Some(Literal::Nil),
            (Level::Duration, Token::Duration(ns)) => Some(Literal::Duration(*ns)),
            (Level::Duration, Token::Int(0)) => Some(Literal::Duration(0)),
            (Level::Number | Level::Any, Token::Int(number)) if !is_match => Some(Literal::Int(*number)),
            (Level::Any, Token::Float(number)) if !is_match => Some(Literal::Float(*number)),
            (Level::Bool, Token::Name(name)) | (Level::Any, Token::Name(name))
                if !is_match && !is_order && matches!(name.as_str(), "true" | "false") =>
            {
                Some(Literal::Bool(name == "true"))
            }
            (Level::Words(words), Token::Name(word) | Token::Text(word)) => {
                let word = if word == "failed" { "error" } else { word };
                let known = words.iter().find(|known| **known == word);
                known.map(|known| Literal::Word(known))
            }
            (Level::Text | Level::Any, Token::Text(text) | Token::Name(text)) if !is_order => {
                Some(Literal::Text(text.clone()))
            }
            _ => None,
        };
        let Some(value) = value else {
            let expected = match level {
                Level::Duration => "a duration such as `5ms`".to_owned(),
                Level::Number => "a whole number".to_owned(),
                Level::Bool => "`true` or `false`".to_owned(),
                Level::Words(words) => format!("one of `{}`", words.join("`, `")),
                Level::Text => "a text such as `\"cart\"`".to_owned(),
                Level::Any if is_order => "a number".to_owned(),
                Level::Any => "a text, a number, `true`, `false` or `nil`".to_owned(),
            };
            return Err(self.fault(&expected));
        };
        self.take();
        Ok(value)
    }
}
