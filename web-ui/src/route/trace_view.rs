//! `TraceView`: what is seen of a trace, as its address says: the selected span, the view, the zoom, what is folded.

use protocol::SpanId;
use protocol::api::rows::{RowKey, TURNED_MAX};

use super::parameter;

/// How a trace is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Look {
    /// Rows in time.
    #[default]
    Waterfall,
    /// Levels in time.
    Flame,
    /// Who calls whom.
    Sequence,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waterfall, Self::Flame, Self::Sequence];

    /// As in an address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waterfall => "waterfall",
            Self::Flame => "flame",
            Self::Sequence => "sequence",
        }
    }

    /// As on a button.
    pub fn title(self) -> &'static str {
        match self {
            Self::Waterfall => "Waterfall",
            Self::Flame => "Flame",
            Self::Sequence => "Sequence",
        }
    }
}

/// What is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceView {
    /// The selected span.
    pub span: Option<SpanId>,
    /// The view.
    pub look: Look,
    /// The part of the time, in ns after the trace's start.
    pub zoom: Option<(u64, u64)>,
    /// Rows that are not folded, or unfolded, as they begin.
    pub turned: Vec<RowKey>,
    /// Rows this deep begin folded.
    pub level: Option<u32>,
    /// Only this span's row and those below.
    pub focus: Option<SpanId>,
    /// What is searched for.
    pub find: String,
}

impl TraceView {
    /// Reads a query; `None` where it says nothing of a view.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let zoom = parameter(query, "zoom").and_then(|zoom| {
            let (from, to) = zoom.split_once('-')?;
            let ends: (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
            (ends.0 < ends.1).then_some(ends)
        });
        let look = parameter(query, "view");
        let turned = parameter(query, "collapsed").unwrap_or_default();
        let view = Self {
            span: parameter(query, "span").and_then(|span| span.parse().ok()),
            look: Look::ALL
                .into_iter()
                .find(|known| look.as_deref() == Some(known.word()))
                .unwrap_or_default(),
            zoom,
            turned: turned
                .split(',')
                .filter_map(|key| key.parse().ok())
                .take(TURNED_MAX)
                .collect(),
            level: parameter(query, "level").and_then(|level| level.parse().ok()),
            focus: parameter(query, "focus").and_then(|span| span.parse().ok()),
            find: parameter(query, "find").unwrap_or_default(),
        };
        (view != Self::default()).then_some(view)
    }

    /// The parameters that say it.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if let Some(span) = self.span {
            out.push(("span", span.to_string()));
        }
        if self.look != Look::default() {
            out.push(("view", self.look.word().to_owned()));
        }
        if let Some((from, to)) = self.zoom {
            out.push(("zoom", format!("{from}-{to}")));
        }
        out.extend(self.folds());
        if !self.find.is_empty() {
            out.push(("find", self.find.clone()));
        }
        out
    }

    /// The parameters that say which rows are shown, as the API has them too.
    pub fn folds(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if !self.turned.is_empty() {
            let keys: Vec<String> = self.turned.iter().map(ToString::to_string).collect();
            out.push(("collapsed", keys.join(",")));
        }
        if let Some(level) = self.level {
            out.push(("level", level.to_string()));
        }
        if let Some(focus) = self.focus {
            out.push(("focus", focus.to_string()));
        }
        out
    }

    /// Folds a row that is unfolded, or the reverse.
    pub fn turn(&mut self, key: RowKey) {
        match self.turned.iter().position(|known| *known == key) {
            Some(at) => {
                self.turned.remove(at);
            }
            None => {
                if self.turned.len() >= TURNED_MAX {
                    self.turned.remove(0);
                }
                self.turned.push(key);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One that says everything.
    pub(in crate::route) fn full() -> TraceView {
        TraceView {
            span: Some(SpanId(7)),
            look: Look::Flame,
            zoom: Some((5, 1_000)),
            turned: vec![
                "r0000000000000002".parse().unwrap(),
                "00000000000000a1".parse().unwrap(),
            ],
            level: Some(2),
            focus: Some(SpanId(9)),
            find: "{ status = error }".to_owned(),
        }
    }

    #[test]
    fn nonsense_is_left_out() {
        assert_eq!(TraceView::parse("zoom=9-3&view=odd&collapsed=x,y&span=z"), None);
        assert_eq!(TraceView::parse("zoom=3-9").unwrap().zoom, Some((3, 9)));
    }

    #[test]
    fn turning_twice_is_turning_not_at_all_and_there_is_an_end_to_it() {
        let mut view = TraceView::default();
        let key = |id| RowKey {
            span: SpanId(id),
            repeats: true,
        };
        view.turn(key(1));
        view.turn(key(2));
        view.turn(key(1));
        assert_eq!(view.turned, [key(2)]);
        for id in 3..2_000 {
            view.turn(key(id));
        }
        assert_eq!(view.turned.len(), TURNED_MAX);
    }
}
