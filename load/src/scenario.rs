//! Scenario: what is sent. A weighted mix of operations, each a few HTTP requests, with variables in their templates.
//!
//! Read from TOML; `Scenario::parse` reports every problem of a file at once, with its line. The default is the shop's
//! mix (`load/scenarios/shop.toml`). When requests are sent is `schedule`'s matter, how is `client`'s.

mod parse;
mod template;

use std::fmt;
use std::time::Duration;

use protocol::nearest;

pub use template::{Place, Template, encode};

/// The default scenario's text.
pub const SHOP: &str = include_str!("../scenarios/shop.toml");

/// A scenario, valid by construction: at least one operation, each with a step, all weights above zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The name that reports show.
    pub name: String,
    /// A step that takes longer is given up.
    pub timeout: Duration,
    /// The variables, by index.
    pub variables: Vec<Variable>,
    /// The operations, by index.
    pub operations: Vec<Operation>,
}

/// A name in templates, and where its values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// As in `{name}`.
    pub name: String,
    /// Where its values come from.
    pub source: Source,
}

/// Where a variable's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file lists them.
    Values(Vec<String>),
    /// They are the values of an attribute on a page of the target, read once before the run.
    Discover {
        /// The page.
        path: String,
        /// The attribute, as `data-product`.
        attribute: String,
    },
}

/// What one arrival does: its steps, one after the other, as one virtual user.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The name that reports show.
    pub name: String,
    /// Its share among the weights of all operations.
    pub weight: u32,
    /// Its requests, in order; a failed one ends the operation.
    pub steps: Vec<Step>,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The method.
    pub method: http::Method,
    /// The path and query.
    pub path: Template,
    /// The fields of a form body; none, no body.
    pub form: Vec<(String, Template)>,
    /// What the answer must be.
    pub expect: Expect,
}

/// What an answer must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// The statuses that are right; none given, every status below 400.
    pub statuses: Vec<u16>,
    /// A text that the body must contain.
    pub contains: Option<String>,
}

impl Expect {
    /// Whether this status is right.
    pub fn allows(&self, status: u16) -> bool {
        if self.statuses.is_empty() {
            status < 400
        } else {
            self.statuses.contains(&status)
        }
    }
}

impl Scenario {
    /// Parses a scenario file.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        parse::scenario(text)
    }

    /// The shop's mix.
    pub fn shop() -> Self {
        Self::parse(SHOP).expect("the embedded scenario is valid; a test holds it so")
    }

    /// Requests per operation, on average over the mix.
    pub fn mean_steps(&self) -> f64 {
        let weight: f64 = self
            .operations
            .iter()
            .map(|operation| f64::from(operation.weight))
            .sum();
        let steps: f64 = self
            .operations
            .iter()
            .map(|o| f64::from(o.weight) * o.steps.len() as f64)
            .sum();
        steps / weight
    }

    /// The weights of the operations, by index.
    pub fn weights(&self) -> Vec<u32> {
        self.operations.iter().map(|operation| operation.weight).collect()
    }
}

/// Everything that is wrong with a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One fault, where it is, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The fault and the remedy.
    pub text: String,
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(out, "{separator}line {}: {}", problem.line, problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What a name that is not among `known` probably meant, else what there is.
fn hint(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            format!("known are {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shop_is_the_published_mix() {
        let shop = Scenario::shop();
        let mix: Vec<(&str, u32)> = shop
            .operations
            .iter()
            .map(|o| (o.name.as_str(), o.weight))
            .collect();
        assert_eq!(
            mix,
            [
                ("index", 1),
                ("set currency", 2),
                ("browse product", 10),
                ("add to cart", 2),
                ("view cart", 3),
                ("check out", 1)
            ]
        );
        assert!((shop.mean_steps() - 22.0 / 19.0).abs() < 1e-9);
    }

    #[test]
    fn a_status_is_judged_by_the_list_or_below_400() {
        let any = Expect::default();
        assert!(any.allows(303) && !any.allows(404));
        let listed = Expect {
            statuses: vec![404],
            contains: None,
        };
        assert!(listed.allows(404) && !listed.allows(200));
    }
}
