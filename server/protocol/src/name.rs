//! Names, parsed once and trusted afterwards: handlers, nodes, queues, interfaces and functions.
//!
//! Every name is a cheap clone (`Arc<str>`). A value of these types is valid by construction; serde goes through the
//! same parser, so that a foreign name is refused where it enters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest handler, node or queue name, in bytes. File names and certificate subjects must hold it.
pub const NAME_BYTES_MAX: usize = 63;
/// The longest interface name, in bytes.
pub const INTERFACE_BYTES_MAX: usize = 255;

/// A name that is not of its kind's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not {kind}: {rule}")]
pub struct NameError {
    /// What was given, cut to a printable length.
    pub name: String,
    /// What it should have been, as "a handler name".
    pub kind: &'static str,
    /// The rule that it breaks, with the remedy.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Parses the name; the error names the rule that it breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    let name = text.chars().take(NAME_BYTES_MAX).collect();
                    Err(NameError { name, kind: $kind, rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A component deployed under a name: its file's stem. Reserved names are valid here, because they appear as
    /// callers; [`HandlerName::is_reserved`] keeps them from being deployed.
    HandlerName,
    "a handler name",
    is_plain,
    "use a to z, 0 to 9 and `-`, starting with a letter, at most 63 characters"
);
name!(
    /// A running `cleave` process.
    NodeName,
    "a node name",
    is_plain,
    "use a to z, 0 to 9 and `-`, starting with a letter, at most 63 characters"
);
name!(
    /// A queue. A queued edge's queue is `<caller>.<callee>`, which is why a dot is allowed.
    QueueName,
    "a queue name",
    is_dotted,
    "use a to z, 0 to 9, `-` and `.`, starting with a letter, at most 127 characters"
);
name!(
    /// A WIT interface, `namespace:package/interface`, with its version where it has one: `@1.2.3`.
    InterfaceName,
    "an interface name",
    is_interface,
    "write `namespace:package/interface`, with `@1.2.3` after it if it has a version"
);

/// Names that the platform itself calls and serves under.
pub const RESERVED: [&str; 5] = ["home", "ingress", "cli", "queue", "state"];

impl HandlerName {
    /// Whether the name belongs to the platform, so that no component may be deployed under it.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }

    fn platform(name: &'static str) -> Self {
        Self(name.into())
    }

    /// The caller of a request that came in over HTTP.
    pub fn ingress() -> Self {
        Self::platform("ingress")
    }

    /// The caller of a call made by hand.
    pub fn cli() -> Self {
        Self::platform("cli")
    }

    /// The caller of a message's attempts, and the callee of a queued edge.
    pub fn queue() -> Self {
        Self::platform("queue")
    }

    /// The callee that keeps the handlers' state.
    pub fn state() -> Self {
        Self::platform("state")
    }
}

impl NodeName {
    /// The node that the user started.
    pub fn home() -> Self {
        Self("home".into())
    }
}

impl InterfaceName {
    /// The name without its version: `shop:catalog/catalog`.
    pub fn unversioned(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(name, _)| name)
    }

    /// The version, where there is one: `0.1.0`.
    pub fn version(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, version)| version)
    }

    /// Whether this name, as rules write it, means an interface as it is exported: without a version every version, with
    /// one those of its semver track.
    pub fn stands_for(&self, exported: &Self) -> bool {
        match self.version() {
            None => self.as_str() == exported.unversioned(),
            Some(_) => self.track() == exported.track(),
        }
    }

    /// The semver track: two versions with equal tracks can stand for one another. `@1.4.2` and `@1.0.0` share
    /// `ns:pkg/iface@1`; below 1 the minor counts, as cargo and the component linker see it; a pre-release stands alone.
    pub fn track(&self) -> String {
        let Some(version) = self.version() else {
            return self.0.as_ref().to_owned();
        };
        if version.contains('-') || version.contains('+') {
            return self.0.as_ref().to_owned();
        }
        let mut parts = version.split('.');
        let major = parts.next().unwrap_or("0");
        let minor = parts.next().unwrap_or("0");
        let name = self.unversioned();
        match (major, minor) {
            ("0", "0") => self.0.as_ref().to_owned(),
            ("0", minor) => format!("{name}@0.{minor}"),
            (major, _) => format!("{name}@{major}"),
        }
    }
}

/// An edge as spans, searches and people name it: `checkout -> shop:email/email`, without the interface's version.
pub fn edge_name(caller: &HandlerName, interface: &InterfaceName) -> String {
    format!("{caller} -> {}", interface.unversioned())
}

/// One function of an interface, `ns:pkg/iface.function` when printed: the fully qualified `rpc.method` of its spans.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionPath {
    /// The interface, with its version.
    pub interface: InterfaceName,
    /// The function as in WIT: `list-products`.
    pub function: Arc<str>,
}

impl FunctionPath {
    /// Joins the two parts.
    pub fn new(interface: InterfaceName, function: &str) -> Self {
        Self {
            interface,
            function: function.into(),
        }
    }
}

impl fmt::Display for FunctionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.interface.unversioned(), self.function)
    }
}

impl fmt::Debug for FunctionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.interface, self.function)
    }
}

/// The structural hash of a function's type: parameters and results by structure, record fields and cases by name.
/// Two functions with equal hashes have the same bytes on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeHash(pub [u8; 16]);

impl fmt::Debug for TypeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_dotted(text: &str) -> bool {
    text.len() <= 2 * NAME_BYTES_MAX + 1
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

fn is_interface(text: &str) -> bool {
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_alphabetic())
            && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let Some((package, interface)) = name.split_once('/') else {
        return false;
    };
    let Some((namespace, package)) = package.split_once(':') else {
        return false;
    };
    text.len() <= INTERFACE_BYTES_MAX
        && word(namespace)
        && word(package)
        && word(interface)
        && version.is_none_or(|v| {
            v.starts_with(|c: char| c.is_ascii_digit())
                && v.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handler_names_follow_their_rule() {
        for good in ["a", "catalog", "cart-2", "home"] {
            assert!(HandlerName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "2cart", "Cart", "cart_2", "c.w", &"x".repeat(64)] {
            assert!(HandlerName::parse(bad).is_err(), "{bad}");
        }
        assert!(HandlerName::queue().is_reserved());
        assert!(!HandlerName::parse("catalog").unwrap().is_reserved());
    }

    #[test]
    fn interfaces_share_a_track_as_semver_says() {
        let track = |text: &str| InterfaceName::parse(text).unwrap().track();
        assert_eq!(track("shop:cart/cart@1.4.2"), track("shop:cart/cart@1.0.0"));
        assert_ne!(track("shop:cart/cart@1.4.2"), track("shop:cart/cart@2.0.0"));
        assert_eq!(track("shop:cart/cart@0.1.0"), track("shop:cart/cart@0.1.9"));
        assert_ne!(track("shop:cart/cart@0.1.0"), track("shop:cart/cart@0.2.0"));
        assert_ne!(
            track("wasi:keyvalue/store@0.2.0-draft"),
            track("wasi:keyvalue/store@0.2.0-draft2")
        );
        assert_eq!(track("a:b/c"), "a:b/c");
    }

    #[test]
    fn malformed_interfaces_are_refused() {
        for bad in [
            "",
            "catalog",
            "shop:catalog",
            "shop/catalog",
            "shop:catalog/",
            ":a/b",
            "a:b/c@",
            "a:b/c@x",
        ] {
            assert!(InterfaceName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn serde_goes_through_the_parser() {
        assert!(serde_json::from_str::<HandlerName>("\"Not OK\"").is_err());
        assert_eq!(
            serde_json::from_str::<HandlerName>("\"cart\"").unwrap().as_str(),
            "cart"
        );
    }
}
