//! Canonical ABI → wire bytes: out of flat slots, or out of the guest's memory.
//!
//! The guest is not trusted: pointers, alignment, UTF-8, characters and discriminants are checked, and the bytes are
//! charged to the store's host-call fuel before they are copied.

use protocol::value::{put_bytes, put_char, put_leb, put_sleb};
use wasmtime::component::__internal::wasmtime_environ::component::ComponentTypes;
use wasmtime::component::__internal::{InterfaceType, LiftContext};
use wasmtime::component::Lift;
use wasmtime::{Result, ValRaw, bail};

use super::Lifted;
use super::lower::{cases, flat_count, payload, tuple};

use std::time::Instant;

const FLAT_MAX: usize = 16;
/// What most results fit in.
const BYTES_USUAL: usize = 64;

type Slots<'a> = std::slice::Iter<'a, ValRaw>;

#[expect(unsafe_code, reason = "the codec's contract with wasmtime")]
// SAFETY: only slots that the function's type has are read, and memory only through checked ranges.
unsafe impl<const N: usize> Lift for Lifted<N> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[ValRaw; N]) -> Result<Self> {
        let began = Instant::now();
        let types = std::sync::Arc::clone(cx.types);
        let list = tuple(&types, ty)?;
        let mut bytes = Vec::with_capacity(BYTES_USUAL);
        match list.abi.flat_count(FLAT_MAX) {
            Some(count) if count <= N => {
                let mut slots = src.iter();
                for ty in &list.types {
                    lift_flat(cx, &types, *ty, &mut slots, &mut bytes)?;
                }
            }
            _ => {
                let Some(slot) = src.first() else {
                    bail!("no slot for a return pointer")
                };
                let base = slot.get_u32() as usize;
                let end = base.checked_add(list.abi.size32 as usize);
                let misaligned = !base.is_multiple_of(list.abi.align32 as usize);
                if misaligned || end.is_none_or(|end| end > cx.memory().len()) {
                    bail!("the guest returned a pointer that is misaligned or outside its memory");
                }
                load_fields(cx, &types, &list.types, base, &mut bytes)?;
            }
        }
        Ok(Self { bytes, began })
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, at: &[u8]) -> Result<Self> {
        let began = Instant::now();
        let types = std::sync::Arc::clone(cx.types);
        let list = tuple(&types, ty)?;
        // The empty slice's address is the offset, see `component_type!`; wasmtime checked range and alignment.
        let base = at.as_ptr() as usize - cx.memory().as_ptr() as usize;
        let mut bytes = Vec::with_capacity(BYTES_USUAL);
        load_fields(cx, &types, &list.types, base, &mut bytes)?;
        Ok(Self { bytes, began })
    }
}

fn load_fields(
    cx: &mut LiftContext<'_>,
    types: &ComponentTypes,
    fields: &[InterfaceType],
    base: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut offset = base;
    for ty in fields {
        let at = types.canonical_abi(ty).next_field32_size(&mut offset);
        load(cx, types, *ty, at, out)?;
    }
    Ok(())
}

fn get<const K: usize>(cx: &LiftContext<'_>, at: usize) -> Result<[u8; K]> {
    match cx.memory().get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => Ok(*bytes),
        None => bail!("a value lies outside the guest's memory"),
    }
}

fn get_u32(cx: &LiftContext<'_>, at: usize) -> Result<u32> {
    get(cx, at).map(u32::from_le_bytes)
}

fn lift_bytes(cx: &mut LiftContext<'_>, pointer: u32, length: u32, out: &mut Vec<u8>) -> Result<()> {
    cx.consume_fuel(length as usize)?;
    match cx
        .memory()
        .get(pointer as usize..)
        .and_then(|rest| rest.get(..length as usize))
    {
        Some(bytes) => put_bytes(out, bytes),
        None => bail!("a string or list lies outside the guest's memory"),
    }
    Ok(())
}

fn lift_str(cx: &mut LiftContext<'_>, pointer: u32, length: u32, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    lift_bytes(cx, pointer, length, out)?;
    // The count's bytes are ASCII or continuation-like bytes; only the text behind them is checked.
    let text = out.len() - length as usize;
    debug_assert!(text > start);
    if std::str::from_utf8(&out[text..]).is_err() {
        bail!("the guest returned a string that is not UTF-8");
    }
    Ok(())
}

fn lift_list(
    cx: &mut LiftContext<'_>,
    types: &ComponentTypes,
    element: InterfaceType,
    (pointer, length): (u32, u32),
    out: &mut Vec<u8>,
) -> Result<()> {
    if matches!(element, InterfaceType::U8) {
        return lift_bytes(cx, pointer, length, out);
    }
    let abi = types.canonical_abi(&element);
    let (base, count, size) = (pointer as usize, length as usize, abi.size32 as usize);
    let end = count.checked_mul(size).and_then(|bytes| bytes.checked_add(base));
    if end.is_none_or(|end| end > cx.memory().len()) {
        bail!("a list lies outside the guest's memory");
    }
    if !base.is_multiple_of(abi.align32 as usize) {
        bail!("a list is not aligned in the guest's memory");
    }
    cx.consume_fuel_array(count, size)?;
    put_leb(out, count as u64);
    (0..count).try_for_each(|index| load(cx, types, element, base + index * size, out))
}

fn lift_char(code: u32, out: &mut Vec<u8>) -> Result<()> {
    match char::from_u32(code) {
        Some(value) => put_char(out, value),
        None => bail!("the guest returned a character that is none"),
    }
    Ok(())
}

fn load(
    cx: &mut LiftContext<'_>,
    types: &ComponentTypes,
    ty: InterfaceType,
    at: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    use InterfaceType as I;
    match ty {
        I::Bool => out.push(u8::from(get::<1>(cx, at)? != [0])),
        I::U8 | I::S8 => out.extend_from_slice(&get::<1>(cx, at)?),
        I::U16 => put_leb(out, u64::from(u16::from_le_bytes(get(cx, at)?))),
        I::S16 => put_sleb(out, i64::from(i16::from_le_bytes(get(cx, at)?))),
        I::U32 => put_leb(out, u64::from(get_u32(cx, at)?)),
        I::S32 => put_sleb(out, i64::from(i32::from_le_bytes(get(cx, at)?))),
        I::U64 => put_leb(out, u64::from_le_bytes(get(cx, at)?)),
        I::S64 => put_sleb(out, i64::from_le_bytes(get(cx, at)?)),
        I::Float32 => out.extend_from_slice(&get::<4>(cx, at)?),
        I::Float64 => out.extend_from_slice(&get::<8>(cx, at)?),
        I::Char => lift_char(get_u32(cx, at)?, out)?,
        I::String => {
            let (pointer, length) = (get_u32(cx, at)?, get_u32(cx, at + 4)?);
            lift_str(cx, pointer, length, out)?;
        }
        I::List(i) => {
            let span = (get_u32(cx, at)?, get_u32(cx, at + 4)?);
            lift_list(cx, types, types[i].element, span, out)?;
        }
        I::Record(i) => {
            let mut offset = at;
            for field in &types[i].fields {
                let field_at = types.canonical_abi(&field.ty).next_field32_size(&mut offset);
                load(cx, types, field.ty, field_at, out)?;
            }
        }
        I::Tuple(i) => load_fields(cx, types, &types[i].types, at, out)?,
        I::Variant(_) | I::Enum(_) | I::Option(_) | I::Result(_) => {
            let cases = cases(types, ty)?;
            let case = match usize::from(cases.info.size) {
                1 => usize::from(get::<1>(cx, at)?[0]),
                2 => usize::from(u16::from_le_bytes(get(cx, at)?)),
                _ => get_u32(cx, at)? as usize,
            };
            put_case(case, cases.count, out)?;
            if let Some(payload) = payload(types, ty, case) {
                load(cx, types, payload, at + cases.info.payload_offset32 as usize, out)?;
            }
        }
        I::Flags(i) => load_flags(cx, types[i].names.len(), at, out)?,
        other => bail!("{other:?} cannot be carried as bytes"),
    }
    Ok(())
}

fn put_case(case: usize, count: usize, out: &mut Vec<u8>) -> Result<()> {
    if case >= count {
        bail!("the guest returned a case that its type does not have");
    }
    put_leb(out, case as u64);
    Ok(())
}

fn load_flags(cx: &LiftContext<'_>, count: usize, at: usize, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    for index in 0..count.div_ceil(32) {
        let word = match count {
            0..=8 => u32::from(get::<1>(cx, at)?[0]),
            9..=16 => u32::from(u16::from_le_bytes(get(cx, at)?)),
            _ => get_u32(cx, at + 4 * index)?,
        };
        out.extend_from_slice(&word.to_le_bytes());
    }
    trim_flags(count, start, out);
    Ok(())
}

/// Cuts words to `ceil(count / 8)` bytes and clears bits that the type does not have, as the canonical ABI asks.
fn trim_flags(count: usize, start: usize, out: &mut Vec<u8>) {
    let bytes = count.div_ceil(8);
    out.truncate(start + bytes);
    let spare = bytes * 8 - count;
    if let Some(last) = out[start..].last_mut() {
        *last &= 0xff >> spare;
    }
}

fn lift_flat(
    cx: &mut LiftContext<'_>,
    types: &ComponentTypes,
    ty: InterfaceType,
    slots: &mut Slots<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    use InterfaceType as I;
    let mut next = || slots.next().copied().unwrap_or_else(|| ValRaw::u64(0));
    match ty {
        I::Bool => out.push(u8::from(next().get_u32() != 0)),
        I::U8 | I::S8 => out.push(next().get_u32() as u8),
        I::U16 => put_leb(out, u64::from(next().get_u32() as u16)),
        I::S16 => put_sleb(out, i64::from(next().get_i32() as i16)),
        I::U32 => put_leb(out, u64::from(next().get_u32())),
        I::S32 => put_sleb(out, i64::from(next().get_i32())),
        I::U64 => put_leb(out, next().get_u64()),
        I::S64 => put_sleb(out, next().get_i64()),
        I::Float32 => out.extend_from_slice(&next().get_f32().to_le_bytes()),
        I::Float64 => out.extend_from_slice(&next().get_f64().to_le_bytes()),
        I::Char => lift_char(next().get_u32(), out)?,
        I::String => {
            let (pointer, length) = (next().get_u32(), next().get_u32());
            lift_str(cx, pointer, length, out)?;
        }
        I::List(i) => {
            let span = (next().get_u32(), next().get_u32());
            lift_list(cx, types, types[i].element, span, out)?;
        }
        I::Record(i) => {
            for field in &types[i].fields {
                lift_flat(cx, types, field.ty, slots, out)?;
            }
        }
        I::Tuple(i) => {
            for ty in &types[i].types {
                lift_flat(cx, types, *ty, slots, out)?;
            }
        }
        I::Variant(_) | I::Enum(_) | I::Option(_) | I::Result(_) => {
            lift_flat_case(cx, types, ty, slots, out)?;
        }
        I::Flags(i) => {
            let (count, start) = (types[i].names.len(), out.len());
            for _ in 0..count.div_ceil(32) {
                out.extend_from_slice(&next().get_u32().to_le_bytes());
            }
            trim_flags(count, start, out);
        }
        other => bail!("{other:?} cannot be carried as bytes"),
    }
    Ok(())
}

fn lift_flat_case(
    cx: &mut LiftContext<'_>,
    types: &ComponentTypes,
    ty: InterfaceType,
    slots: &mut Slots<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let cases = cases(types, ty)?;
    let case = slots.next().map_or(0, ValRaw::get_u32) as usize;
    put_case(case, cases.count, out)?;
    let total = flat_count(cases.abi).saturating_sub(1);
    let used = match payload(types, ty, case) {
        Some(payload) => {
            lift_flat(cx, types, payload, slots, out)?;
            flat_count(types.canonical_abi(&payload))
        }
        None => 0,
    };
    for _ in used..total {
        slots.next();
    }
    Ok(())
}
