//! `Grants`: what a handler may reach beyond its own instance, and beyond what every handler may.
//!
//! Every handler has clocks, random numbers, log lines and a space of its own in the state; unless its list says
//! otherwise, the interfaces of all other handlers; no queue, and no host on the network. Pure: who asks, decides.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::{InterfaceName, NameError, QueueName};

/// The longest host name, as the domain name system has it, with a port.
const HOST_BYTES_MAX: usize = 253 + 6;

/// What a handler may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Interfaces of other handlers that it may import; without a version for all of them. `None` is all interfaces.
    pub interfaces: Option<Vec<InterfaceName>>,
    /// Queues into which it may put messages.
    pub queues: Vec<QueueName>,
    /// Hosts that it may reach by HTTP.
    pub hosts: Vec<HostGrant>,
}

impl Grants {
    /// Whether it may call another handler's interface.
    pub fn allows_interface(&self, interface: &InterfaceName) -> bool {
        let stands_for = |granted: &InterfaceName| match granted.version() {
            None => granted.as_str() == interface.unversioned(),
            Some(_) => granted.track() == interface.track(),
        };
        self.interfaces
            .as_ref()
            .is_none_or(|granted| granted.iter().any(stands_for))
    }

    /// Whether it may put messages into a queue.
    pub fn allows_queue(&self, queue: &str) -> bool {
        self.queues.iter().any(|granted| granted.as_str() == queue)
    }

    /// The grant by which it may reach a host at a port, the name as in a URL without brackets.
    pub fn of_host(&self, host: &str, port: u16) -> Option<&HostGrant> {
        self.hosts.iter().find(|granted| granted.covers(host, port))
    }

    /// Each list by its key, as it would be written in `cleave.toml`.
    pub fn written(&self) -> [(&'static str, String); 3] {
        let interfaces = self.interfaces.as_ref();
        [
            (
                "interfaces",
                interfaces.map_or_else(|| "all".to_owned(), |list| array(list)),
            ),
            ("queues", array(&self.queues)),
            ("hosts", array(&self.hosts)),
        ]
    }
}

fn array<T: fmt::Display>(list: &[T]) -> String {
    let quoted: Vec<String> = list.iter().map(|entry| format!("\"{entry}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A host that may be reached: `example.org`, `*.example.org`, `127.0.0.1:9000`, `[::1]:9000`. Without a port it is HTTP's
/// own, 80.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostGrant {
    text: String,
    host: String,
    port: u16,
}

impl HostGrant {
    /// Parses an entry of `hosts`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refused = || NameError {
            name: text.chars().take(crate::name::NAME_BYTES_MAX).collect(),
            kind: "a host",
            rule: "write \"example.org\", \"*.example.org\" or \"127.0.0.1:9000\": a name or an address, and a port if \
                   it is not 80",
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(refused)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| refused())?;
                (
                    host,
                    rest.strip_prefix(':')
                        .or_else(|| rest.is_empty().then_some("80"))
                        .ok_or_else(refused)?,
                )
            }
            None => text.split_once(':').unwrap_or((text, "80")),
        };
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(refused)?;
        let name = host.strip_prefix("*.").unwrap_or(host);
        if text.len() > HOST_BYTES_MAX || !(is_name(name) || host.parse::<IpAddr>().is_ok()) {
            return Err(refused());
        }
        Ok(Self {
            text: text.to_owned(),
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let is_same = match self.host.strip_prefix('*') {
            // With its dot, so that `*.example.org` is neither `example.org` nor `badexample.org`.
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.host,
        };
        port == self.port && is_same
    }

    /// Whether it names addresses of this machine or its own network on purpose: only then may those be reached. A name
    /// that somebody else's server resolves to them does not.
    pub fn names_addresses(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok()
    }
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    // What ends in a number is an address to those who resolve it.
    let is_numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.split('.').all(label) && !is_numeric
}

impl fmt::Display for HostGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for HostGrant {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<HostGrant> for String {
    fn from(host: HostGrant) -> Self {
        host.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_reached_by_the_name_and_port_that_were_granted() {
        let grants = Grants {
            hosts: [
                "example.org",
                "*.example.net:8080",
                "127.0.0.1:9000",
                "[::1]:9000",
            ]
            .map(|text| HostGrant::parse(text).unwrap())
            .into(),
            ..Grants::default()
        };
        for (host, port, granted) in [
            ("example.org", 80, true),
            ("EXAMPLE.org", 80, true),
            ("example.org", 443, false),
            ("www.example.org", 80, false),
            ("badexample.org", 80, false),
            ("a.example.net", 8080, true),
            ("a.b.example.net", 8080, true),
            ("example.net", 8080, false),
            (".example.net", 8080, false),
            ("a.example.net", 80, false),
            ("127.0.0.1", 9000, true),
            ("127.0.0.1", 80, false),
            ("127.0.0.2", 9000, false),
            ("::1", 9000, true),
            ("localhost", 9000, false),
        ] {
            assert_eq!(grants.of_host(host, port).is_some(), granted, "{host}:{port}");
        }
        let named = |text: &str| HostGrant::parse(text).unwrap().names_addresses();
        assert!(named("localhost:1") && named("127.0.0.1") && named("[::1]"));
        assert!(!named("example.org"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "",
            "*",
            "*.",
            "http://example.org",
            "example.org/",
            "a b",
            "example..org",
            "example.org:",
            "host:0",
            "host:70000",
            "[::1",
            "[::1]x",
            "::1",
            "-a.org",
            "1.2.3",
            "*.1",
            "ex*mple.org",
        ] {
            assert!(HostGrant::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_of_interfaces_restricts_and_none_is_all() {
        let interface = |text: &str| InterfaceName::parse(text).unwrap();
        let cart = interface("shop:cart/cart@0.1.3");
        let grants = |list: &[&str]| Grants {
            interfaces: Some(list.iter().map(|text| interface(text)).collect()),
            ..Grants::default()
        };
        assert!(Grants::default().allows_interface(&cart));
        assert!(!grants(&[]).allows_interface(&cart));
        assert!(grants(&["shop:cart/cart"]).allows_interface(&cart));
        assert!(grants(&["shop:cart/cart@0.1.0"]).allows_interface(&cart));
        assert!(!grants(&["shop:cart/cart@0.2.0", "shop:cart/carts"]).allows_interface(&cart));
    }

    #[test]
    fn grants_survive_both_of_their_encodings() {
        let grants = Grants {
            interfaces: Some(vec![InterfaceName::parse("a:b/c").unwrap()]),
            queues: vec![QueueName::parse("orders").unwrap()],
            hosts: vec![HostGrant::parse("*.example.org:81").unwrap()],
        };
        let json = serde_json::to_string(&grants).unwrap();
        assert_eq!(serde_json::from_str::<Grants>(&json).unwrap(), grants);
        let bytes = postcard::to_allocvec(&grants).unwrap();
        assert_eq!(postcard::from_bytes::<Grants>(&bytes).unwrap(), grants);
        assert!(serde_json::from_str::<HostGrant>("\"no host\"").is_err());
    }
}
