//! `Pictures`: the last few, so that a change of placement is laid out once for all who look.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::api::map::Picture;

use super::{Drawn, picture};

/// Pictures that are kept: a few widths, now and at some moments before.
const KEPT_MAX: usize = 16;

/// The last few pictures with what they are of.
#[derive(Debug, Default)]
pub struct Pictures(Mutex<VecDeque<(Drawn, Arc<Picture>)>>);

impl Pictures {
    /// The picture, drawn if it is not kept. The largest take some hundred milliseconds: not for a thread that serves
    /// calls.
    pub fn draw(&self, drawn: Drawn) -> Arc<Picture> {
        if let Some(known) = self.find(&drawn) {
            return known;
        }
        let picture = Arc::new(picture(&drawn));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front((drawn, Arc::clone(&picture)));
        picture
    }

    fn find(&self, drawn: &Drawn) -> Option<Arc<Picture>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == drawn)?;
        // Who is asked for stays.
        let found = kept.remove(at)?;
        let picture = Arc::clone(&found.1);
        kept.push_front(found);
        Some(picture)
    }
}

#[cfg(test)]
mod tests {
    use protocol::{HandlerName, NodeName};

    use super::super::Place;
    use super::*;

    fn drawn(width: u32) -> Drawn {
        let place = Place {
            handler: HandlerName::parse("cart").unwrap(),
            node: NodeName::home(),
        };
        Drawn {
            places: vec![place],
            edges: Vec::new(),
            width,
        }
    }

    #[test]
    fn a_picture_is_drawn_once_and_few_are_kept() {
        let pictures = Pictures::default();
        let first = pictures.draw(drawn(800));
        assert!(Arc::ptr_eq(&first, &pictures.draw(drawn(800))));
        for width in 1_000..1_100 {
            pictures.draw(drawn(width));
        }
        assert_eq!(pictures.0.lock().unwrap().len(), KEPT_MAX);
        assert!(!Arc::ptr_eq(&first, &pictures.draw(drawn(800))));
    }
}
