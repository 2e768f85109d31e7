//! The value encoding, written once more from its specification: what the codec is compared with.

use wasmtime::component::Val;

use crate::runtime::wit_type::WitType;

/// Encodes a value of a type.
pub(in crate::runtime::codec) fn encode(ty: &WitType, value: &Val) -> Vec<u8> {
    let mut out = Vec::new();
    put(ty, value, &mut out);
    out
}

fn leb(mut value: u128, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push((value % 128) as u8 + 128);
        value /= 128;
    }
    out.push(value as u8);
}

/// The shortest run of 7-bit groups in two's complement whose top bit is the sign.
fn sleb(value: i128, out: &mut Vec<u8>) {
    let groups = (1..)
        .find(|groups| (-(1_i128 << (7 * groups - 1))..1 << (7 * groups - 1)).contains(&value))
        .expect("a value is of its type");
    for group in 0..groups {
        let bits = (value >> (7 * group)) as u8 & 0x7f;
        out.push(if group + 1 < groups { bits | 0x80 } else { bits });
    }
}

fn case<'n>(names: &mut impl Iterator<Item = &'n String>, name: &str, out: &mut Vec<u8>) -> usize {
    let index = names
        .position(|known| known == name)
        .expect("a value is of its type");
    leb(index as u128, out);
    index
}

fn put(ty: &WitType, value: &Val, out: &mut Vec<u8>) {
    match (ty, value) {
        (_, Val::Bool(v)) => out.push(u8::from(*v)),
        (_, Val::U8(v)) => out.push(*v),
        (_, Val::S8(v)) => out.push(*v as u8),
        (_, Val::U16(v)) => leb((*v).into(), out),
        (_, Val::U32(v)) => leb((*v).into(), out),
        (_, Val::U64(v)) => leb((*v).into(), out),
        (_, Val::S16(v)) => sleb((*v).into(), out),
        (_, Val::S32(v)) => sleb((*v).into(), out),
        (_, Val::S64(v)) => sleb((*v).into(), out),
        (_, Val::Float32(v)) => out.extend(v.to_le_bytes()),
        (_, Val::Float64(v)) => out.extend(v.to_le_bytes()),
        (_, Val::Char(v)) => out.extend(v.to_string().bytes()),
        (_, Val::String(v)) => {
            leb(v.len() as u128, out);
            out.extend(v.bytes());
        }
        (WitType::List(element), Val::List(values)) => {
            leb(values.len() as u128, out);
            values.iter().for_each(|value| put(element, value, out));
        }
        (WitType::Record(fields), Val::Record(values)) => {
            fields
                .iter()
                .zip(values)
                .for_each(|((_, ty), (_, value))| put(ty, value, out));
        }
        (WitType::Tuple(types), Val::Tuple(values)) => {
            types
                .iter()
                .zip(values)
                .for_each(|(ty, value)| put(ty, value, out));
        }
        (WitType::Variant(cases), Val::Variant(name, payload)) => {
            let index = case(&mut cases.iter().map(|(name, _)| name), name, out);
            if let (Some(ty), Some(value)) = (&cases[index].1, payload) {
                put(ty, value, out);
            }
        }
        (WitType::Enum(names), Val::Enum(name)) => {
            case(&mut names.iter(), name, out);
        }
        (WitType::Option(inner), Val::Option(value)) => {
            out.push(u8::from(value.is_some()));
            if let Some(value) = value {
                put(inner, value, out);
            }
        }
        (WitType::Result(ok, err), Val::Result(value)) => {
            out.push(u8::from(value.is_err()));
            let (ty, payload) = match value {
                Ok(payload) => (ok, payload),
                Err(payload) => (err, payload),
            };
            if let (Some(ty), Some(value)) = (ty, payload) {
                put(ty, value, out);
            }
        }
        (WitType::Flags(names), Val::Flags(set)) => {
            let mut bytes = vec![0_u8; names.len().div_ceil(8)];
            for (index, _) in names.iter().enumerate().filter(|(_, name)| set.contains(name)) {
                bytes[index / 8] |= 1 << (index % 8);
            }
            out.extend(bytes);
        }
        other => panic!("{other:?} do not fit"),
    }
}
