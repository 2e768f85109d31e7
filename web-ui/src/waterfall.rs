//! The waterfall's maths: what part of the time is seen, which rows are here, where a mark stands.
//!
//! Promises: the same for a trace of ten rows and of a million, because nothing here looks at more rows than a screen
//! has. Not here: pairing spans into rows and folding them, which the server does; drawing, which is the page's.

pub mod sequence;
pub mod ticks;
pub mod windows;

/// The shortest time that fills the width, in ns: clocks tell no less apart.
const SPAN_MIN: f64 = 20.0;

/// The part of the time that is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zoom {
    /// Where it begins, in ns after the trace's start.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The trace's length.
    pub whole: f64,
}

impl Zoom {
    /// All of it.
    pub fn all(whole_ns: u64) -> Self {
        let whole = whole_ns.max(1) as f64;
        Self {
            from: 0.0,
            to: whole,
            whole,
        }
    }

    /// From one moment to another, as far as the trace has them.
    pub fn between(self, from: f64, to: f64) -> Self {
        let least = SPAN_MIN.min(self.whole);
        let span = (to - from).clamp(least, self.whole);
        let from = from.clamp(0.0, self.whole - span);
        Self {
            from,
            to: from + span,
            ..self
        }
    }

    /// Nearer (less than 1) or further (more), around a place of the width.
    pub fn scaled(self, by: f64, around: f64) -> Self {
        let moment = self.moment(around);
        let span = (self.span() * by).clamp(SPAN_MIN.min(self.whole), self.whole);
        let from = moment - around * span;
        self.between(from, from + span)
    }

    /// Moved by a share of the width.
    pub fn moved(self, by: f64) -> Self {
        let span = self.span();
        let from = (self.from + by * span).clamp(0.0, self.whole - span);
        Self {
            from,
            to: from + span,
            ..self
        }
    }

    /// The time that is seen.
    pub fn span(self) -> f64 {
        (self.to - self.from).max(1e-9)
    }

    /// The moment at a place of the width, from 0 to 1.
    pub fn moment(self, place: f64) -> f64 {
        self.from + place * self.span()
    }

    /// The place of a moment; below 0 or above 1 where it is not seen.
    pub fn place(self, ns: u64) -> f64 {
        (ns as f64 - self.from) / self.span()
    }

    /// Whether all is seen.
    pub fn is_all(self) -> bool {
        self.span() >= self.whole * 0.9999
    }

    /// Both ends as whole ns, `None` where all is seen: as an address has it.
    pub fn ends(self) -> Option<(u64, u64)> {
        (!self.is_all()).then_some((self.from.floor() as u64, self.to.ceil() as u64))
    }
}

/// A list of rows that may be higher than a browser can scroll.
///
/// Up to [`Scroll::HEIGHT_MAX`] a pixel is a pixel; beyond, the bar's whole way is the list's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scroll {
    /// Rows.
    pub rows: u64,
    /// The height of a row, in px.
    pub row: f64,
    /// The height that is seen.
    pub seen: f64,
}

impl Scroll {
    /// Browsers lose precision, and some rows, beyond some tens of millions of px.
    pub const HEIGHT_MAX: f64 = 6_000_000.0;

    fn whole(self) -> f64 {
        self.rows as f64 * self.row
    }

    /// Whether the list is higher than what scrolls.
    pub fn is_scaled(self) -> bool {
        self.whole() > Self::HEIGHT_MAX
    }

    /// The height of what scrolls.
    pub fn height(self) -> f64 {
        self.whole().min(Self::HEIGHT_MAX)
    }

    /// The furthest offset of the list, in px.
    pub fn furthest(self) -> f64 {
        (self.whole() - self.seen).max(0.0)
    }

    /// The list's offset where the bar stands at `top`.
    pub fn offset(self, top: f64) -> f64 {
        let way = (self.height() - self.seen).max(1.0);
        (top / way * self.furthest()).clamp(0.0, self.furthest())
    }

    /// Where the bar stands for an offset of the list.
    pub fn top(self, offset: f64) -> f64 {
        let way = (self.height() - self.seen).max(0.0);
        (offset / self.furthest().max(1.0) * way).clamp(0.0, way)
    }

    /// The offset at which a row is in sight, as near as can be to where the list is.
    pub fn reveal(self, row: u64, offset: f64) -> f64 {
        let top = row as f64 * self.row;
        if top >= offset && top + self.row <= offset + self.seen {
            return offset;
        }
        (top - self.seen / 2.5).clamp(0.0, self.furthest())
    }
}

/// `shop:cart/cart.get-cart` → `get-cart`; other names as they are.
pub fn short_name(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((interface, function)) if interface.contains(':') && !interface.contains(' ') => function,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zooming_keeps_the_moment_under_the_pointer_and_stays_within_the_trace() {
        let all = Zoom::all(1_000_000);
        let near = all.scaled(0.5, 0.25);
        assert_eq!(near.moment(0.25), all.moment(0.25));
        assert_eq!((near.from, near.to), (125_000.0, 625_000.0));
        assert_eq!(near.scaled(100.0, 0.9), all);
        assert_eq!(near.moved(-5.0).from, 0.0);
        assert_eq!(near.moved(5.0).to, 1_000_000.0);
        assert!(near.scaled(1e-12, 0.5).span() >= SPAN_MIN);
        assert!(all.is_all() && all.ends().is_none());
        assert_eq!(near.ends(), Some((125_000, 625_000)));
        let odd = all.between(900_000.0, 2_000_000.0);
        assert_eq!((odd.from, odd.to), (0.0, 1_000_000.0));
        assert_eq!(Zoom::all(0).scaled(0.5, 0.5).span(), 1.0);
    }

    #[test]
    fn a_short_list_scrolls_by_pixels_and_a_long_one_reaches_its_end() {
        let short = Scroll {
            rows: 1_000,
            row: 33.0,
            seen: 700.0,
        };
        assert!(!short.is_scaled());
        assert_eq!(short.offset(1_234.0).round(), 1_234.0);
        let long = Scroll {
            rows: 1_200_000,
            ..short
        };
        assert!(long.is_scaled());
        assert_eq!(long.offset(0.0), 0.0);
        assert_eq!(long.offset(long.height() - long.seen), long.furthest());
        let middle = long.offset(long.top(9_999_999.0));
        assert!((middle - 9_999_999.0).abs() < 1.0, "{middle}");
        let few = Scroll { rows: 3, ..short };
        assert_eq!((few.furthest(), few.top(0.0), few.offset(10.0)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn revealing_moves_only_what_must_move() {
        let list = Scroll {
            rows: 100,
            row: 10.0,
            seen: 100.0,
        };
        assert_eq!(list.reveal(5, 30.0), 30.0);
        assert_eq!(list.reveal(50, 30.0), 460.0);
        assert_eq!(list.reveal(99, 0.0), 900.0);
    }

    #[test]
    fn short_names_are_those_of_functions_only() {
        assert_eq!(short_name("shop:cart/cart.get-cart"), "get-cart");
        assert_eq!(short_name("GET /cart/a.b:c"), "GET /cart/a.b:c");
        assert_eq!(short_name("process checkout.email"), "process checkout.email");
    }
}
