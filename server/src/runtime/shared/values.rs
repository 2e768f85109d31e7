//! Whether bytes are values of given types, told before a guest sees them.
//!
//! In a store of its own a call whose arguments do not fit ends by itself. In a shared one the store would end with it,
//! and with it its neighbours: so they are looked at first. Pure; the same rules as `codec/lower.rs`.

use protocol::value::{Reader, ValueError};

use crate::runtime::wit_type::WitType;

/// Checks that the bytes are one value of each type, and nothing more.
pub(in crate::runtime) fn check<'t>(
    bytes: &[u8],
    types: impl IntoIterator<Item = &'t WitType>,
) -> Result<(), ValueError> {
    let mut reader = Reader::new(bytes);
    for ty in types {
        value(&mut reader, ty)?;
    }
    reader.finish()
}

fn value(reader: &mut Reader<'_>, ty: &WitType) -> Result<(), ValueError> {
    match ty {
        WitType::Bool => drop(reader.bool()?),
        WitType::U8 | WitType::S8 => drop(reader.byte()?),
        WitType::U16 => drop(reader.unsigned::<u16>()?),
        WitType::S16 => drop(reader.signed::<i16>()?),
        WitType::U32 => drop(reader.unsigned::<u32>()?),
        WitType::S32 => drop(reader.signed::<i32>()?),
        WitType::U64 => drop(reader.leb()?),
        WitType::S64 => drop(reader.sleb()?),
        WitType::F32 => drop(reader.array::<4>()?),
        WitType::F64 => drop(reader.array::<8>()?),
        WitType::Char => drop(reader.char()?),
        WitType::String => drop(reader.str()?),
        WitType::List(element) => {
            for _ in 0..reader.count(element.bytes_min())? {
                value(reader, element)?;
            }
        }
        WitType::Record(fields) => fields.iter().try_for_each(|(_, ty)| value(reader, ty))?,
        WitType::Tuple(types) => types.iter().try_for_each(|ty| value(reader, ty))?,
        WitType::Variant(cases) => {
            let case = reader.discriminant(cases.len())?;
            payload(reader, cases.get(case).and_then(|(_, ty)| ty.as_ref()))?;
        }
        WitType::Enum(names) => drop(reader.discriminant(names.len())?),
        WitType::Option(inner) => {
            let is_some = reader.discriminant(2)? == 1;
            payload(reader, is_some.then_some(inner))?;
        }
        WitType::Result(ok, err) => {
            let side = if reader.discriminant(2)? == 0 { ok } else { err };
            payload(reader, side.as_deref())?;
        }
        WitType::Flags(names) => {
            let bytes = reader.take(names.len().div_ceil(8))?;
            let spare = bytes.len() * 8 - names.len();
            let is_set = |last: &u8| last.leading_zeros() < spare as u32;
            if spare > 0 && bytes.last().is_some_and(is_set) {
                return Err(ValueError::Flags);
            }
        }
        // Functions with these are never called through bytes.
        WitType::Handle(_) | WitType::Unsupported(_) => return Err(ValueError::Discriminant),
    }
    Ok(())
}

fn payload(reader: &mut Reader<'_>, ty: Option<&WitType>) -> Result<(), ValueError> {
    ty.map_or(Ok(()), |ty| value(reader, ty))
}
