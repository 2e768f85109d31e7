//! The codec held equal to wasmtime's `Val` path, on generated types and values.

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

use super::Misfit;
use super::agreement::{Bench, DEPTH, agree_on, generate, oracle};
use crate::runtime::shared::values;
use crate::runtime::wit_type::{FunctionType, WitType};

const TYPES: u64 = 150;
const VALUES_PER_TYPE: usize = 4;

#[tokio::test]
async fn calls_at_a_time_agree_with_values() {
    for seed in 0..TYPES / 3 {
        let mut random = StdRng::seed_from_u64(seed);
        let ty = generate::any_type(&mut random, DEPTH);
        let bench = Bench::new(&ty);
        let values = (0..20).map(|_| oracle::encode(&ty, &generate::any_value(&mut random, &ty)));
        let values: Vec<Vec<u8>> = values.collect();
        let back = bench.at_a_time(&values).await;
        let back = back.unwrap_or_else(|error| panic!("seed {seed}: {error:?} of {ty}"));
        assert_eq!(back, values, "seed {seed}: {ty}");
        for bytes in &values {
            values::check(bytes, [&ty]).unwrap();
            assert!(values::check(&[&bytes[..], &[0]].concat(), [&ty]).is_err());
        }
    }
}

#[test]
fn bytes_and_values_agree_on_generated_types() {
    for seed in 0..TYPES {
        let mut random = StdRng::seed_from_u64(seed);
        let ty = generate::any_type(&mut random, DEPTH);
        let bench = Bench::new(&ty);
        for _ in 0..VALUES_PER_TYPE {
            let value = generate::any_value(&mut random, &ty);
            bench.check(&value, &format!("seed {seed}"));
        }
    }
}

#[test]
fn reflection_sees_the_type_that_was_generated() {
    for seed in 0..TYPES {
        let ty = generate::any_type(&mut StdRng::seed_from_u64(seed), DEPTH);
        let bench = Bench::new(&ty);
        let component = bench.component.component_type();
        let (_, item) = component
            .exports(&bench.engine)
            .find(|(name, _)| *name == "f")
            .unwrap();
        let wasmtime::component::types::ComponentItem::ComponentFunc(function) = item.ty else {
            panic!("`f` is a function");
        };
        assert_eq!(FunctionType::reflect(&function), bench.ty, "seed {seed}");
    }
}

#[test]
fn bytes_that_are_no_value_are_the_callers_fault() {
    let ty = WitType::Record(vec![
        ("a".into(), WitType::String),
        ("b".into(), WitType::List(Box::new(WitType::Char))),
        ("c".into(), WitType::Option(Box::new(WitType::U64))),
    ]);
    let bench = Bench::new(&ty);
    let whole = [2, b'h', b'i', 1, b'x', 1, 5];
    assert!(bench.bytes_outside(&whole).is_ok());
    for end in 0..whole.len() {
        let error = bench.bytes_outside(&whole[..end]).unwrap_err();
        assert!(error.downcast_ref::<Misfit>().is_some(), "{error:?}");
    }
    for bad in [
        &[2, 0xff, 0xff, 0, 0][..],
        &[0, 1, 0xff, 0],
        &[0, 0, 2],
        &[0, 0, 0, 9],
        &[0xff; 9],
    ] {
        let error = bench.bytes_outside(bad).unwrap_err();
        assert!(error.downcast_ref::<Misfit>().is_some(), "{bad:?}: {error:?}");
    }
}

/// The body of the fuzz target `codec`.
#[test]
fn bytes_and_values_agree_on_what_any_bytes_draw() {
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..TYPES / 3 {
        let mut bytes = vec![0; random.random_range(0..400)];
        random.fill_bytes(&mut bytes);
        agree_on(&bytes);
    }
}
