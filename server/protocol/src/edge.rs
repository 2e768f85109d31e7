//! `EdgeName`: who calls what, `checkout -> shop:email/email`, as rules name it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, InterfaceName};

/// Who calls what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EdgeName {
    /// Who calls.
    pub caller: HandlerName,
    /// What is called; without a version it stands for every version.
    pub interface: InterfaceName,
}

impl EdgeName {
    /// Whether it is the edge of a call from `caller` to an interface as it is exported.
    pub fn is_of(&self, caller: &HandlerName, exported: &InterfaceName) -> bool {
        self.caller == *caller && self.interface.stands_for(exported)
    }
}

impl fmt::Display for EdgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.caller, self.interface)
    }
}

impl FromStr for EdgeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((caller, interface)) = text.split_once("->") else {
            return Err(
                "an edge is written `CALLER -> INTERFACE`, as `checkout -> shop:email/email`".to_owned(),
            );
        };
        Ok(Self {
            caller: HandlerName::parse(caller.trim()).map_err(|error| error.to_string())?,
            interface: InterfaceName::parse(interface.trim()).map_err(|error| error.to_string())?,
        })
    }
}

impl TryFrom<String> for EdgeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<EdgeName> for String {
    fn from(edge: EdgeName) -> Self {
        edge.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_prints_as_it_parses_and_knows_its_calls() {
        let edge: EdgeName = "checkout->shop:email/email".parse().unwrap();
        assert_eq!(edge.to_string(), "checkout -> shop:email/email");
        let interface = |text: &str| InterfaceName::parse(text).unwrap();
        let handler = |text: &str| HandlerName::parse(text).unwrap();
        assert!(edge.is_of(&handler("checkout"), &interface("shop:email/email@0.1.3")));
        assert!(!edge.is_of(&handler("cart"), &interface("shop:email/email@0.1.3")));
        assert!("checkout shop:email/email".parse::<EdgeName>().is_err());
        assert!("checkout -> email".parse::<EdgeName>().is_err());
    }
}
