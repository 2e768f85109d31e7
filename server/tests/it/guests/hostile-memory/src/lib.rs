//! Takes all memory there is: what limits are for.

sdk::handler! { path: "../wit", world: "hostile-memory", handler: Hoarder }

pub struct Hoarder;

const PIECE_BYTES: usize = 1 << 20;

impl Memory for Hoarder {
    fn take_all(&self) -> u64 {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut piece = Vec::new();
            if hoard.try_reserve(1).is_err() || piece.try_reserve_exact(PIECE_BYTES).is_err() {
                return hoard.iter().map(|piece| piece.len() as u64).sum();
            }
            piece.resize(PIECE_BYTES, 1);
            hoard.push(std::hint::black_box(piece));
        }
    }

    fn take(&self, bytes: u64) -> u64 {
        let bytes = usize::try_from(bytes).expect("the tests ask for less than 4 GiB");
        std::hint::black_box(vec![1_u8; bytes]).len() as u64
    }
}
