//! Types, values and the pass-through guest for them, from random numbers.

use std::fmt::Write as _;

use rand::{Rng as _, RngCore};
use wasmtime::component::Val;

use crate::runtime::wit_type::{FunctionType, WitType};

/// A type of at most `depth` levels.
pub(in crate::runtime::codec) fn any_type(random: &mut dyn RngCore, depth: u32) -> WitType {
    let kinds = if depth == 0 { 13 } else { 21 };
    let inner = |random: &mut dyn RngCore| any_type(random, depth - 1);
    match random.random_range(0..kinds) {
        0 => WitType::Bool,
        1 => WitType::U8,
        2 => WitType::S8,
        3 => WitType::U16,
        4 => WitType::S16,
        5 => WitType::U32,
        6 => WitType::S32,
        7 => WitType::U64,
        8 => WitType::S64,
        9 => WitType::F32,
        10 => WitType::F64,
        11 => WitType::Char,
        12 => WitType::String,
        13 => WitType::List(Box::new(inner(random))),
        14 => WitType::Record(
            names(random, 1..9)
                .into_iter()
                .map(|name| (name, inner(random)))
                .collect(),
        ),
        15 => WitType::Tuple((0..random.random_range(1..6)).map(|_| inner(random)).collect()),
        16 => {
            let cases = names(random, 1..6).into_iter();
            WitType::Variant(
                cases
                    .map(|name| (name, random.random_bool(0.7).then(|| inner(random))))
                    .collect(),
            )
        }
        17 => WitType::Enum(names(random, 1..300)),
        18 => WitType::Option(Box::new(inner(random))),
        19 => WitType::Result(
            random.random_bool(0.8).then(|| Box::new(inner(random))),
            random.random_bool(0.8).then(|| Box::new(inner(random))),
        ),
        _ => WitType::Flags(names(random, 1..33)),
    }
}

fn names(random: &mut dyn RngCore, count: std::ops::Range<usize>) -> Vec<String> {
    (0..random.random_range(count))
        .map(|index| format!("n{index}"))
        .collect()
}

/// A value of a type. Floats are never NaN, which is not equal to itself.
pub(in crate::runtime::codec) fn any_value(random: &mut dyn RngCore, ty: &WitType) -> Val {
    match ty {
        WitType::Bool => Val::Bool(random.random()),
        WitType::U8 => Val::U8(random.random()),
        WitType::S8 => Val::S8(random.random()),
        WitType::U16 => Val::U16(random.random()),
        WitType::S16 => Val::S16(random.random()),
        WitType::U32 => Val::U32(random.random()),
        WitType::S32 => Val::S32(random.random()),
        WitType::U64 => Val::U64(random.random()),
        WitType::S64 => Val::S64(random.random::<i64>() >> random.random_range(0..64)),
        WitType::F32 => Val::Float32(random.random_range(-1e30..1e30)),
        WitType::F64 => Val::Float64(random.random_range(-1e300..1e300)),
        WitType::Char => Val::Char(random.random()),
        WitType::String => Val::String(
            (0..random.random_range(0..20))
                .map(|_| random.random::<char>())
                .collect(),
        ),
        WitType::List(element) => Val::List(
            (0..random.random_range(0..5))
                .map(|_| any_value(random, element))
                .collect(),
        ),
        WitType::Record(fields) => Val::Record(
            fields
                .iter()
                .map(|(name, ty)| (name.clone(), any_value(random, ty)))
                .collect(),
        ),
        WitType::Tuple(types) => Val::Tuple(types.iter().map(|ty| any_value(random, ty)).collect()),
        WitType::Variant(cases) => {
            let (name, payload) = &cases[random.random_range(0..cases.len())];
            Val::Variant(
                name.clone(),
                payload.as_ref().map(|ty| Box::new(any_value(random, ty))),
            )
        }
        WitType::Enum(names) => Val::Enum(names[random.random_range(0..names.len())].clone()),
        WitType::Option(inner) => Val::Option(
            random
                .random_bool(0.6)
                .then(|| Box::new(any_value(random, inner))),
        ),
        WitType::Result(ok, err) => {
            let mut payload =
                |ty: &Option<Box<WitType>>| ty.as_ref().map(|ty| Box::new(any_value(random, ty)));
            let (ok, err) = (payload(ok), payload(err));
            Val::Result(if random.random() { Ok(ok) } else { Err(err) })
        }
        WitType::Flags(names) => Val::Flags(
            names
                .iter()
                .filter(|_| random.random_bool(0.4))
                .cloned()
                .collect(),
        ),
        WitType::Handle(_) | WitType::Unsupported(_) => panic!("never generated"),
    }
}

/// A component whose export `f: func(x: T) -> T` passes everything on to the import `test:host/host#f`.
pub(in crate::runtime::codec) fn pass_through(ty: &WitType) -> String {
    let mut types = Types::default();
    let name = types.name(ty);
    let function = FunctionType {
        params: vec![("x".into(), ty.clone())],
        result: Some(ty.clone()),
        is_async: false,
    };
    let params = flat(ty);
    let param_types = if function.flat_params().is_some() {
        params.clone()
    } else {
        vec!["i32"]
    };
    let returns_pointer = function.flat_results().is_none();
    let results = if returns_pointer { vec!["i32"] } else { params };
    let list = |types: &[&str]| types.join(" ");
    let gets = (0..param_types.len()).fold(String::new(), |text, i| format!("{text} (local.get {i})"));
    let (import_params, import_results, body) = if returns_pointer {
        let area = 1 << 20;
        (
            format!("{} i32", list(&param_types)),
            String::new(),
            format!("(call $f {gets} (i32.const {area})) (i32.const {area})"),
        )
    } else {
        (list(&param_types), list(&results), format!("(call $f {gets})"))
    };
    let (params, results) = (list(&param_types), list(&results));
    let Types { text, aliases, .. } = types;
    format!(
        r#"(component
  (import "test:host/host" (instance $h {text} (export "f" (func (param "x" {name}) (result {name})))))
  {aliases}
  (core module $memory (memory (export "m") 64)
    (global $next (mut i32) (i32.const 2097152))
    (func (export "r") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $at) (local.get 3))) (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $f (canon lower (func $h "f") (memory (core memory $memory "m")) (realloc (core func $memory "r"))))
  (core module $pass (import "" "f" (func $f (param {import_params}) (result {import_results})))
    (func (export "f") (param {params}) (result {results}) {body}))
  (core instance $pass (instantiate $pass (with "" (instance (export "f" (func $f))))))
  (func $g (param "x" {outer}) (result {outer})
    (canon lift (core func $pass "f") (memory (core memory $memory "m")) (realloc (core func $memory "r"))))
  (export "f" (func $g)))"#,
        outer = Types::outer(&name),
    )
}

/// The core values that a type flattens to.
fn flat(ty: &WitType) -> Vec<&'static str> {
    match ty {
        WitType::U64 | WitType::S64 => vec!["i64"],
        WitType::F32 => vec!["f32"],
        WitType::F64 => vec!["f64"],
        WitType::String | WitType::List(_) => vec!["i32", "i32"],
        WitType::Record(fields) => fields.iter().flat_map(|(_, ty)| flat(ty)).collect(),
        WitType::Tuple(types) => types.iter().flat_map(flat).collect(),
        WitType::Variant(cases) => join(cases.iter().map(|(_, ty)| ty.as_ref())),
        WitType::Option(inner) => join([None, Some(inner.as_ref())].into_iter()),
        WitType::Result(ok, err) => join([ok.as_deref(), err.as_deref()].into_iter()),
        WitType::Flags(names) => vec!["i32"; names.len().div_ceil(32)],
        _ => vec!["i32"],
    }
}

/// The discriminant, and slot by slot the type that holds every case.
fn join<'t>(cases: impl Iterator<Item = Option<&'t WitType>>) -> Vec<&'static str> {
    let mut slots: Vec<&'static str> = Vec::new();
    for case in cases.flatten() {
        for (index, ty) in flat(case).into_iter().enumerate() {
            match slots.get_mut(index) {
                None => slots.push(ty),
                Some(slot) if *slot == ty => {}
                Some(slot) if matches!((*slot, ty), ("i32", "f32") | ("f32", "i32")) => *slot = "i32",
                Some(slot) => *slot = "i64",
            }
        }
    }
    slots.insert(0, "i32");
    slots
}

/// Named types, exported by the imported instance as the component model asks, and their aliases outside of it.
#[derive(Default)]
struct Types {
    text: String,
    aliases: String,
    count: usize,
}

impl Types {
    /// How to refer to a type within the instance: `$e3`, or a structure of such.
    fn name(&mut self, ty: &WitType) -> String {
        match ty {
            WitType::Bool
            | WitType::U8
            | WitType::S8
            | WitType::U16
            | WitType::S16
            | WitType::U32
            | WitType::S32 => ty.to_string(),
            WitType::U64 | WitType::S64 | WitType::F32 | WitType::F64 | WitType::Char | WitType::String => {
                ty.to_string()
            }
            WitType::List(element) => format!("(list {})", self.name(element)),
            WitType::Option(inner) => format!("(option {})", self.name(inner)),
            WitType::Tuple(types) => {
                let parts: Vec<_> = types.iter().map(|ty| self.name(ty)).collect();
                format!("(tuple {})", parts.join(" "))
            }
            WitType::Result(ok, err) => {
                let ok = ok.as_ref().map(|ty| self.name(ty)).unwrap_or_default();
                let err = err
                    .as_ref()
                    .map(|ty| format!("(error {})", self.name(ty)))
                    .unwrap_or_default();
                format!("(result {ok} {err})")
            }
            WitType::Record(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, ty)| format!("(field \"{name}\" {})", self.name(ty)))
                    .collect();
                self.nominal(&format!("(record {})", fields.join(" ")))
            }
            WitType::Variant(cases) => {
                let cases: Vec<_> = cases
                    .iter()
                    .map(|(name, ty)| {
                        let payload = ty.as_ref().map(|ty| self.name(ty)).unwrap_or_default();
                        format!("(case \"{name}\" {payload})")
                    })
                    .collect();
                self.nominal(&format!("(variant {})", cases.join(" ")))
            }
            WitType::Enum(names) => self.nominal(&format!("(enum {})", quoted(names))),
            WitType::Flags(names) => self.nominal(&format!("(flags {})", quoted(names))),
            WitType::Handle(_) | WitType::Unsupported(_) => panic!("never generated"),
        }
    }

    fn nominal(&mut self, definition: &str) -> String {
        let n = self.count;
        self.count += 1;
        let _ = write!(
            self.text,
            "(type $t{n} {definition}) (export \"t{n}\" (type $e{n} (eq $t{n})))\n    "
        );
        let _ = write!(self.aliases, "(alias export $h \"t{n}\" (type $o{n}))\n  ");
        format!("$e{n}")
    }

    /// The same reference outside of the instance.
    fn outer(name: &str) -> String {
        name.replace("$e", "$o")
    }
}

fn quoted(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(" ")
}
