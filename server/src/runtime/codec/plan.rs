//! `Plan`: how one list of parameters or results lies in memory, in slots and on the wire; compiled once, not looked up
//! at each call.
//!
//! Compiled from the component's own types when a thread first meets the list, and kept by thread: wasmtime makes the
//! codec's types itself and hands them nothing but those types, so that they are the key. Records and tuples are folded
//! into the fields of what holds them, because on the wire and in slots they are nothing else.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;
use wasmtime::component::__internal::InterfaceType;
use wasmtime::component::__internal::wasmtime_environ::component::{
    CanonicalAbiInfo, ComponentTypes, VariantInfo,
};
use wasmtime::{Result, bail};

/// Flat values beyond which parameters go through memory.
const SLOTS_MAX: usize = 16;
/// Plans that a thread keeps: two for each function of a thousand handlers. Beyond it those of components that are gone
/// are forgotten, and where there are none, all.
const PLANS_MAX: usize = 16_384;

/// The plan of one list of parameters or results.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fields: Fields,
    /// Bytes that the list takes in memory.
    pub(super) size: usize,
    pub(super) align: u32,
    /// Slots that it takes where it goes through slots; `None` where there are too many for any function.
    pub(super) slots: Option<usize>,
}

/// Values that follow one another.
pub(super) type Fields = Box<[Field]>;

/// A value that is no record and no tuple.
#[derive(Debug)]
pub(super) struct Field {
    /// Its offset from where its list begins.
    pub(super) at: usize,
    pub(super) shape: Shape,
}

/// What a value is made of.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    Char,
    /// So many flags.
    Flags(usize),
    String,
    /// `list<u8>`.
    Bytes,
    List(Box<Element>),
    Case(Box<Cases>),
}

/// The elements of a list.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) fields: Fields,
    pub(super) size: usize,
    pub(super) align: u32,
    /// The fewest bytes of one on the wire: at least 1, so that a count is bounded by the input. Types without any bytes
    /// (a record without fields) do not exist in WIT; empty flags do, and count as one.
    pub(super) bytes_min: usize,
}

/// A variant, an enum, an option or a result.
#[derive(Debug)]
pub(super) struct Cases {
    pub(super) count: usize,
    /// Bytes of the discriminant in memory.
    pub(super) size: usize,
    pub(super) payload_at: usize,
    /// Slots behind that of the discriminant.
    pub(super) slots: usize,
    /// By case; none for an enum.
    pub(super) payloads: Box<[Option<Payload>]>,
}

/// What a case carries.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) fields: Fields,
    pub(super) slots: usize,
}

impl Shape {
    /// Whether writing one needs no memory of its own, and its size is the same for all values.
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::List(_) | Self::Case(_))
    }
}

impl Cases {
    pub(super) fn payload(&self, case: usize) -> Option<&Payload> {
        self.payloads.get(case)?.as_ref()
    }
}

thread_local! {
    static PLANS: RefCell<FxHashMap<Key, Known>> = RefCell::default();
}

/// Where the types lie, and which of their tuples it is.
type Key = (*const ComponentTypes, u32);

struct Known {
    /// As long as this is here, no other types can lie there.
    types: Weak<ComponentTypes>,
    plan: Arc<Plan>,
}

/// The plan of a list. Never inlined, for the reason that `watch.rs` gives.
#[inline(never)]
pub(super) fn of(types: &Arc<ComponentTypes>, list: InterfaceType) -> Result<Arc<Plan>> {
    let InterfaceType::Tuple(index) = list else {
        bail!("parameters and results are tuples, not {list:?}")
    };
    let key = (Arc::as_ptr(types), index.as_u32());
    PLANS.with_borrow_mut(|plans| {
        if let Some(known) = plans.get(&key) {
            return Ok(Arc::clone(&known.plan));
        }
        let plan = Arc::new(Plan::compile(types, list)?);
        if plans.len() >= PLANS_MAX {
            plans.retain(|_, known| known.types.strong_count() > 0);
        }
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        let known = Known {
            types: Arc::downgrade(types),
            plan: Arc::clone(&plan),
        };
        plans.insert(key, known);
        Ok(plan)
    })
}

impl Plan {
    fn compile(types: &ComponentTypes, list: InterfaceType) -> Result<Self> {
        let abi = types.canonical_abi(&list);
        Ok(Self {
            fields: fields(types, list)?,
            size: abi.size32 as usize,
            align: abi.align32,
            slots: abi.flat_count(SLOTS_MAX),
        })
    }
}

fn fields(types: &ComponentTypes, ty: InterfaceType) -> Result<Fields> {
    let mut fields = Vec::new();
    push(types, ty, 0, &mut fields)?;
    Ok(fields.into())
}

/// Adds the fields of a type that lies at an offset.
fn push(types: &ComponentTypes, ty: InterfaceType, at: usize, fields: &mut Vec<Field>) -> Result<()> {
    let mut offset = at;
    match ty {
        InterfaceType::Record(i) => {
            for field in &types[i].fields {
                let at = types.canonical_abi(&field.ty).next_field32_size(&mut offset);
                push(types, field.ty, at, fields)?;
            }
        }
        InterfaceType::Tuple(i) => {
            for ty in &types[i].types {
                let at = types.canonical_abi(ty).next_field32_size(&mut offset);
                push(types, *ty, at, fields)?;
            }
        }
        other => {
            let shape = shape(types, other)?;
            fields.push(Field { at, shape });
        }
    }
    Ok(())
}

fn shape(types: &ComponentTypes, ty: InterfaceType) -> Result<Shape> {
    use InterfaceType as I;
    Ok(match ty {
        I::Bool => Shape::Bool,
        I::U8 => Shape::U8,
        I::S8 => Shape::S8,
        I::U16 => Shape::U16,
        I::S16 => Shape::S16,
        I::U32 => Shape::U32,
        I::S32 => Shape::S32,
        I::U64 => Shape::U64,
        I::S64 => Shape::S64,
        I::Float32 => Shape::F32,
        I::Float64 => Shape::F64,
        I::Char => Shape::Char,
        I::String => Shape::String,
        I::Flags(i) => Shape::Flags(types[i].names.len()),
        I::List(i) if matches!(types[i].element, I::U8) => Shape::Bytes,
        I::List(i) => {
            let element = types[i].element;
            let abi = types.canonical_abi(&element);
            Shape::List(Box::new(Element {
                fields: fields(types, element)?,
                size: abi.size32 as usize,
                align: abi.align32,
                bytes_min: bytes_min(types, element),
            }))
        }
        I::Variant(i) => {
            let of = &types[i];
            cases(types, (&of.info, &of.abi), of.cases.values().copied())?
        }
        I::Option(i) => {
            let of = &types[i];
            cases(types, (&of.info, &of.abi), [None, Some(of.ty)].into_iter())?
        }
        I::Result(i) => {
            let of = &types[i];
            cases(types, (&of.info, &of.abi), [of.ok, of.err].into_iter())?
        }
        I::Enum(i) => {
            let of = &types[i];
            Shape::Case(Box::new(Cases {
                count: of.names.len(),
                ..without_payloads((&of.info, &of.abi))
            }))
        }
        other => bail!("{other:?} cannot be carried as bytes"),
    })
}

fn cases(
    types: &ComponentTypes,
    layout: (&VariantInfo, &CanonicalAbiInfo),
    payloads: impl Iterator<Item = Option<InterfaceType>>,
) -> Result<Shape> {
    let payload = |ty: InterfaceType| -> Result<Payload> {
        Ok(Payload {
            fields: fields(types, ty)?,
            slots: slots(types.canonical_abi(&ty)),
        })
    };
    let payloads: Box<[_]> = payloads
        .map(|ty| ty.map(payload).transpose())
        .collect::<Result<_>>()?;
    Ok(Shape::Case(Box::new(Cases {
        count: payloads.len(),
        payloads,
        ..without_payloads(layout)
    })))
}

fn without_payloads((info, abi): (&VariantInfo, &CanonicalAbiInfo)) -> Cases {
    Cases {
        count: 0,
        size: usize::from(info.size),
        payload_at: info.payload_offset32 as usize,
        slots: slots(abi).saturating_sub(1),
        payloads: Box::default(),
    }
}

/// Slots of a part. Only used within a list that is flat altogether, so that every part of it is.
fn slots(abi: &CanonicalAbiInfo) -> usize {
    abi.flat_count(usize::MAX).unwrap_or(0)
}

fn bytes_min(types: &ComponentTypes, ty: InterfaceType) -> usize {
    match ty {
        InterfaceType::Float32 => 4,
        InterfaceType::Float64 => 8,
        InterfaceType::Record(i) => types[i].fields.len().max(1),
        InterfaceType::Tuple(i) => types[i].types.len().max(1),
        InterfaceType::Flags(i) => types[i].names.len().div_ceil(8).max(1),
        _ => 1,
    }
}
