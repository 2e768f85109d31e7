//! `Palette`: which of the ten hues a handler wears, the same on every page.
//!
//! Promises: ten or fewer handlers have distinct hues; a handler keeps its hue when others come and go, unless two
//! would share one; platform names have none; letters on a hue can be read. Not here: the hues, which are `.hue-0` … in
//! `style/tokens.css`.

use std::collections::BTreeMap;

use protocol::HandlerName;

/// How many hues there are.
pub const HUES: usize = 10;

/// Hues by handler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette(BTreeMap<HandlerName, usize>);

impl Palette {
    /// Gives each name the hue that its spelling prefers, or the next free one.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a HandlerName>) -> Self {
        let mut sorted: Vec<&HandlerName> = names.into_iter().filter(|name| !name.is_reserved()).collect();
        sorted.sort();
        sorted.dedup();
        let mut uses = [0usize; HUES];
        let mut hues = BTreeMap::new();
        for name in sorted {
            let least = uses.iter().copied().min().unwrap_or(0);
            let preferred = preferred(name);
            let hue = (0..HUES)
                .map(|step| (preferred + step) % HUES)
                .find(|hue| uses.get(*hue).is_some_and(|used| *used == least))
                .unwrap_or(preferred);
            if let Some(used) = uses.get_mut(hue) {
                *used += 1;
            }
            hues.insert(name.clone(), hue);
        }
        Self(hues)
    }

    /// The class that sets `--hue`.
    pub fn class(&self, name: &HandlerName) -> &'static str {
        const CLASSES: [&str; HUES] = [
            "hue-0", "hue-1", "hue-2", "hue-3", "hue-4", "hue-5", "hue-6", "hue-7", "hue-8", "hue-9",
        ];
        if name.is_reserved() {
            return "hue-none";
        }
        let hue = self.0.get(name).copied().unwrap_or_else(|| preferred(name));
        CLASSES.get(hue).copied().unwrap_or("hue-none")
    }
}

/// FNV-1a, folded to a hue.
fn preferred(name: &HandlerName) -> usize {
    let hash = name.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash >> 8) as usize % HUES
}

/// The colour of letters on a fill that lies over a surface, `opacity` from 0 to 1: white or nearly black, whichever has
/// the higher contrast ratio (WCAG 2.2, "relative luminance"). Colours as the browser computes them: `rgb(12, 166, 120)`.
pub fn letters_on(fill: &str, opacity: f64, surface: &str) -> &'static str {
    const LIGHT: &str = "#ffffff";
    const DARK: &str = "#14171c";
    const DARK_LUMINANCE: f64 = 0.008;
    let Some(fill) = channels(fill) else { return LIGHT };
    let under = channels(surface).unwrap_or(fill);
    let linear = |channel: f64| {
        let share = channel / 255.0;
        match share <= 0.04045 {
            true => share / 12.92,
            false => ((share + 0.055) / 1.055).powf(2.4),
        }
    };
    let seen = |at: usize| linear(fill[at] * opacity + under[at] * (1.0 - opacity));
    let luminance = 0.2126 * seen(0) + 0.7152 * seen(1) + 0.0722 * seen(2);
    let ratio = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
    match ratio(1.0, luminance) >= ratio(DARK_LUMINANCE, luminance) {
        true => LIGHT,
        false => DARK,
    }
}

/// Red, green and blue of `rgb(…)` or `rgba(…)`.
fn channels(colour: &str) -> Option<[f64; 3]> {
    let inner = colour.split_once('(')?.1.split(')').next()?;
    let mut numbers = inner
        .split([',', ' ', '/'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(list: &[&str]) -> Vec<HandlerName> {
        list.iter()
            .map(|name| HandlerName::parse(name).unwrap())
            .collect()
    }

    #[test]
    fn ten_handlers_have_ten_hues() {
        let shop = names(&[
            "frontend",
            "catalog",
            "cart",
            "checkout",
            "currency",
            "payment",
            "shipping",
            "email",
            "recommendation",
            "ad",
        ]);
        let palette = Palette::new(&shop);
        let hues: BTreeSet<&str> = shop.iter().map(|name| palette.class(name)).collect();
        assert_eq!(hues.len(), 10);
        assert_eq!(palette, Palette::new(shop.iter().rev()));
    }

    #[test]
    fn more_handlers_share_evenly_and_the_platform_has_none() {
        let many: Vec<HandlerName> = (0..25)
            .map(|i| HandlerName::parse(&format!("h{i}")).unwrap())
            .collect();
        let palette = Palette::new(&many);
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &many {
            *uses.entry(palette.class(name)).or_default() += 1;
        }
        assert!(uses.values().all(|used| (2..=3).contains(used)), "{uses:?}");
        assert_eq!(palette.class(&HandlerName::queue()), "hue-none");
    }

    #[test]
    fn letters_can_be_read_on_every_hue() {
        let (white, black) = ("rgb(255, 255, 255)", "rgb(20, 23, 28)");
        assert_eq!(letters_on("rgb(174, 62, 201)", 1.0, white), "#ffffff");
        assert_eq!(letters_on("rgb(184, 182, 172)", 1.0, white), "#14171c");
        assert_eq!(letters_on("rgb(116, 184, 22)", 0.62, white), "#14171c");
        // What is pale over white is dark over black.
        assert_eq!(letters_on("rgb(91, 108, 255)", 0.3, white), "#14171c");
        assert_eq!(letters_on("rgba(91 108 255 / 1)", 0.3, black), "#ffffff");
        assert_eq!(letters_on("", 1.0, ""), "#ffffff");
    }
}
