//! The components that `cargo xtask build --guests` made: the shop, the examples, the hostile guests.

use std::path::{Path, PathBuf};

/// The shop's handlers.
pub(crate) const SHOP: [&str; 10] = [
    "ad",
    "cart",
    "catalog",
    "checkout",
    "currency",
    "email",
    "frontend",
    "payment",
    "recommendation",
    "shipping",
];

/// The file of a component: `catalog`, `examples/hello`, `guests/hostile-trap`.
pub(crate) fn component(name: &str) -> PathBuf {
    let directory = match std::env::var_os("CLEAVE_COMPONENTS") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components"),
    };
    let path = directory.join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "`{}` is missing: run `cargo xtask build --guests`, or set CLEAVE_COMPONENTS to the folder that it filled",
        path.display()
    );
    path
}

/// The bytes of a component.
pub(crate) fn read_component(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).expect("the component was there a moment ago")
}

/// A component that serves `shop:email/email` and traps at each call. Made here: the shop's own e-mail never fails like
/// that.
pub(crate) fn trapping_email() -> Vec<u8> {
    let module = r#"(module
        (memory (export "memory") 16)
        (global $free (mut i32) (i32.const 1024))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))
        (func (export "shop:email/email@0.1.0#send-confirmation") (param i32) (result i32) unreachable))"#;
    let mut module = wat::parse_str(module).expect("the module is well formed");
    let mut resolve = wit_parser::Resolve::default();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../handlers/wit");
    let (package, _) = resolve.push_dir(&directory).expect("the contracts can be read");
    let world = resolve
        .select_world(&[package], Some("email"))
        .expect("the e-mail has a world");
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8).expect("the metadata fits");
    let encoder = wit_component::ComponentEncoder::default().module(&module);
    encoder
        .and_then(|mut encoder| encoder.encode())
        .expect("the module serves its world")
}
