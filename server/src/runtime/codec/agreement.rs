//! Whether the codec and wasmtime's `Val` path agree on a type and a value.
//!
//! A generated guest passes what its export is given to an import and returns what the import returns, without looking at
//! it. One side of it speaks bytes through the codec, the other one `Val`; then the other way round. The expected bytes
//! come from an encoder of their own (`oracle`). The tests draw types and values from seeds, the fuzz target from its
//! bytes; this is compiled for them alone.

pub(super) mod generate;
pub(super) mod oracle;

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng as _};
#[cfg(test)]
use wasmtime::component::Func;
use wasmtime::component::{Component, Linker, TypedFunc, Val};
use wasmtime::{Engine, Store};

use super::{EXPORT_PARAMS, EXPORT_RESULTS, Lifted, Lowered};
use crate::runtime::wit_type::{FunctionType, WitType};

/// Levels of a generated type.
pub(super) const DEPTH: u32 = 4;

/// Values drawn for one type: to compile its guest costs as much as some hundred of them.
const VALUES_MAX: usize = 64;

/// What the import was given, in the form of its side.
type Seen<T> = Arc<Mutex<Option<T>>>;

/// Draws a type and some of its values from bytes, and panics where the codec and `Val` differ on one.
pub fn agree_on(bytes: &[u8]) {
    let mut script = Script {
        bytes,
        tail: StdRng::seed_from_u64(0),
    };
    let ty = generate::any_type(&mut script, DEPTH);
    let bench = Bench::new(&ty);
    for _ in 0..VALUES_MAX {
        bench.check(&generate::any_value(&mut script, &ty), "drawn");
        if script.bytes.is_empty() {
            return;
        }
    }
}

/// Random numbers that are somebody's bytes; then drawn ones, because a range refuses some numbers and asks again.
struct Script<'b> {
    bytes: &'b [u8],
    tail: StdRng,
}

impl RngCore for Script<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        let (taken, rest) = self.bytes.split_at(out.len().min(self.bytes.len()));
        let (given, missing) = out.split_at_mut(taken.len());
        given.copy_from_slice(taken);
        self.tail.fill_bytes(missing);
        self.bytes = rest;
    }
}

/// A pass-through guest of one type.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) component: Component,
    pub(super) ty: FunctionType,
}

impl Bench {
    pub(super) fn new(ty: &WitType) -> Self {
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
    pub(super) fn bytes_outside(&self, bytes: &[u8]) -> wasmtime::Result<(Val, Vec<u8>)> {
        let seen: Seen<Val> = Seen::default();
        let mut linker = Linker::new(&self.engine);
        let inner = Arc::clone(&seen);
        linker
            .instance("test:host/host")?
            .func_new("f", move |_, _, params, results| {
                results[0] = params[0].clone();
                *inner.lock().expect("nobody panicked") = Some(params[0].clone());
                Ok(())
            })?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate(&mut store, &self.component)?;
        let function = instance.get_func(&mut store, "f").expect("it exports `f`");
        #[expect(unsafe_code, reason = "as in `instance`")]
        // SAFETY: the codec walks the function's own types.
        let function: TypedFunc<Lowered<EXPORT_PARAMS>, Lifted<EXPORT_RESULTS>> =
            unsafe { TypedFunc::new_unchecked(function) };
        let lifted = function.call(&mut store, Lowered::arguments(bytes.to_vec().into(), None))?;
        let seen = seen
            .lock()
            .expect("nobody panicked")
            .take()
            .expect("the import was called");
        Ok((seen, lifted.bytes.to_vec()))
    }

    /// `Val` into the export, bytes at the import.
    fn values_outside(&self, value: &Val) -> wasmtime::Result<(Vec<u8>, Val)> {
        let seen: Seen<Vec<u8>> = Seen::default();
        let mut linker = Linker::new(&self.engine);
        define_echo(&mut linker, &self.ty, &seen)?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate(&mut store, &self.component)?;
        let function = instance.get_func(&mut store, "f").expect("it exports `f`");
        let mut results = [Val::Bool(false)];
        function.call(&mut store, std::slice::from_ref(value), &mut results)?;
        let [result] = results;
        let seen = seen
            .lock()
            .expect("nobody panicked")
            .take()
            .expect("the import was called");
        Ok((seen, result))
    }

    /// Holds both sides, and both ways, against the encoder's bytes.
    pub(super) fn check(&self, value: &Val, context: &str) {
        let ty = &self.ty.params[0].1;
        let bytes = oracle::encode(ty, value);
        let context = || format!("{context}: {value:?} of {ty}");

        let (seen, back) = self
            .bytes_outside(&bytes)
            .unwrap_or_else(|e| panic!("{}: {e:?}", context()));
        assert_eq!(seen, *value, "lowered into an export, {}", context());
        assert_eq!(back, bytes, "lifted from an export, {}", context());

        let (seen, back) = self
            .values_outside(value)
            .unwrap_or_else(|e| panic!("{}: {e:?}", context()));
        assert_eq!(seen, bytes, "lifted into an import, {}", context());
        assert_eq!(back, *value, "lowered from an import, {}", context());
    }
}

#[cfg(test)]
impl Bench {
    /// The same bytes into the export by many calls at a time, with a result of as many slots as it has.
    pub(super) async fn at_a_time(&self, calls: &[Vec<u8>]) -> wasmtime::Result<Vec<Vec<u8>>> {
        let mut linker = Linker::new(&self.engine);
        define_echo(&mut linker, &self.ty, &Seen::default())?;
        let mut store = Store::new(&self.engine, ());
        let instance = linker.instantiate_async(&mut store, &self.component).await?;
        let function = instance.get_func(&mut store, "f").expect("it exports `f`");
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

#[cfg(test)]
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

fn define_echo(linker: &mut Linker<()>, ty: &FunctionType, seen: &Seen<Vec<u8>>) -> wasmtime::Result<()> {
    fn wrap<const P: usize, const R: usize>(
        linker: &mut Linker<()>,
        seen: &Seen<Vec<u8>>,
    ) -> wasmtime::Result<()> {
        let seen = Arc::clone(seen);
        linker
            .instance("test:host/host")?
            .func_wrap("f", move |_, args: Lifted<P>| {
                *seen.lock().expect("nobody panicked") = Some(args.bytes.to_vec());
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
