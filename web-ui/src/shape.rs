//! `Shape`: a WIT type with its names resolved, as a form and a result are drawn from it.
//!
//! Built from the interfaces that `handlers/{name}` tells, whose types are text (`result<list<product>, fault>`). What
//! cannot be written as JSON, is not known or lies too deep is `Opaque` and says so. Pure.

use protocol::api::wit::{Interface, Member, Signature, TypeDef, TypeKind};

/// Types within types: as deep as the server accepts.
const DEPTH_MAX: usize = 32;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Bool,
    /// An integer of so many bits.
    Whole {
        signed: bool,
        bits: u32,
    },
    Float,
    Char,
    Text,
    /// `list<u8>`.
    Bytes,
    List(Box<Self>),
    Record(Vec<Part>),
    Tuple(Vec<Self>),
    Variant(Vec<Part>),
    Enum(Vec<Part>),
    Flags(Vec<Part>),
    Option(Box<Self>),
    Result(Option<Box<Self>>, Option<Box<Self>>),
    /// Cannot be written; what it is.
    Opaque(String),
}

/// A field, a case or a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub docs: Option<String>,
    /// Its type, where it has one.
    pub shape: Option<Shape>,
}

/// A type as text: a word, and what stands between its angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expression<'a> {
    word: &'a str,
    parts: Vec<Self>,
}

/// The parameters of a function.
pub fn params(all: &[Interface], at: &Interface, function: &Signature) -> Vec<Part> {
    parts(all, at, &function.params, DEPTH_MAX)
}

/// The result of a function, where it has one.
pub fn result(all: &[Interface], at: &Interface, function: &Signature) -> Option<Shape> {
    function
        .result
        .as_deref()
        .map(|text| read(all, at, text, DEPTH_MAX))
}

fn parts(all: &[Interface], at: &Interface, members: &[Member], depth: usize) -> Vec<Part> {
    let part = |member: &Member| Part {
        name: member.name.clone(),
        docs: member.docs.clone(),
        shape: member.ty.as_deref().map(|text| read(all, at, text, depth)),
    };
    members.iter().map(part).collect()
}

fn read(all: &[Interface], at: &Interface, text: &str, depth: usize) -> Shape {
    match parse(text) {
        Some(expression) => resolve(all, at, &expression, depth),
        None => Shape::Opaque(text.to_owned()),
    }
}

fn resolve(all: &[Interface], at: &Interface, of: &Expression<'_>, depth: usize) -> Shape {
    let Some(depth) = depth.checked_sub(1) else {
        return Shape::Opaque("a type that lies too deep".to_owned());
    };
    let inner = |index: usize| {
        let part = of.parts.get(index).filter(|part| part.word != "_")?;
        Some(Box::new(resolve(all, at, part, depth)))
    };
    let one =
        |make: fn(Box<Shape>) -> Shape| inner(0).map_or_else(|| Shape::Opaque(of.word.to_owned()), make);
    let whole = |signed, bits| Shape::Whole { signed, bits };
    match of.word {
        "bool" => Shape::Bool,
        "u8" => whole(false, 8),
        "u16" => whole(false, 16),
        "u32" => whole(false, 32),
        "u64" => whole(false, 64),
        "s8" => whole(true, 8),
        "s16" => whole(true, 16),
        "s32" => whole(true, 32),
        "s64" => whole(true, 64),
        "f32" | "f64" => Shape::Float,
        "char" => Shape::Char,
        "string" => Shape::Text,
        "list" if of.parts.len() == 1 && of.parts[0].word == "u8" => Shape::Bytes,
        "list" if of.parts.len() == 1 => one(Shape::List),
        "option" => one(Shape::Option),
        "tuple" => Shape::Tuple(
            of.parts
                .iter()
                .map(|part| resolve(all, at, part, depth))
                .collect(),
        ),
        "result" => Shape::Result(inner(0), inner(1)),
        name => match at.types.iter().find(|known| known.name == name) {
            Some(known) if of.parts.is_empty() => named(all, at, known, depth),
            _ => Shape::Opaque(of.word.to_owned()),
        },
    }
}

fn named(all: &[Interface], at: &Interface, known: &TypeDef, depth: usize) -> Shape {
    let members = || parts(all, at, &known.members, depth);
    match known.kind {
        TypeKind::Record => Shape::Record(members()),
        TypeKind::Variant => Shape::Variant(members()),
        TypeKind::Enum => Shape::Enum(members()),
        TypeKind::Flags => Shape::Flags(members()),
        TypeKind::Resource => Shape::Opaque("a resource".to_owned()),
        TypeKind::Alias => {
            let text = known.of.as_deref().unwrap_or_default();
            let home = match &known.from {
                Some(from) => all.iter().find(|other| other.name == *from),
                None => Some(at),
            };
            home.map_or_else(
                || Shape::Opaque(known.name.clone()),
                |home| read(all, home, text, depth),
            )
        }
    }
}

/// Reads `word<part, …>`; nothing where that is not what it is.
fn parse(text: &str) -> Option<Expression<'_>> {
    let (expression, rest) = expression(text, DEPTH_MAX)?;
    rest.trim().is_empty().then_some(expression)
}

fn expression(text: &str, depth: usize) -> Option<(Expression<'_>, &str)> {
    let depth = depth.checked_sub(1)?;
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        .unwrap_or(text.len());
    let (word, mut rest) = text.split_at(end);
    let mut parts = Vec::new();
    if word.is_empty() {
        return None;
    }
    if let Some(inside) = rest.strip_prefix('<') {
        rest = inside;
        loop {
            let (part, after) = expression(rest, depth)?;
            parts.push(part);
            let after = after.trim_start();
            match (after.strip_prefix(','), after.strip_prefix('>')) {
                (Some(more), _) => rest = more,
                (_, Some(done)) => {
                    rest = done;
                    break;
                }
                _ => return None,
            }
        }
    }
    Some((Expression { word, parts }, rest))
}

/// A type's text cut into words and what stands between them, so that names can be links.
pub fn pieces(text: &str) -> Vec<(&str, bool)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = is_word(first);
        let end = rest.find(|c| is_word(c) != word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        out.push((piece, word));
        rest = after;
    }
    out
}

/// Where a name of an interface is defined: the interface's name and the type's, through all that only pass it on.
pub fn definition<'a>(all: &'a [Interface], at: &'a Interface, name: &str) -> Option<(&'a str, &'a str)> {
    let mut at = at;
    let mut known = at.types.iter().find(|known| known.name == name)?;
    for _ in 0..DEPTH_MAX {
        let next = known.from.as_ref().and_then(|from| {
            let home = all.iter().find(|other| other.name == *from)?;
            let of = known.of.as_deref()?;
            let ty = home.types.iter().find(|known| known.name == of)?;
            Some((home, ty))
        });
        match next {
            Some((home, ty)) => (at, known) = (home, ty),
            None => break,
        }
    }
    Some((&at.name, &known.name))
}

impl Shape {
    /// What stands beside a field: `u32`, `list of record`.
    pub fn word(&self) -> String {
        match self {
            Self::Bool => "bool".to_owned(),
            Self::Whole { signed, bits } => format!("{}{bits}", if *signed { 's' } else { 'u' }),
            Self::Float => "number".to_owned(),
            Self::Char => "one character".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::List(of) => format!("list of {}", of.word()),
            Self::Record(_) => "record".to_owned(),
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Variant(_) => "one case".to_owned(),
            Self::Enum(_) => "one of".to_owned(),
            Self::Flags(_) => "any of".to_owned(),
            Self::Option(of) => format!("{}, or none", of.word()),
            Self::Result(..) => "ok or err".to_owned(),
            Self::Opaque(what) => what.clone(),
        }
    }

    /// Whether a value fits on one line.
    pub fn is_leaf(&self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Whole { .. }
                | Self::Float
                | Self::Char
                | Self::Text
                | Self::Bytes
                | Self::Enum(_)
                | Self::Opaque(_)
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use protocol::api::wit::Side;

    use super::*;

    fn member(name: &str, ty: &str) -> Member {
        Member {
            name: name.to_owned(),
            ty: (!ty.is_empty()).then(|| ty.to_owned()),
            docs: None,
        }
    }

    fn def(name: &str, kind: TypeKind, members: Vec<Member>) -> TypeDef {
        TypeDef {
            name: name.to_owned(),
            kind,
            docs: None,
            members,
            of: None,
            from: None,
        }
    }

    fn interface(name: &str, types: Vec<TypeDef>, functions: Vec<Signature>) -> Interface {
        Interface {
            name: name.to_owned(),
            side: Side::Export,
            docs: None,
            types,
            functions,
        }
    }

    /// A function with a parameter of every kind, over two interfaces.
    pub(crate) fn shop() -> Vec<Interface> {
        let types = interface(
            "shop:a/types@0.1.0",
            vec![
                def(
                    "money",
                    TypeKind::Record,
                    vec![member("currency", "string"), member("units", "s64")],
                ),
                def(
                    "fault",
                    TypeKind::Variant,
                    vec![member("lost", ""), member("late", "u32")],
                ),
                def(
                    "wear",
                    TypeKind::Flags,
                    vec![member("bent", ""), member("worn", "")],
                ),
                def(
                    "side",
                    TypeKind::Enum,
                    vec![member("heads", ""), member("tails", "")],
                ),
            ],
            Vec::new(),
        );
        let alias = |name: &str| TypeDef {
            of: Some(name.to_owned()),
            from: Some("shop:a/types@0.1.0".to_owned()),
            ..def(name, TypeKind::Alias, Vec::new())
        };
        let function = Signature {
            name: "pay".to_owned(),
            docs: None,
            params: vec![
                member("amount", "money"),
                member("notes", "list<option<string>>"),
                member("how", "fault"),
                member("wear", "wear"),
                member("side", "side"),
                member("raw", "list<u8>"),
                member("pair", "tuple<u8, char>"),
                member("maybe", "option<option<bool>>"),
                member("outcome", "result<_, fault>"),
                member("handle", "borrow<coin>"),
            ],
            result: Some("result<list<money>, fault>".to_owned()),
            is_async: false,
        };
        let main = interface(
            "shop:a/a@0.1.0",
            ["money", "fault", "wear", "side"].map(alias).to_vec(),
            vec![function],
        );
        vec![main, types]
    }

    #[test]
    fn names_are_resolved_across_interfaces() {
        let all = shop();
        let params = params(&all, &all[0], &all[0].functions[0]);
        let words: Vec<String> = params
            .iter()
            .map(|part| part.shape.as_ref().unwrap().word())
            .collect();
        assert_eq!(
            words,
            [
                "record",
                "list of text, or none",
                "one case",
                "any of",
                "one of",
                "bytes",
                "tuple",
                "bool, or none, or none",
                "ok or err",
                "borrow"
            ]
        );
        let Some(Shape::Result(Some(ok), Some(err))) = result(&all, &all[0], &all[0].functions[0]) else {
            panic!("a result of both");
        };
        assert_eq!(
            (ok.word(), err.word()),
            ("list of record".into(), "one case".into())
        );
        assert_eq!(
            definition(&all, &all[0], "money"),
            Some(("shop:a/types@0.1.0", "money"))
        );
        assert_eq!(definition(&all, &all[0], "u8"), None);
    }

    #[test]
    fn what_is_no_type_is_opaque_and_nothing_loops() {
        let all = shop();
        for text in [
            "",
            "list<",
            "list<u8",
            "list<u8>>",
            "nobody",
            "money<u8>",
            "<>",
            "list<,>",
        ] {
            assert!(
                matches!(read(&all, &all[0], text, DEPTH_MAX), Shape::Opaque(_)),
                "{text}"
            );
        }
        let deep = "list<".repeat(1_000) + "u8" + &">".repeat(1_000);
        assert!(matches!(read(&all, &all[0], &deep, DEPTH_MAX), Shape::Opaque(_)));
        let mut circle = shop();
        circle[1].types[0].members[0].ty = Some("option<money>".to_owned());
        let shape = read(&circle, &circle[0], "money", DEPTH_MAX);
        assert!(matches!(shape, Shape::Record(_)));
    }

    #[test]
    fn pieces_are_the_text() {
        let text = "result<list<cart-item>, fault>";
        let all = pieces(text);
        let whole: String = all.iter().map(|(piece, _)| *piece).collect();
        assert_eq!(whole, text);
        let words: Vec<&str> = all
            .iter()
            .filter(|(_, word)| *word)
            .map(|(piece, _)| *piece)
            .collect();
        assert_eq!(words, ["result", "list", "cart-item", "fault"]);
        assert!(pieces("").is_empty());
    }
}
