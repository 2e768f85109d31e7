//! `Ids`: from a span's id to its index, for a trace as it is.
//!
//! An open table of half its places: ids are random already, so that multiplying them spreads them well enough, and a
//! million are found in tens of milliseconds. Of two spans with one id the later counts.

use super::super::skeleton::NONE;

/// The table.
#[derive(Debug)]
pub(in crate::traces) struct Ids {
    /// Indices by place; [`NONE`] is free.
    places: Vec<u32>,
    shift: u32,
}

impl Ids {
    /// Of these ids.
    pub(in crate::traces) fn of(ids: &[u64]) -> Self {
        let bits = (ids.len().max(4) * 2).next_power_of_two().trailing_zeros();
        let mut table = Self {
            places: vec![NONE; 1 << bits],
            shift: 64 - bits,
        };
        for (at, id) in super::indices(ids.len()).zip(ids) {
            let place = table.place(ids, *id);
            table.places[place] = at;
        }
        table
    }

    /// The index of an id; [`NONE`] for 0 and for ids that are not there.
    pub(in crate::traces) fn find(&self, ids: &[u64], id: u64) -> u32 {
        if id == 0 {
            return NONE;
        }
        self.places[self.place(ids, id)]
    }

    /// Where an id is, or would be.
    fn place(&self, ids: &[u64], id: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize;
        loop {
            match self.places[place] {
                NONE => return place,
                at if ids[at as usize] == id => return place,
                _ => place = (place + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_and_no_other() {
        let ids: Vec<u64> = (1..=1_000).map(|at| u64::MAX / at).collect();
        let table = Ids::of(&ids);
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(table.find(&ids, *id) as usize, at);
        }
        for id in [0, 3, u64::MAX - 1] {
            assert_eq!(table.find(&ids, id), NONE);
        }
        let twice = [5, 5, 6];
        assert_eq!(Ids::of(&twice).find(&twice, 5), 1, "the later counts");
        assert_eq!(Ids::of(&[]).find(&[], 5), NONE);
    }
}
