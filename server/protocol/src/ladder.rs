//! The ladder: the rungs that an edge's calls go by, and what the network between two nodes is made to do to them.
//!
//! `direct` and `codec` are for calls that stay in their process, `uds`, `tcp` and `quic` for those that leave it; a wish
//! names one, and what it does not fit is idle. Delay, jitter, loss and bandwidth are of the way between nodes, in each
//! direction. Quantities are text wherever they are written: a number and its unit.

mod quantity;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use quantity::{Bandwidth, Delay, Loss};

use crate::nearest;
use crate::span::Transport;

/// One rung of the ladder, from the cheapest to the dearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// Handed over within the process.
    Direct,
    /// Within the process, through the bytes of the wire.
    Codec,
    /// Over a Unix socket.
    Uds,
    /// Over TCP with TLS.
    Tcp,
    /// Over QUIC.
    Quic,
}

impl Rung {
    /// All of them, from below.
    pub const ALL: [Self; 5] = [Self::Direct, Self::Codec, Self::Uds, Self::Tcp, Self::Quic];

    /// Its name, wherever it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Codec => "codec",
            Self::Uds => "uds",
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }

    /// The rung of a name; the error names them all.
    pub fn parse(word: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        let found = Self::ALL.into_iter().find(|rung| rung.word() == word);
        found.ok_or_else(|| {
            let near = nearest(word, words).map(|near| format!("; did you mean `{near}`?"));
            let near = near.unwrap_or_default();
            format!("no transport; there are {}{near}", words.join(", "))
        })
    }

    /// Whether calls leave their process by it.
    pub fn is_between_nodes(self) -> bool {
        matches!(self, Self::Uds | Self::Tcp | Self::Quic)
    }

    /// What spans say of a call that went by it.
    pub fn transport(self) -> Transport {
        match self {
            Self::Direct => Transport::Direct,
            Self::Codec => Transport::Codec,
            Self::Uds => Transport::Uds,
            Self::Tcp => Transport::Tcp,
            Self::Quic => Transport::Quic,
        }
    }
}

/// A wish how calls shall go; what it does not say is left to whoever else has a say, and then to the usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Way {
    /// The rung.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Rung>,
    /// What every packet takes longer, in each direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// The most that a packet takes longer beside that, by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Delay>,
    /// The share of packets that is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// What the way carries in each direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

impl Way {
    /// Whether it says nothing.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// What this wish leaves open, by another one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            transport: self.transport.or(other.transport),
            delay: self.delay.or(other.delay),
            jitter: self.jitter.or(other.jitter),
            loss: self.loss.or(other.loss),
            bandwidth: self.bandwidth.or(other.bandwidth),
        }
    }

    /// Adds one word of a suffix as in `apart+uds+2ms+~500us+1%+100Mbit/s`: a rung, a delay, a jitter behind `~`, a loss
    /// or a bandwidth.
    pub fn with(mut self, word: &str) -> Result<Self, String> {
        let twice = |what: &str| Err(format!("`{word}` is a second {what}"));
        if let Some(jitter) = word.strip_prefix('~') {
            match self.jitter.replace(jitter.parse()?) {
                Some(_) => return twice("jitter"),
                None => return Ok(self),
            }
        }
        if word.ends_with('%') {
            return match self.loss.replace(word.parse()?) {
                Some(_) => twice("loss"),
                None => Ok(self),
            };
        }
        if word.ends_with("bit/s") {
            return match self.bandwidth.replace(word.parse()?) {
                Some(_) => twice("bandwidth"),
                None => Ok(self),
            };
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return match self.delay.replace(word.parse()?) {
                Some(_) => twice("delay"),
                None => Ok(self),
            };
        }
        match self.transport.replace(Rung::parse(word)?) {
            Some(_) => twice("transport"),
            None => Ok(self),
        }
    }

    /// What it comes to.
    pub fn course(self) -> Course {
        let usual = Course::default();
        Course {
            inside: self
                .transport
                .filter(|rung| !rung.is_between_nodes())
                .unwrap_or(usual.inside),
            between: self
                .transport
                .filter(|rung| rung.is_between_nodes())
                .unwrap_or(usual.between),
            shaping: Shaping {
                delay: self.delay.unwrap_or_default(),
                jitter: self.jitter.unwrap_or_default(),
                loss: self.loss.unwrap_or_default(),
                bandwidth: self.bandwidth,
            },
        }
    }
}

/// As in the suffix of a placement: `uds+2ms`; nothing for a wish that says nothing.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.transport.map(|rung| rung.word().to_owned()),
            self.delay.map(|delay| delay.to_string()),
            self.jitter.map(|jitter| format!("~{jitter}")),
            self.loss.map(|loss| loss.to_string()),
            self.bandwidth.map(|bandwidth| bandwidth.to_string()),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join("+"))
    }
}

/// How calls go: within their process, and where they leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Course {
    /// `direct` or `codec`.
    pub inside: Rung,
    /// `uds`, `tcp` or `quic`.
    pub between: Rung,
    /// What the way between nodes does to them.
    pub shaping: Shaping,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            inside: Rung::Direct,
            between: Rung::Quic,
            shaping: Shaping::default(),
        }
    }
}

/// What a way between nodes is made to do, in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shaping {
    /// What every packet takes longer.
    pub delay: Delay,
    /// The most that it takes longer beside that.
    pub jitter: Delay,
    /// The share that is lost.
    pub loss: Loss,
    /// What is carried; without it as much as the machine can.
    pub bandwidth: Option<Bandwidth>,
}

impl Shaping {
    /// Whether it does nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(suffix: &str) -> Result<Way, String> {
        suffix.split('+').try_fold(Way::default(), Way::with)
    }

    #[test]
    fn a_suffix_says_each_thing_once_and_prints_as_it_parses() {
        for suffix in ["uds", "2ms", "tcp+2ms+~500us+1%+100Mbit/s", "quic+0.5%", "codec"] {
            assert_eq!(way(suffix).unwrap().to_string(), suffix);
        }
        for (suffix, reason) in [
            ("uds+tcp", "`tcp` is a second transport"),
            ("2ms+1ms", "`1ms` is a second delay"),
            ("~2ms+~1ms", "`~1ms` is a second jitter"),
            (
                "tpc",
                "no transport; there are direct, codec, uds, tcp, quic; did you mean `tcp`?",
            ),
            (
                "2",
                "not a delay; write a number and its unit, as `2ms` or `500us`",
            ),
        ] {
            assert_eq!(way(suffix).unwrap_err(), reason);
        }
    }

    #[test]
    fn what_an_edge_leaves_open_is_as_for_all_and_then_as_usual() {
        let all = way("tcp+2ms").unwrap();
        let edge = way("uds").unwrap().or(all);
        assert_eq!(edge, way("uds+2ms").unwrap());
        let course = edge.course();
        assert_eq!((course.inside, course.between), (Rung::Direct, Rung::Uds));
        assert_eq!(course.shaping.delay, "2ms".parse().unwrap());
        let none = way("uds+0ms").unwrap().or(all).course();
        assert!(none.shaping.is_none());
        let codec = way("codec").unwrap().course();
        assert_eq!((codec.inside, codec.between), (Rung::Codec, Rung::Quic));
        assert_eq!(Way::default().course(), Course::default());
    }

    #[test]
    fn a_way_is_text_in_json_and_says_only_what_it_says() {
        let way = way("uds+2ms+1%").unwrap();
        let json = serde_json::to_string(&way).unwrap();
        assert_eq!(json, r#"{"transport":"uds","delay":"2ms","loss":"1%"}"#);
        assert_eq!(serde_json::from_str::<Way>(&json).unwrap(), way);
        let refused = serde_json::from_str::<Way>(r#"{"delay":"2h"}"#).unwrap_err();
        assert!(refused.to_string().contains("not a delay"), "{refused}");
    }

    #[test]
    fn a_course_travels_in_postcard() {
        let course = way("tcp+2ms+~1ms+1%+10Mbit/s").unwrap().course();
        let bytes = postcard::to_stdvec(&course).unwrap();
        assert_eq!(postcard::from_bytes::<Course>(&bytes).unwrap(), course);
    }
}
