//! Canonical ABI → wire bytes: out of flat slots, or out of the guest's memory, by the list's plan.
//!
//! The guest is not trusted: pointers, alignment, UTF-8, characters and discriminants are checked, and the bytes are
//! charged to the store's host-call fuel before they are copied.

use protocol::value::{put_bytes, put_char, put_leb, put_sleb};
use wasmtime::component::__internal::{InterfaceType, LiftContext};
use wasmtime::component::Lift;
use wasmtime::{Result, ValRaw, bail};

use super::plan::{self, Cases, Element, Field, Shape};
use super::{Lifted, scratch, watch};

type Slots<'a> = std::slice::Iter<'a, ValRaw>;

#[expect(unsafe_code, reason = "the codec's contract with wasmtime")]
// SAFETY: only slots that the function's type has are read, and memory only through checked ranges.
unsafe impl<const N: usize> Lift for Lifted<N> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[ValRaw; N]) -> Result<Self> {
        let began = watch::now();
        let plan = plan::of(cx.types, ty)?;
        let mut lifting = Lifting::new(cx);
        match plan.slots {
            Some(count) if count <= N => lifting.fields_from_slots(&plan.fields, &mut src.iter())?,
            _ => {
                let Some(slot) = src.first() else {
                    bail!("no slot for a return pointer")
                };
                let base = slot.get_u32() as usize;
                let end = base.checked_add(plan.size);
                let misaligned = !base.is_multiple_of(plan.align as usize);
                if misaligned || end.is_none_or(|end| end > lifting.memory.len()) {
                    bail!("the guest returned a pointer that is misaligned or outside its memory");
                }
                lifting.fields(&plan.fields, base)?;
            }
        }
        Ok(Self {
            bytes: scratch::sealed(lifting.out),
            began,
        })
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, at: &[u8]) -> Result<Self> {
        let began = watch::now();
        let plan = plan::of(cx.types, ty)?;
        let mut lifting = Lifting::new(cx);
        // The empty slice's address is the offset, see `component_type!`; wasmtime checked range and alignment.
        let base = at.as_ptr() as usize - lifting.memory.as_ptr() as usize;
        lifting.fields(&plan.fields, base)?;
        Ok(Self {
            bytes: scratch::sealed(lifting.out),
            began,
        })
    }
}

fn get<const K: usize>(memory: &[u8], at: usize) -> Result<[u8; K]> {
    match memory.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => Ok(*bytes),
        None => bail!("a value lies outside the guest's memory"),
    }
}

fn get_u32(memory: &[u8], at: usize) -> Result<u32> {
    get(memory, at).map(u32::from_le_bytes)
}

/// Values on their way out of a guest.
struct Lifting<'a, 'cx> {
    cx: &'a mut LiftContext<'cx>,
    memory: &'cx [u8],
    out: Vec<u8>,
}

impl<'a, 'cx> Lifting<'a, 'cx> {
    fn new(cx: &'a mut LiftContext<'cx>) -> Self {
        let memory = cx.memory();
        Self {
            cx,
            memory,
            out: scratch::empty(),
        }
    }

    fn fields(&mut self, fields: &[Field], base: usize) -> Result<()> {
        fields
            .iter()
            .try_for_each(|field| self.value(&field.shape, base + field.at))
    }

    fn value(&mut self, shape: &Shape, at: usize) -> Result<()> {
        match shape {
            Shape::Bool => self.out.push(u8::from(get::<1>(self.memory, at)? != [0])),
            Shape::U8 | Shape::S8 => self.out.extend_from_slice(&get::<1>(self.memory, at)?),
            Shape::U16 => put_leb(&mut self.out, u16::from_le_bytes(get(self.memory, at)?).into()),
            Shape::S16 => put_sleb(&mut self.out, i16::from_le_bytes(get(self.memory, at)?).into()),
            Shape::U32 => put_leb(&mut self.out, get_u32(self.memory, at)?.into()),
            Shape::S32 => put_sleb(&mut self.out, i32::from_le_bytes(get(self.memory, at)?).into()),
            Shape::U64 => put_leb(&mut self.out, u64::from_le_bytes(get(self.memory, at)?)),
            Shape::S64 => put_sleb(&mut self.out, i64::from_le_bytes(get(self.memory, at)?)),
            Shape::F32 => self.out.extend_from_slice(&get::<4>(self.memory, at)?),
            Shape::F64 => self.out.extend_from_slice(&get::<8>(self.memory, at)?),
            Shape::Char => self.char(get_u32(self.memory, at)?)?,
            Shape::Flags(count) => self.flags(*count, at)?,
            Shape::String | Shape::Bytes | Shape::List(_) => {
                let pair: [u8; 8] = get(self.memory, at)?;
                let pair = u64::from_le_bytes(pair);
                self.sequence(shape, pair as u32, (pair >> 32) as u32)?;
            }
            Shape::Case(cases) => {
                let case = match cases.size {
                    1 => usize::from(get::<1>(self.memory, at)?[0]),
                    2 => usize::from(u16::from_le_bytes(get(self.memory, at)?)),
                    _ => get_u32(self.memory, at)? as usize,
                };
                self.case(case, cases)?;
                if let Some(payload) = cases.payload(case) {
                    self.fields(&payload.fields, at + cases.payload_at)?;
                }
            }
        }
        Ok(())
    }

    /// A string or a list, by its pointer and length.
    fn sequence(&mut self, shape: &Shape, pointer: u32, length: u32) -> Result<()> {
        match shape {
            Shape::String => self.string(pointer, length),
            Shape::List(element) => self.list(element, pointer, length),
            _ => self.bytes(pointer, length),
        }
    }

    fn bytes(&mut self, pointer: u32, length: u32) -> Result<()> {
        let bytes = self.span(pointer, length)?;
        put_bytes(&mut self.out, bytes);
        Ok(())
    }

    fn string(&mut self, pointer: u32, length: u32) -> Result<()> {
        let bytes = self.span(pointer, length)?;
        // Most text is ASCII, which is known at a glance.
        if !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
            bail!("the guest returned a string that is not UTF-8");
        }
        put_bytes(&mut self.out, bytes);
        Ok(())
    }

    fn span(&mut self, pointer: u32, length: u32) -> Result<&'cx [u8]> {
        self.cx.consume_fuel(length as usize)?;
        let rest = self.memory.get(pointer as usize..);
        match rest.and_then(|rest| rest.get(..length as usize)) {
            Some(bytes) => Ok(bytes),
            None => bail!("a string or list lies outside the guest's memory"),
        }
    }

    fn list(&mut self, element: &Element, pointer: u32, length: u32) -> Result<()> {
        let (base, count) = (pointer as usize, length as usize);
        let end = count
            .checked_mul(element.size)
            .and_then(|bytes| bytes.checked_add(base));
        if end.is_none_or(|end| end > self.memory.len()) {
            bail!("a list lies outside the guest's memory");
        }
        if !base.is_multiple_of(element.align as usize) {
            bail!("a list is not aligned in the guest's memory");
        }
        self.cx.consume_fuel_array(count, element.size)?;
        put_leb(&mut self.out, count as u64);
        (0..count).try_for_each(|index| self.fields(&element.fields, base + index * element.size))
    }

    fn char(&mut self, code: u32) -> Result<()> {
        match char::from_u32(code) {
            Some(value) => put_char(&mut self.out, value),
            None => bail!("the guest returned a character that is none"),
        }
        Ok(())
    }

    fn case(&mut self, case: usize, cases: &Cases) -> Result<()> {
        if case >= cases.count {
            bail!("the guest returned a case that its type does not have");
        }
        put_leb(&mut self.out, case as u64);
        Ok(())
    }

    fn flags(&mut self, count: usize, at: usize) -> Result<()> {
        let start = self.out.len();
        for index in 0..count.div_ceil(32) {
            let word = match count {
                0..=8 => u32::from(get::<1>(self.memory, at)?[0]),
                9..=16 => u32::from(u16::from_le_bytes(get(self.memory, at)?)),
                _ => get_u32(self.memory, at + 4 * index)?,
            };
            self.out.extend_from_slice(&word.to_le_bytes());
        }
        self.trim_flags(count, start);
        Ok(())
    }

    /// Cuts words to `ceil(count / 8)` bytes and clears bits that the type does not have, as the canonical ABI asks.
    fn trim_flags(&mut self, count: usize, start: usize) {
        let bytes = count.div_ceil(8);
        self.out.truncate(start + bytes);
        let spare = bytes * 8 - count;
        if let Some(last) = self.out[start..].last_mut() {
            *last &= 0xff >> spare;
        }
    }

    fn fields_from_slots(&mut self, fields: &[Field], slots: &mut Slots<'_>) -> Result<()> {
        fields
            .iter()
            .try_for_each(|field| self.value_from_slots(&field.shape, slots))
    }

    fn value_from_slots(&mut self, shape: &Shape, slots: &mut Slots<'_>) -> Result<()> {
        let mut next = || slots.next().copied().unwrap_or_else(|| ValRaw::u64(0));
        match shape {
            Shape::Bool => self.out.push(u8::from(next().get_u32() != 0)),
            Shape::U8 | Shape::S8 => self.out.push(next().get_u32() as u8),
            Shape::U16 => put_leb(&mut self.out, u64::from(next().get_u32() as u16)),
            Shape::S16 => put_sleb(&mut self.out, i64::from(next().get_i32() as i16)),
            Shape::U32 => put_leb(&mut self.out, u64::from(next().get_u32())),
            Shape::S32 => put_sleb(&mut self.out, i64::from(next().get_i32())),
            Shape::U64 => put_leb(&mut self.out, next().get_u64()),
            Shape::S64 => put_sleb(&mut self.out, next().get_i64()),
            Shape::F32 => self.out.extend_from_slice(&next().get_f32().to_le_bytes()),
            Shape::F64 => self.out.extend_from_slice(&next().get_f64().to_le_bytes()),
            Shape::Char => self.char(next().get_u32())?,
            Shape::Flags(count) => {
                let start = self.out.len();
                for _ in 0..count.div_ceil(32) {
                    self.out.extend_from_slice(&next().get_u32().to_le_bytes());
                }
                self.trim_flags(*count, start);
            }
            Shape::String | Shape::Bytes | Shape::List(_) => {
                let (pointer, length) = (next().get_u32(), next().get_u32());
                self.sequence(shape, pointer, length)?;
            }
            Shape::Case(cases) => {
                let case = next().get_u32() as usize;
                self.case(case, cases)?;
                let used = match cases.payload(case) {
                    Some(payload) => {
                        self.fields_from_slots(&payload.fields, slots)?;
                        payload.slots
                    }
                    None => 0,
                };
                for _ in used..cases.slots {
                    slots.next();
                }
            }
        }
        Ok(())
    }
}
