//! Wire bytes → canonical ABI: into flat slots, or into the guest's memory, by the list's plan.
//!
//! Every length is checked against what is left of the input before memory is asked for it, and every byte of the
//! input must be used. The guest's memory may move whenever it allocates: it is looked up once for what is written
//! between two allocations.

use std::mem::MaybeUninit;

use protocol::value::{Reader, ValueError};
use wasmtime::component::__internal::{InterfaceType, LowerContext};
use wasmtime::component::Lower;
use wasmtime::{Result, ValRaw, bail};

use super::plan::{self, Cases, Element, Field, Plan, Shape};
use super::{Lowered, Misfit};

type Slots<'a> = std::slice::IterMut<'a, MaybeUninit<ValRaw>>;

#[expect(unsafe_code, reason = "the codec's contract with wasmtime")]
// SAFETY: all slots that the function's type has are written, as `flat` consumes one slot per flat value.
unsafe impl<const N: usize> Lower for Lowered<N> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; N]>,
    ) -> Result<()> {
        // SAFETY: an array of `MaybeUninit` has the layout of the array, and needs no initialisation.
        let slots: &mut [MaybeUninit<ValRaw>; N] = unsafe { &mut *dst.as_mut_ptr().cast() };
        let lowered = plan::of(cx.instance_type().types, ty).and_then(|plan| {
            let mut lowering = Lowering::new(cx, &self.bytes);
            lowering.fill_slots(&plan, slots)?;
            lowering.finish()
        });
        self.finish(lowered)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let lowered = plan::of(cx.instance_type().types, ty).and_then(|plan| {
            let mut lowering = Lowering::new(cx, &self.bytes);
            lowering.fields(&plan.fields, offset)?;
            lowering.finish()
        });
        self.finish(lowered)
    }
}

fn misfit(error: ValueError) -> wasmtime::Error {
    wasmtime::Error::new(Misfit(error))
}

/// Bytes of memory at an offset.
fn at_mut(memory: &mut [u8], at: usize, length: usize) -> Result<&mut [u8]> {
    match memory.get_mut(at..).and_then(|rest| rest.get_mut(..length)) {
        Some(bytes) => Ok(bytes),
        None => bail!("a value lies outside the guest's memory"),
    }
}

fn put<const K: usize>(memory: &mut [u8], at: usize, bytes: [u8; K]) -> Result<()> {
    match memory.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<K>()) {
        Some(slot) => {
            *slot = bytes;
            Ok(())
        }
        None => bail!("a value lies outside the guest's memory"),
    }
}

fn put_pair(memory: &mut [u8], at: usize, (pointer, length): (usize, usize)) -> Result<()> {
    put(
        memory,
        at,
        (pointer as u64 & 0xffff_ffff | (length as u64) << 32).to_le_bytes(),
    )
}

/// Values on their way into a guest.
struct Lowering<'a, 'cx, T: 'static> {
    cx: &'a mut LowerContext<'cx, T>,
    reader: Reader<'a>,
}

impl<'a, 'cx, T: 'static> Lowering<'a, 'cx, T> {
    fn new(cx: &'a mut LowerContext<'cx, T>, bytes: &'a [u8]) -> Self {
        Self {
            cx,
            reader: Reader::new(bytes),
        }
    }

    fn finish(self) -> Result<()> {
        self.reader.finish().map_err(misfit)
    }

    fn fill_slots(&mut self, plan: &Plan, slots: &mut [MaybeUninit<ValRaw>]) -> Result<()> {
        match plan.slots {
            Some(count) if count <= slots.len() => self.flat_fields(&plan.fields, &mut slots.iter_mut()),
            _ => {
                let base = self.cx.realloc(0, 0, plan.align, plan.size)?;
                self.fields(&plan.fields, base)?;
                let Some(slot) = slots.first_mut() else {
                    bail!("no slot for a parameter pointer")
                };
                slot.write(ValRaw::i64(base as i64));
                Ok(())
            }
        }
    }

    fn fields(&mut self, fields: &[Field], base: usize) -> Result<()> {
        let mut rest = fields.iter();
        while let Some(field) = rest.next() {
            if !field.shape.is_scalar() {
                self.value(&field.shape, base + field.at)?;
                continue;
            }
            let memory = self.cx.as_slice_mut();
            scalar(memory, &mut self.reader, &field.shape, base + field.at)?;
            // Those that follow need no memory either.
            while let Some(next) = rest.as_slice().first().filter(|next| next.shape.is_scalar()) {
                scalar(memory, &mut self.reader, &next.shape, base + next.at)?;
                rest.next();
            }
        }
        Ok(())
    }

    /// A value that may need memory of its own.
    fn value(&mut self, shape: &Shape, at: usize) -> Result<()> {
        match shape {
            Shape::Case(cases) => {
                let case = self.reader.discriminant(cases.count).map_err(misfit)?;
                let memory = self.cx.as_slice_mut();
                match cases.size {
                    1 => put(memory, at, [case as u8])?,
                    2 => put(memory, at, (case as u16).to_le_bytes())?,
                    _ => put(memory, at, (case as u32).to_le_bytes())?,
                }
                match cases.payload(case) {
                    Some(payload) => self.fields(&payload.fields, at + cases.payload_at),
                    None => Ok(()),
                }
            }
            Shape::List(element) => {
                let span = self.list(element)?;
                put_pair(self.cx.as_slice_mut(), at, span)
            }
            Shape::String | Shape::Bytes => {
                let bytes = self.bytes(shape)?;
                let pointer = self.room(bytes.len())?;
                let memory = self.cx.as_slice_mut();
                at_mut(memory, pointer, bytes.len())?.copy_from_slice(bytes);
                put_pair(memory, at, (pointer, bytes.len()))
            }
            scalar_shape => scalar(self.cx.as_slice_mut(), &mut self.reader, scalar_shape, at),
        }
    }

    /// The bytes of a string or of a `list<u8>`.
    fn bytes(&mut self, shape: &Shape) -> Result<&'a [u8]> {
        let bytes = self.reader.bytes().map_err(misfit)?;
        // Most text is ASCII, which is known at a glance.
        let is_text = || bytes.is_ascii() || std::str::from_utf8(bytes).is_ok();
        if matches!(shape, Shape::String) && !is_text() {
            return Err(misfit(ValueError::Utf8));
        }
        Ok(bytes)
    }

    /// Memory that the guest allocates for bytes.
    fn room(&mut self, length: usize) -> Result<usize> {
        match length {
            0 => Ok(1),
            length => self.cx.realloc(0, 0, 1, length),
        }
    }

    fn list(&mut self, element: &Element) -> Result<(usize, usize)> {
        let count = self.reader.count(element.bytes_min).map_err(misfit)?;
        if count == 0 {
            return Ok((element.align as usize, 0));
        }
        let Some(total) = count.checked_mul(element.size) else {
            bail!("a list is longer than any memory")
        };
        let base = self.cx.realloc(0, 0, element.align, total)?;
        if let [only] = &*element.fields
            && only.shape.is_scalar()
        {
            let memory = self.cx.as_slice_mut();
            for index in 0..count {
                let at = base + index * element.size + only.at;
                scalar(memory, &mut self.reader, &only.shape, at)?;
            }
        } else {
            for index in 0..count {
                self.fields(&element.fields, base + index * element.size)?;
            }
        }
        Ok((base, count))
    }

    fn flat_fields(&mut self, fields: &[Field], slots: &mut Slots<'_>) -> Result<()> {
        fields.iter().try_for_each(|field| self.flat(&field.shape, slots))
    }

    fn flat(&mut self, shape: &Shape, slots: &mut Slots<'_>) -> Result<()> {
        let reader = &mut self.reader;
        let value = match shape {
            Shape::Bool => ValRaw::u32(u32::from(reader.bool().map_err(misfit)?)),
            Shape::U8 => ValRaw::u32(u32::from(reader.byte().map_err(misfit)?)),
            Shape::S8 => ValRaw::i32(i32::from(reader.byte().map_err(misfit)? as i8)),
            Shape::U16 => ValRaw::u32(u32::from(reader.unsigned::<u16>().map_err(misfit)?)),
            Shape::S16 => ValRaw::i32(i32::from(reader.signed::<i16>().map_err(misfit)?)),
            Shape::U32 => ValRaw::u32(reader.unsigned().map_err(misfit)?),
            Shape::S32 => ValRaw::i32(reader.signed().map_err(misfit)?),
            Shape::U64 => ValRaw::u64(reader.leb().map_err(misfit)?),
            Shape::S64 => ValRaw::i64(reader.sleb().map_err(misfit)?),
            Shape::F32 => ValRaw::f32(u32::from_le_bytes(reader.array().map_err(misfit)?)),
            Shape::F64 => ValRaw::f64(u64::from_le_bytes(reader.array().map_err(misfit)?)),
            Shape::Char => ValRaw::u32(u32::from(reader.char().map_err(misfit)?)),
            Shape::Flags(count) => {
                return flag_words(*count, reader)?.try_for_each(|word| write(slots, ValRaw::u32(word)));
            }
            Shape::String | Shape::Bytes => {
                let bytes = self.bytes(shape)?;
                let pointer = self.room(bytes.len())?;
                at_mut(self.cx.as_slice_mut(), pointer, bytes.len())?.copy_from_slice(bytes);
                write(slots, ValRaw::i64(pointer as i64))?;
                ValRaw::i64(bytes.len() as i64)
            }
            Shape::List(element) => {
                let (pointer, length) = self.list(element)?;
                write(slots, ValRaw::i64(pointer as i64))?;
                ValRaw::i64(length as i64)
            }
            Shape::Case(cases) => return self.flat_case(cases, slots),
        };
        write(slots, value)
    }

    fn flat_case(&mut self, cases: &Cases, slots: &mut Slots<'_>) -> Result<()> {
        let case = self.reader.discriminant(cases.count).map_err(misfit)?;
        write(slots, ValRaw::u32(case as u32))?;
        let used = match cases.payload(case) {
            Some(payload) => {
                self.flat_fields(&payload.fields, slots)?;
                payload.slots
            }
            None => 0,
        };
        (used..cases.slots).try_for_each(|_| write(slots, ValRaw::u64(0)))
    }
}

/// Writes a value that needs no memory of its own.
fn scalar(memory: &mut [u8], reader: &mut Reader<'_>, shape: &Shape, at: usize) -> Result<()> {
    match shape {
        Shape::Bool => put(memory, at, [u8::from(reader.bool().map_err(misfit)?)]),
        Shape::U8 | Shape::S8 => put(memory, at, [reader.byte().map_err(misfit)?]),
        Shape::U16 => put(
            memory,
            at,
            reader.unsigned::<u16>().map_err(misfit)?.to_le_bytes(),
        ),
        Shape::S16 => put(memory, at, reader.signed::<i16>().map_err(misfit)?.to_le_bytes()),
        Shape::U32 => put(
            memory,
            at,
            reader.unsigned::<u32>().map_err(misfit)?.to_le_bytes(),
        ),
        Shape::S32 => put(memory, at, reader.signed::<i32>().map_err(misfit)?.to_le_bytes()),
        Shape::U64 => put(memory, at, reader.leb().map_err(misfit)?.to_le_bytes()),
        Shape::S64 => put(memory, at, reader.sleb().map_err(misfit)?.to_le_bytes()),
        Shape::F32 => put(memory, at, reader.array::<4>().map_err(misfit)?),
        Shape::F64 => put(memory, at, reader.array::<8>().map_err(misfit)?),
        Shape::Char => put(
            memory,
            at,
            u32::from(reader.char().map_err(misfit)?).to_le_bytes(),
        ),
        Shape::Flags(count) => {
            for (index, word) in flag_words(*count, reader)?.enumerate() {
                match count {
                    0..=8 => put(memory, at, [word as u8])?,
                    9..=16 => put(memory, at, (word as u16).to_le_bytes())?,
                    _ => put(memory, at + 4 * index, word.to_le_bytes())?,
                }
            }
            Ok(())
        }
        Shape::String | Shape::Bytes | Shape::List(_) | Shape::Case(_) => {
            bail!("{shape:?} is no scalar")
        }
    }
}

/// The flags of one value as words of 32, least significant first.
fn flag_words<'a>(count: usize, reader: &mut Reader<'a>) -> Result<impl Iterator<Item = u32> + use<'a>> {
    let bytes = reader.take(count.div_ceil(8)).map_err(misfit)?;
    let spare = bytes.len() * 8 - count;
    if spare > 0
        && bytes
            .last()
            .is_some_and(|last| last.leading_zeros() < spare as u32)
    {
        return Err(misfit(ValueError::Flags));
    }
    Ok(bytes.chunks(4).map(|chunk| {
        chunk
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte))
    }))
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
