//! The codec held equal to wasmtime's `Val` path, on generated types and values.
//!
//! A generated guest passes what its export is given to an import and returns what the import returns, without looking at
//! it. One side of it speaks bytes through the codec, the other one `Val`; then the other way round. The expected bytes
//! come from an encoder of their own (`oracle`).

mod generate;
mod oracle;

use std::sync::{Arc, Mutex};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime::component::{Component, Func, Linker, TypedFunc, Val};
use wasmtime::{Engine, Store};

use super::{EXPORT_PARAMS, EXPORT_RESULTS, Lifted, Lowered, Misfit};
use crate::runtime::shared::values;
use crate::runtime::wit_type::{FunctionType, WitType};

const TYPES: u64 = 150;
const VALUES_PER_TYPE: usize = 4;

/// What the import was given, in the form of its side.
type Seen<T> = Arc<Mutex<Option<T>>>;

struct Bench {
    engine: Engine,
    component: Component,
    ty: FunctionType,
}

impl Bench {
    fn new(ty: &WitType) -> Self {
        let text = generate::pass_through(ty);
        let engine = Engine::default();
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let component = Component::new(&engine, wasm).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let ty = FunctionType {
            params: vec![("x".into(), ty.clone())],
            result: Some(ty.clone()),
            is_async: false,
        };
        Self {
            engine,
            component,
            ty,
        }
    }

    /// Bytes into the export, `Val` at the import.
    fn bytes_outside(&self, bytes: &[u8]) -> wasmtime::Result<(Val, Vec<u8>)> {
        let seen: Seen<Val> = Seen::default();
        let mut linker = Linker::new(&self.engine);
        let inner = Arc::clone(&seen);
        linker
            .instance("test:host/host")?
            .func_new("f", move |_, _, params, results| {
                results[0] = params[0].clone();
                *inner.lock().unwrap() = Some(params[0].clone());
                Ok(())
            })?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate(&mut store, &self.component)?;
        let function = instance.get_func(&mut store, "f").unwrap();
        #[expect(unsafe_code, reason = "as in `instance`")]
        // SAFETY: the codec walks the function's own types.
        let function: TypedFunc<Lowered<EXPORT_PARAMS>, Lifted<EXPORT_RESULTS>> =
            unsafe { TypedFunc::new_unchecked(function) };
        let lifted = function.call(&mut store, Lowered::arguments(bytes.to_vec().into(), None))?;
        let seen = seen.lock().unwrap().take().unwrap();
        Ok((seen, lifted.bytes.to_vec()))
    }

    /// `Val` into the export, bytes at the import.
    fn values_outside(&self, value: &Val) -> wasmtime::Result<(Vec<u8>, Val)> {
        let seen: Seen<Vec<u8>> = Seen::default();
        let mut linker = Linker::new(&self.engine);
        define_echo(&mut linker, &self.ty, &seen)?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate(&mut store, &self.component)?;
        let function = instance.get_func(&mut store, "f").unwrap();
        let mut results = [Val::Bool(false)];
        function.call(&mut store, std::slice::from_ref(value), &mut results)?;
        let [result] = results;
        let seen = seen.lock().unwrap().take().unwrap();
        Ok((seen, result))
    }
}

impl Bench {
    /// The same bytes into the export by many calls at a time, with a result of as many slots as it has.
    async fn at_a_time(&self, calls: &[Vec<u8>]) -> wasmtime::Result<Vec<Vec<u8>>> {
        let mut linker = Linker::new(&self.engine);
        define_echo(&mut linker, &self.ty, &Seen::default())?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate_async(&mut store, &self.component).await?;
        let function = instance.get_func(&mut store, "f").unwrap();
        macro_rules! by_count {
            ($($count:literal)*) => {
                match self.ty.result_slots() {
                    $($count => many::<$count>(&mut store, function, calls).await,)*
                    other => panic!("{other} flat values"),
                }
            };
        }
        by_count!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    }
}

async fn many<const N: usize>(
    store: &mut Store<()>,
    function: Func,
    calls: &[Vec<u8>],
) -> wasmtime::Result<Vec<Vec<u8>>> {
    #[expect(unsafe_code, reason = "as in `shared`")]
    // SAFETY: the codec walks the function's own types, and the slots cover the result.
    let function: TypedFunc<Lowered<EXPORT_PARAMS>, Lifted<N>> =
        unsafe { TypedFunc::new_unchecked(function) };
    let all = store.run_concurrent(async |accessor| {
        let calls = calls.iter().map(|bytes| {
            let args = Lowered::arguments(bytes.clone().into(), None);
            function.call_concurrent(accessor, args)
        });
        futures_util::future::try_join_all(calls).await
    });
    Ok(all
        .await??
        .into_iter()
        .map(|lifted| lifted.bytes.to_vec())
        .collect())
}

#[tokio::test]
async fn calls_at_a_time_agree_with_values() {
    for seed in 0..TYPES / 3 {
        let mut random = StdRng::seed_from_u64(seed);
        let ty = generate::any_type(&mut random, 4);
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

fn define_echo(linker: &mut Linker<()>, ty: &FunctionType, seen: &Seen<Vec<u8>>) -> wasmtime::Result<()> {
    fn wrap<const P: usize, const R: usize>(
        linker: &mut Linker<()>,
        seen: &Seen<Vec<u8>>,
    ) -> wasmtime::Result<()> {
        let seen = Arc::clone(seen);
        linker
            .instance("test:host/host")?
            .func_wrap("f", move |_, args: Lifted<P>| {
                *seen.lock().unwrap() = Some(args.bytes.to_vec());
                Ok(Lowered::<R>::reply(args.bytes, None))
            })
    }
    macro_rules! by_count {
        ($params:expr, $results:expr, $($count:literal)*) => {
            match ($params, $results) {
                $(($count, 0) => wrap::<$count, 0>(linker, seen), ($count, 1) => wrap::<$count, 1>(linker, seen),)*
                other => panic!("{other:?} flat values"),
            }
        };
    }
    let (params, results) = (ty.flat_params().unwrap_or(0), ty.flat_results().unwrap_or(0));
    by_count!(params, results, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

#[test]
fn bytes_and_values_agree_on_generated_types() {
    for seed in 0..TYPES {
        let mut random = StdRng::seed_from_u64(seed);
        let ty = generate::any_type(&mut random, 4);
        let bench = Bench::new(&ty);
        for _ in 0..VALUES_PER_TYPE {
            let value = generate::any_value(&mut random, &ty);
            let bytes = oracle::encode(&ty, &value);
            let context = || format!("seed {seed}: {value:?} of {ty}");

            let (seen, back) = bench
                .bytes_outside(&bytes)
                .unwrap_or_else(|e| panic!("{}: {e:?}", context()));
            assert_eq!(seen, value, "lowered into an export, {}", context());
            assert_eq!(back, bytes, "lifted from an export, {}", context());

            let (seen, back) = bench
                .values_outside(&value)
                .unwrap_or_else(|e| panic!("{}: {e:?}", context()));
            assert_eq!(seen, bytes, "lifted into an import, {}", context());
            assert_eq!(back, value, "lowered from an import, {}", context());
        }
    }
}

#[test]
fn reflection_sees_the_type_that_was_generated() {
    for seed in 0..TYPES {
        let ty = generate::any_type(&mut StdRng::seed_from_u64(seed), 4);
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
