//! Wire bytes → canonical ABI: into flat slots, or into the guest's memory.
//!
//! Every length is checked against what is left of the input before memory is asked for it, and every byte of the
//! input must be used.

use std::mem::MaybeUninit;

use protocol::value::{Reader, ValueError};
use wasmtime::component::__internal::wasmtime_environ::component::{
    CanonicalAbiInfo, ComponentTypes, TypeTuple, VariantInfo,
};
use wasmtime::component::__internal::{InterfaceType, LowerContext};
use wasmtime::component::Lower;
use wasmtime::{Result, ValRaw, bail};

use super::{Lowered, Misfit};

const FLAT_PARAMS_MAX: usize = 16;

type Slots<'a> = std::slice::IterMut<'a, MaybeUninit<ValRaw>>;

#[expect(unsafe_code, reason = "the codec's contract with wasmtime")]
// SAFETY: all slots that the function's type has are written, as `lower_flat` consumes one slot per flat value.
unsafe impl<const N: usize> Lower for Lowered<N> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; N]>,
    ) -> Result<()> {
        // SAFETY: an array of `MaybeUninit` has the layout of the array, and needs no initialisation.
        let slots: &mut [MaybeUninit<ValRaw>; N] = unsafe { &mut *dst.as_mut_ptr().cast() };
        self.finish(lower_to_slots(cx, ty, &self.bytes, slots))
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        self.finish(lower_to_memory(cx, ty, &self.bytes, offset))
    }
}

fn lower_to_slots<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    bytes: &[u8],
    slots: &mut [MaybeUninit<ValRaw>],
) -> Result<()> {
    let types = cx.types;
    let list = tuple(types, ty)?;
    match list.abi.flat_count(FLAT_PARAMS_MAX) {
        Some(count) if count <= slots.len() => {
            let mut reader = Reader::new(bytes);
            let mut slots = slots.iter_mut();
            for ty in &list.types {
                lower_flat(cx, types, *ty, &mut reader, &mut slots)?;
            }
            reader.finish().map_err(misfit)
        }
        _ => {
            let base = cx.realloc(0, 0, list.abi.align32, list.abi.size32 as usize)?;
            lower_to_memory(cx, ty, bytes, base)?;
            let Some(slot) = slots.first_mut() else {
                bail!("no slot for a parameter pointer")
            };
            slot.write(ValRaw::i64(base as i64));
            Ok(())
        }
    }
}

fn lower_to_memory<T>(
    cx: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    bytes: &[u8],
    offset: usize,
) -> Result<()> {
    let types = cx.types;
    let list = tuple(types, ty)?;
    let mut reader = Reader::new(bytes);
    store_fields(cx, types, &list.types, &mut reader, offset)?;
    reader.finish().map_err(misfit)
}

fn misfit(error: ValueError) -> wasmtime::Error {
    wasmtime::Error::new(Misfit(error))
}

pub(super) fn tuple(types: &ComponentTypes, ty: InterfaceType) -> Result<&TypeTuple> {
    match ty {
        InterfaceType::Tuple(index) => Ok(&types[index]),
        other => bail!("parameters and results are tuples, not {other:?}"),
    }
}

/// A case of a variant, enum, option or result: the layout, the payload of case `index`, the number of cases.
pub(super) struct Cases<'t> {
    pub(super) info: &'t VariantInfo,
    pub(super) abi: &'t CanonicalAbiInfo,
    pub(super) count: usize,
}

pub(super) fn cases(types: &ComponentTypes, ty: InterfaceType) -> Result<Cases<'_>> {
    Ok(match ty {
        InterfaceType::Variant(i) => Cases {
            info: &types[i].info,
            abi: &types[i].abi,
            count: types[i].cases.len(),
        },
        InterfaceType::Enum(i) => Cases {
            info: &types[i].info,
            abi: &types[i].abi,
            count: types[i].names.len(),
        },
        InterfaceType::Option(i) => Cases {
            info: &types[i].info,
            abi: &types[i].abi,
            count: 2,
        },
        InterfaceType::Result(i) => Cases {
            info: &types[i].info,
            abi: &types[i].abi,
            count: 2,
        },
        other => bail!("{other:?} has no cases"),
    })
}

pub(super) fn payload(types: &ComponentTypes, ty: InterfaceType, case: usize) -> Option<InterfaceType> {
    match ty {
        InterfaceType::Variant(i) => types[i].cases.get_index(case).and_then(|(_, payload)| *payload),
        InterfaceType::Option(i) => (case == 1).then_some(types[i].ty),
        InterfaceType::Result(i) => {
            if case == 0 {
                types[i].ok
            } else {
                types[i].err
            }
        }
        _ => None,
    }
}

fn store_fields<T>(
    cx: &mut LowerContext<'_, T>,
    types: &ComponentTypes,
    fields: &[InterfaceType],
    reader: &mut Reader<'_>,
    base: usize,
) -> Result<()> {
    let mut offset = base;
    for ty in fields {
        let at = types.canonical_abi(ty).next_field32_size(&mut offset);
        store(cx, types, *ty, reader, at)?;
    }
    Ok(())
}

fn put<T, const K: usize>(cx: &mut LowerContext<'_, T>, offset: usize, bytes: [u8; K]) -> Result<()> {
    match cx
        .as_slice_mut()
        .get_mut(offset..)
        .and_then(|rest| rest.first_chunk_mut::<K>())
    {
        Some(slot) => {
            *slot = bytes;
            Ok(())
        }
        None => bail!("a value lies outside the guest's memory"),
    }
}

/// Copies bytes into memory that the guest allocates for them.
fn lower_bytes<T>(cx: &mut LowerContext<'_, T>, bytes: &[u8]) -> Result<(usize, usize)> {
    if bytes.is_empty() {
        return Ok((1, 0));
    }
    let pointer = cx.realloc(0, 0, 1, bytes.len())?;
    match cx
        .as_slice_mut()
        .get_mut(pointer..)
        .and_then(|rest| rest.get_mut(..bytes.len()))
    {
        Some(slot) => slot.copy_from_slice(bytes),
        None => bail!("the guest's allocator returned memory that it does not have"),
    }
    Ok((pointer, bytes.len()))
}

fn lower_list<T>(
    cx: &mut LowerContext<'_, T>,
    types: &ComponentTypes,
    element: InterfaceType,
    reader: &mut Reader<'_>,
) -> Result<(usize, usize)> {
    if matches!(element, InterfaceType::U8) {
        return lower_bytes(cx, reader.bytes().map_err(misfit)?);
    }
    let count = reader.count(bytes_min(types, element)).map_err(misfit)?;
    let abi = types.canonical_abi(&element);
    let size = abi.size32 as usize;
    if count == 0 {
        return Ok((abi.align32 as usize, 0));
    }
    let Some(total) = count.checked_mul(size) else {
        bail!("a list is longer than any memory")
    };
    let base = cx.realloc(0, 0, abi.align32, total)?;
    for index in 0..count {
        store(cx, types, element, reader, base + index * size)?;
    }
    Ok((base, count))
}

/// The fewest bytes of a value on the wire: at least 1, so that a count is bounded by the input. Types without any bytes
/// (a record without fields) do not exist in WIT; empty flags do, and count as one.
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

fn store<T>(
    cx: &mut LowerContext<'_, T>,
    types: &ComponentTypes,
    ty: InterfaceType,
    reader: &mut Reader<'_>,
    at: usize,
) -> Result<()> {
    use InterfaceType as I;
    match ty {
        I::Bool => put(cx, at, [u8::from(reader.bool().map_err(misfit)?)]),
        I::U8 | I::S8 => put(cx, at, [reader.byte().map_err(misfit)?]),
        I::U16 => put(cx, at, reader.unsigned::<u16>().map_err(misfit)?.to_le_bytes()),
        I::S16 => put(cx, at, reader.signed::<i16>().map_err(misfit)?.to_le_bytes()),
        I::U32 => put(cx, at, reader.unsigned::<u32>().map_err(misfit)?.to_le_bytes()),
        I::S32 => put(cx, at, reader.signed::<i32>().map_err(misfit)?.to_le_bytes()),
        I::U64 => put(cx, at, reader.leb().map_err(misfit)?.to_le_bytes()),
        I::S64 => put(cx, at, reader.sleb().map_err(misfit)?.to_le_bytes()),
        I::Float32 => put(cx, at, reader.array::<4>().map_err(misfit)?),
        I::Float64 => put(cx, at, reader.array::<8>().map_err(misfit)?),
        I::Char => put(cx, at, u32::from(reader.char().map_err(misfit)?).to_le_bytes()),
        I::String => {
            let (pointer, length) = lower_bytes(cx, reader.str().map_err(misfit)?.as_bytes())?;
            store_pair(cx, at, pointer, length)
        }
        I::List(i) => {
            let (pointer, length) = lower_list(cx, types, types[i].element, reader)?;
            store_pair(cx, at, pointer, length)
        }
        I::Record(i) => {
            let mut offset = at;
            for field in &types[i].fields {
                let field_at = types.canonical_abi(&field.ty).next_field32_size(&mut offset);
                store(cx, types, field.ty, reader, field_at)?;
            }
            Ok(())
        }
        I::Tuple(i) => store_fields(cx, types, &types[i].types, reader, at),
        I::Variant(_) | I::Enum(_) | I::Option(_) | I::Result(_) => store_case(cx, types, ty, reader, at),
        I::Flags(i) => store_flags(cx, types[i].names.len(), reader, at),
        other => bail!("{other:?} cannot be carried as bytes"),
    }
}

fn store_pair<T>(cx: &mut LowerContext<'_, T>, at: usize, pointer: usize, length: usize) -> Result<()> {
    put(cx, at, (pointer as u32).to_le_bytes())?;
    put(cx, at + 4, (length as u32).to_le_bytes())
}

fn store_case<T>(
    cx: &mut LowerContext<'_, T>,
    types: &ComponentTypes,
    ty: InterfaceType,
    reader: &mut Reader<'_>,
    at: usize,
) -> Result<()> {
    let cases = cases(types, ty)?;
    let case = reader.discriminant(cases.count).map_err(misfit)?;
    match usize::from(cases.info.size) {
        1 => put(cx, at, [case as u8])?,
        2 => put(cx, at, (case as u16).to_le_bytes())?,
        _ => put(cx, at, (case as u32).to_le_bytes())?,
    }
    match payload(types, ty, case) {
        Some(payload) => store(
            cx,
            types,
            payload,
            reader,
            at + cases.info.payload_offset32 as usize,
        ),
        None => Ok(()),
    }
}

/// The flags of one value as words of 32, least significant first.
fn flag_words(count: usize, reader: &mut Reader<'_>) -> Result<impl Iterator<Item = u32>> {
    let bytes = reader.take(count.div_ceil(8)).map_err(misfit)?;
    let spare = bytes.len() * 8 - count;
    if spare > 0
        && bytes
            .last()
            .is_some_and(|last| last.leading_zeros() < spare as u32)
    {
        return Err(misfit(ValueError::Flags));
    }
    let words: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            chunk
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte))
        })
        .collect();
    Ok(words.into_iter())
}

fn store_flags<T>(
    cx: &mut LowerContext<'_, T>,
    count: usize,
    reader: &mut Reader<'_>,
    at: usize,
) -> Result<()> {
    for (index, word) in flag_words(count, reader)?.enumerate() {
        match count {
            0..=8 => put(cx, at, [word as u8])?,
            9..=16 => put(cx, at, (word as u16).to_le_bytes())?,
            _ => put(cx, at + 4 * index, word.to_le_bytes())?,
        }
    }
    Ok(())
}

fn write(slots: &mut Slots<'_>, value: ValRaw) -> Result<()> {
    match slots.next() {
        Some(slot) => {
            slot.write(value);
            Ok(())
        }
        None => bail!("the function has more flat values than slots"),
    }
}

fn lower_flat<T>(
    cx: &mut LowerContext<'_, T>,
    types: &ComponentTypes,
    ty: InterfaceType,
    reader: &mut Reader<'_>,
    slots: &mut Slots<'_>,
) -> Result<()> {
    use InterfaceType as I;
    let value = match ty {
        I::Bool => ValRaw::u32(u32::from(reader.bool().map_err(misfit)?)),
        I::U8 => ValRaw::u32(u32::from(reader.byte().map_err(misfit)?)),
        I::S8 => ValRaw::i32(i32::from(reader.byte().map_err(misfit)? as i8)),
        I::U16 => ValRaw::u32(u32::from(reader.unsigned::<u16>().map_err(misfit)?)),
        I::S16 => ValRaw::i32(i32::from(reader.signed::<i16>().map_err(misfit)?)),
        I::U32 => ValRaw::u32(reader.unsigned().map_err(misfit)?),
        I::S32 => ValRaw::i32(reader.signed().map_err(misfit)?),
        I::U64 => ValRaw::u64(reader.leb().map_err(misfit)?),
        I::S64 => ValRaw::i64(reader.sleb().map_err(misfit)?),
        I::Float32 => ValRaw::f32(u32::from_le_bytes(reader.array().map_err(misfit)?)),
        I::Float64 => ValRaw::f64(u64::from_le_bytes(reader.array().map_err(misfit)?)),
        I::Char => ValRaw::u32(u32::from(reader.char().map_err(misfit)?)),
        I::String => {
            let (pointer, length) = lower_bytes(cx, reader.str().map_err(misfit)?.as_bytes())?;
            write(slots, ValRaw::i64(pointer as i64))?;
            ValRaw::i64(length as i64)
        }
        I::List(i) => {
            let (pointer, length) = lower_list(cx, types, types[i].element, reader)?;
            write(slots, ValRaw::i64(pointer as i64))?;
            ValRaw::i64(length as i64)
        }
        I::Record(i) => {
            return types[i]
                .fields
                .iter()
                .try_for_each(|field| lower_flat(cx, types, field.ty, reader, slots));
        }
        I::Tuple(i) => {
            return types[i]
                .types
                .iter()
                .try_for_each(|ty| lower_flat(cx, types, *ty, reader, slots));
        }
        I::Variant(_) | I::Enum(_) | I::Option(_) | I::Result(_) => {
            return lower_flat_case(cx, types, ty, reader, slots);
        }
        I::Flags(i) => {
            return flag_words(types[i].names.len(), reader)?
                .try_for_each(|word| write(slots, ValRaw::u32(word)));
        }
        other => bail!("{other:?} cannot be carried as bytes"),
    };
    write(slots, value)
}

fn lower_flat_case<T>(
    cx: &mut LowerContext<'_, T>,
    types: &ComponentTypes,
    ty: InterfaceType,
    reader: &mut Reader<'_>,
    slots: &mut Slots<'_>,
) -> Result<()> {
    let cases = cases(types, ty)?;
    let case = reader.discriminant(cases.count).map_err(misfit)?;
    write(slots, ValRaw::u32(case as u32))?;
    let total = flat_count(cases.abi).saturating_sub(1);
    let used = match payload(types, ty, case) {
        Some(payload) => {
            lower_flat(cx, types, payload, reader, slots)?;
            flat_count(types.canonical_abi(&payload))
        }
        None => 0,
    };
    (used..total).try_for_each(|_| write(slots, ValRaw::u64(0)))
}

pub(super) fn flat_count(abi: &CanonicalAbiInfo) -> usize {
    // Only asked within a function whose parameters are flat altogether, so that every part of it is.
    abi.flat_count(usize::MAX)
        .expect("a part of flat parameters is flat")
}
