//! What the chronicle has of the placement: each one that comes into force, and each that does not come about, once.

use protocol::api::chronicle::Happening;
use protocol::api::placement::PlacementStatus;

use super::chronicle::Chronicle;
use crate::placement::summary::in_words;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Told {
    in_force: u64,
    error: Option<String>,
}

impl Told {
    /// Notes what is new.
    pub(super) fn look(&mut self, status: &PlacementStatus, chronicle: &Chronicle) {
        if status.actual_generation > self.in_force {
            self.in_force = status.actual_generation;
            let words = in_words(&status.actual);
            let text = format!("placement {} ({words}) is in force", self.in_force);
            chronicle.all(Happening::Placed, text);
        }
        if status.error != self.error {
            self.error.clone_from(&status.error);
            if let Some(error) = &self.error {
                let text = format!("placement {} did not come about: {error}", status.generation);
                chronicle.all(Happening::NotPlaced, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::api::chronicle::ChronicleQuery;
    use protocol::api::placement::{Mode, Placement};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_placement_is_told_once() {
        let chronicle = Chronicle::new(Clock::test(1));
        let mut told = Told::default();
        let placement = Placement {
            mode: Mode::Apart,
            ..Placement::default()
        };
        let mut status = PlacementStatus {
            generation: 2,
            actual_generation: 2,
            desired: placement.clone(),
            actual: placement.clone(),
            settled: true,
            file: placement,
            handlers: std::collections::BTreeMap::new(),
            notes: Vec::new(),
            error: None,
        };
        told.look(&status, &chronicle);
        told.look(&status, &chronicle);
        (status.generation, status.error) = (3, Some("no room".to_owned()));
        told.look(&status, &chronicle);
        told.look(&status, &chronicle);
        let page = chronicle.page(&ChronicleQuery::default());
        let texts: Vec<&str> = page.items.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "placement 3 did not come about: no room",
                "placement 2 (apart) is in force"
            ]
        );
    }
}
