//! From a file's bytes to a component that can be compiled, or a rejection that names reason and remedy.
//!
//! Looks only; compiles nothing. A core module that carries component metadata is made a component on the spot. What
//! this version cannot run (strings that are not UTF-8, compiled code from elsewhere) is told apart here, and so is which
//! engine runs the rest, so that no later step has to guess.

mod carried;
mod contract;

use std::borrow::Cow;

use protocol::api::handlers::ImportKind;
use protocol::api::wit::Interface;
use wasmparser::{CanonicalFunction, CanonicalOption, Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm, WitPrinter};

use super::artifact::Artifact;
use super::describe::Docs;
use super::engine::EngineKind;

mod asynchronous;

pub use asynchronous::engine_of;

/// The largest file that is read, in bytes. Components made from Python are 18 MB.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// What to do about an import that cannot leave its process.
const PASS_VALUES: &str = "pass plain values, or compose the two components into one (`wac plug`)";

/// Why a file is no handler, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct Rejection {
    /// The reason, naming the thing.
    pub reason: String,
    /// The remedy.
    pub remedy: String,
}

impl Rejection {
    /// A rejection of a reason and a remedy.
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// A component's bytes with what its WIT says to a person.
pub struct Inspected<'a> {
    /// The component.
    pub component: Cow<'a, [u8]>,
    /// Its world and interfaces as WIT text, without those of `wasi`.
    pub wit: String,
    /// Its interfaces, piece by piece.
    pub interfaces: Vec<Interface>,
    /// What its functions say of themselves.
    pub docs: Docs,
}

/// Looks at a file's bytes.
pub fn inspect(bytes: &[u8]) -> Result<Inspected<'_>, Rejection> {
    let component = match sniff(bytes)? {
        Encoding::Component => Cow::Borrowed(bytes),
        Encoding::Module => Cow::Owned(componentize(bytes)?),
    };
    scan(&component)?;
    let (wit, interfaces, docs) = texts(&component)?;
    Ok(Inspected {
        component,
        wit,
        interfaces,
        docs,
    })
}

/// Refuses what compiles and links but could never work.
pub fn servable(artifact: &Artifact) -> Result<(), Rejection> {
    if artifact.http_async || artifact.http && artifact.engine == EngineKind::Concurrent {
        return Err(Rejection::new(
            "it answers HTTP and has async functions; HTTP is served by `wasi:http/incoming-handler@0.2` of components \
             without any, and not by `wasi:http/handler@0.3`",
            "split it: a handler that answers HTTP, and calls the async functions of another one",
        ));
    }
    if artifact.exports.is_empty() && !artifact.http {
        return Err(Rejection::new(
            "it exports no interface and answers no HTTP, so that nobody could call it",
            "export an interface in its world (bare functions cannot be called)",
        ));
    }
    for import in artifact
        .imports
        .iter()
        .filter(|import| import.kind == ImportKind::Handler)
    {
        let mut functions = import.functions.iter();
        if let Some((function, obstacle)) = functions.find_map(|f| Some((f, f.ty.obstacle()?))) {
            return Err(Rejection::new(
                format!(
                    "it imports `{}` of `{}`, which has {obstacle} in its type; that cannot go from one handler to another",
                    function.path.function, import.name
                ),
                PASS_VALUES,
            ));
        }
        if import.resources {
            return Err(Rejection::new(
                format!(
                    "it imports `{}`, which has resources; those cannot go from one handler to another",
                    import.name
                ),
                PASS_VALUES,
            ));
        }
    }
    Ok(())
}

/// Tells what a file is by its first bytes.
fn sniff(bytes: &[u8]) -> Result<Encoding, Rejection> {
    let build = "build the component with `cargo xtask build`, or see handlers/README.md";
    if bytes.is_empty() {
        return Err(Rejection::new("the file is empty", build));
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(Rejection::new(
            "the file is compiled code (a `.cwasm`), which could do anything and is never loaded from a folder",
            "drop the `.wasm` that it was compiled from",
        ));
    }
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(Encoding::Component),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => Ok(Encoding::Module),
        Some([0, b'a', b's', b'm', version @ ..]) => Err(Rejection::new(
            format!("the file is WebAssembly of an unknown version ({version:02x?})"),
            "build it with a toolchain for the component model 1.0",
        )),
        _ if bytes
            .iter()
            .take(512)
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) =>
        {
            Err(Rejection::new(
                "the file is text, not a WebAssembly component",
                build,
            ))
        }
        _ => Err(Rejection::new("the file is not WebAssembly", build)),
    }
}

fn componentize(module: &[u8]) -> Result<Vec<u8>, Rejection> {
    let has_metadata = Parser::new(0).parse_all(module).any(|payload| {
        matches!(payload, Ok(Payload::CustomSection(section)) if section.name().starts_with("component-type"))
    });
    if !has_metadata {
        return Err(Rejection::new(
            "the file is a core module without component metadata",
            "build it with `wit-bindgen` (see handlers/README.md), or make it a component with `wasm-tools component new`",
        ));
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| {
            let reason = format!("the core module cannot be made a component: {error:#}");
            Rejection::new(reason, "rebuild it against the WIT that it names")
        })
}

/// Refuses what this version cannot run, by the component's own sections.
fn scan(component: &[u8]) -> Result<(), Rejection> {
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| {
            let reason = format!("the component is cut short or damaged: {}", error.message());
            Rejection::new(reason, "copy or build it again")
        })?;
        let Payload::ComponentCanonicalSection(functions) = payload else {
            continue;
        };
        for function in functions.into_iter().flatten() {
            match function {
                CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
                    options.iter().try_for_each(scan_option)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn scan_option(option: &CanonicalOption) -> Result<(), Rejection> {
    match option {
        CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => Err(Rejection::new(
            "its strings are UTF-16",
            "build it with a toolchain whose strings are UTF-8 (Rust, Python, JavaScript, Go and C do)",
        )),
        _ => Ok(()),
    }
}

fn texts(component: &[u8]) -> Result<(String, Vec<Interface>, Docs), Rejection> {
    let decoded = wit_component::decode(component).map_err(|error| {
        Rejection::new(
            format!("its WIT cannot be read: {error:#}"),
            "copy or build it again",
        )
    })?;
    let DecodedWasm::Component(resolve, world) = &decoded else {
        return Err(Rejection::new(
            "the file is a WIT package, not a component",
            "drop the component that implements it",
        ));
    };
    carried::plain(resolve, *world)?;
    let mut docs = Docs::new();
    for (id, interface) in &resolve.interfaces {
        let Some(name) = resolve.id_of(id) else { continue };
        for (function, item) in &interface.functions {
            if let Some(line) = item.docs.contents.as_deref().and_then(|text| text.lines().next()) {
                docs.insert(format!("{name}.{function}"), line.trim().to_owned());
            }
        }
    }
    let nested: Vec<_> = resolve
        .packages
        .iter()
        .filter(|(id, package)| *id != decoded.package() && package.name.namespace != "wasi")
        .map(|(id, _)| id)
        .collect();
    let mut printer = WitPrinter::default();
    let wit = match printer.print(resolve, decoded.package(), &nested) {
        Ok(()) => printer.output.to_string(),
        Err(error) => format!("// The WIT of this component cannot be printed: {error:#}\n"),
    };
    Ok((wit, contract::interfaces(resolve, *world), docs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        inspect(bytes)
            .err()
            .map(|rejection| rejection.reason)
            .unwrap_or_default()
    }

    #[test]
    fn files_that_are_no_components_are_told_apart() {
        assert!(reason(b"").contains("empty"));
        assert!(reason(b"hello, I am text").contains("text"));
        assert!(reason(b"(module)").contains("text"));
        assert!(reason(b"\x7fELF\x02\x01").contains("compiled code"));
        assert!(reason(&[0xff; 64]).contains("not WebAssembly"));
        assert!(reason(b"\0asm\x07\0\x01\0").contains("unknown version"));
        assert!(reason(&wat::parse_str("(module)").unwrap()).contains("without component metadata"));
    }

    #[test]
    fn a_component_is_described_and_a_cut_one_is_refused() {
        let text = r#"(component
            (core module $m (func (export "f") (result i32) i32.const 7))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $o (export "f" (func $f)))
            (export "test:one/iface@1.0.0" (instance $o)))"#;
        let bytes = wat::parse_str(text).unwrap();
        let inspected = inspect(&bytes).unwrap();
        assert!(inspected.wit.contains("f: func() -> u32"), "{}", inspected.wit);
        for end in 0..bytes.len() {
            // What is cut between two sections is a component with less in it.
            let is_told = inspect(&bytes[..end]).map_or(true, |cut| !cut.wit.contains("f: func"));
            assert!(is_told || bytes[end..].starts_with(b"\0"), "{end}");
        }
    }

    #[test]
    fn utf16_is_refused_with_a_remedy() {
        let utf16 = r#"(component
            (core module $m
                (memory (export "m") 1)
                (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func $f (param "s" string)
                (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r")) string-encoding=utf16))
            (export "f" (func $f)))"#;
        assert!(reason(&wat::parse_str(utf16).unwrap()).contains("UTF-16"));
    }
}
