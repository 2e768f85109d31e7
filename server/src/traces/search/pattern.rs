//! Patterns: `*` is any text, `?` any character, and the whole text must fit. One without either may stand anywhere in
//! the text. The case of ASCII letters does not matter.

/// A pattern made ready.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// In lower case.
    text: String,
    chars: Vec<char>,
    is_plain: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        Self {
            chars: text.chars().collect(),
            is_plain: !text.contains(['*', '?']),
            text,
        }
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        if self.is_plain {
            return text.contains(&self.text);
        }
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut in_pattern) = (0, 0);
        // Where the last `*` stands, and how far it reaches.
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.chars.get(in_pattern) {
                Some('*') => {
                    star = Some((in_pattern, at));
                    in_pattern += 1;
                }
                Some(char) if *char == '?' || *char == text[at] => {
                    at += 1;
                    in_pattern += 1;
                }
                _ => match &mut star {
                    None => return false,
                    Some((place, reach)) => {
                        *reach += 1;
                        at = *reach;
                        in_pattern = *place + 1;
                    }
                },
            }
        }
        self.chars[in_pattern..].iter().all(|char| *char == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By descent: slow, and plain to see.
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                fits(rest, text) || text.split_first().is_some_and(|(_, left)| fits(pattern, left))
            }
            (Some((char, rest)), Some((first, left))) => (*char == '?' || char == first) && fits(rest, left),
            _ => false,
        }
    }

    #[test]
    fn patterns_fit_as_people_mean_them() {
        for (pattern, text, expected) in [
            ("cart", "shop:cart/Cart.get", true),
            ("CART.get", "shop:cart/cart.get", true),
            ("cart*", "shop:cart/cart.get", false),
            ("*cart.get", "shop:cart/cart.get", true),
            ("GET /?", "get /x", true),
            ("GET /?", "get /xy", false),
            ("", "anything", true),
            ("*", "", true),
            ("?", "ö", true),
        ] {
            assert_eq!(Pattern::new(pattern).fits(text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn it_fits_where_it_can(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
            let is_plain = !pattern.contains(['*', '?']);
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = if is_plain { text.contains(&pattern) } else { fits(&chars(&pattern), &chars(&text)) };
            prop_assert_eq!(Pattern::new(&pattern).fits(&text), expected);
        }
    }
}
