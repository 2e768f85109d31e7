//! Who serves whom, over components from text.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::*;
use crate::runtime::engine::EngineKind;
use crate::runtime::tests::guests::{self, NARROW, WIDE, component};

const CART: &str = "shop:cart/cart@0.1.0";
const EMAIL: &str = "shop:email/email@0.1.0";

fn name(text: &str) -> HandlerName {
    HandlerName::parse(text).unwrap()
}

fn interface(text: &str) -> InterfaceName {
    InterfaceName::parse(text).unwrap()
}

fn artifact(wasm: &[u8]) -> Arc<Artifact> {
    let engine = Engine::default();
    let compiled = Component::from_binary(&engine, wasm).unwrap();
    Arc::new(Artifact::reflect(
        &engine,
        EngineKind::Sync,
        compiled,
        String::new(),
    ))
}

fn exports(interfaces: &[&str]) -> Arc<Artifact> {
    let interfaces: Vec<_> = interfaces.iter().map(|interface| (*interface, NARROW)).collect();
    artifact(&component(&[], &interfaces))
}

fn needs(imports: &[&str], interfaces: &[&str]) -> Arc<Artifact> {
    let imports: Vec<_> = imports.iter().map(|interface| (*interface, NARROW)).collect();
    let interfaces: Vec<_> = interfaces.iter().map(|interface| (*interface, NARROW)).collect();
    artifact(&component(&imports, &interfaces))
}

fn known<const N: usize>(handlers: [(&str, Arc<Artifact>); N]) -> Known {
    handlers
        .into_iter()
        .map(|(handler, artifact)| (name(handler), artifact))
        .collect()
}

fn served_by(resolution: &Resolution, importer: &str, import: &str) -> Option<String> {
    let callee = resolution.served_by.get(&(name(importer), interface(import)))?;
    Some(callee.to_string())
}

fn waiting(resolution: &Resolution) -> Vec<&str> {
    resolution.waiting.keys().map(HandlerName::as_str).collect()
}

fn warnings(resolution: &Resolution, handler: &str) -> String {
    resolution
        .warnings
        .get(&name(handler))
        .map(|lines| lines.join("\n"))
        .unwrap_or_default()
}

#[test]
fn the_first_name_serves_others_are_shadowed_and_configuration_goes_first() {
    let handlers = known([
        ("checkout", needs(&[CART], &[])),
        ("basket", exports(&[CART])),
        ("cart", exports(&[CART])),
    ]);
    let resolution = resolve(&handlers, &Preferred::new());
    assert_eq!(
        served_by(&resolution, "checkout", CART).as_deref(),
        Some("basket")
    );
    assert_eq!(
        resolution.shadowed_by[&(name("cart"), interface(CART))],
        name("basket")
    );
    assert!(warnings(&resolution, "cart").contains("call this one as `cart@shop:cart/cart@0.1.0`"));
    assert_eq!(resolution.interfaces.len(), 1);
    assert_eq!(resolution.interfaces[0].providers, [name("basket"), name("cart")]);

    for wanted in ["shop:cart/cart", "shop:cart/cart@0.1.9"] {
        let preferred = Preferred::from([(interface(wanted), name("cart"))]);
        let resolution = resolve(&handlers, &preferred);
        assert_eq!(
            served_by(&resolution, "checkout", CART).as_deref(),
            Some("cart"),
            "{wanted}"
        );
        assert_eq!(
            resolution.shadowed_by[&(name("basket"), interface(CART))],
            name("cart")
        );
    }
    let other_track = Preferred::from([(interface("shop:cart/cart@0.2.0"), name("cart"))]);
    assert_eq!(resolve(&handlers, &other_track), resolution);
}

#[test]
fn versions_of_one_track_serve_each_other_and_a_name_stands_once() {
    let handlers = known([
        ("checkout", needs(&["shop:cart/cart@0.1.5"], &[])),
        ("later", needs(&["shop:cart/cart@0.2.0"], &[])),
        ("cart", exports(&[CART, "shop:cart/cart@0.1.2"])),
    ]);
    let preferred = Preferred::from([(interface("shop:cart/cart"), name("cart"))]);
    let resolution = resolve(&handlers, &preferred);
    assert_eq!(
        served_by(&resolution, "checkout", "shop:cart/cart@0.1.5").as_deref(),
        Some("cart")
    );
    assert_eq!(waiting(&resolution), ["later"]);
    assert_eq!(resolution.interfaces[0].providers, [name("cart")]);
}

#[test]
fn a_handler_never_serves_itself() {
    let itself = needs(&[CART], &[CART]);
    let alone = resolve(&known([("audit", Arc::clone(&itself))]), &Preferred::new());
    assert_eq!(waiting(&alone), ["audit"]);
    let both = known([("audit", itself), ("cart", exports(&[CART]))]);
    let resolution = resolve(&both, &Preferred::new());
    assert_eq!(served_by(&resolution, "audit", CART).as_deref(), Some("cart"));
    assert!(resolution.waiting.is_empty());
}

#[test]
fn waiting_spreads_to_those_who_need_it_and_ends_when_the_provider_arrives() {
    let mut handlers = known([
        ("frontend", needs(&["shop:checkout/checkout@0.1.0"], &[])),
        ("checkout", needs(&[CART], &["shop:checkout/checkout@0.1.0"])),
        ("ad", exports(&["shop:ad/ad@0.1.0"])),
    ]);
    let resolution = resolve(&handlers, &Preferred::new());
    assert_eq!(waiting(&resolution), ["checkout", "frontend"]);
    assert_eq!(resolution.waiting[&name("checkout")], [interface(CART)]);
    assert!(warnings(&resolution, "checkout").contains("nobody serves `shop:cart/cart@0.1.0`"));
    assert_eq!(resolution.interfaces.len(), 1, "who waits serves nobody");
    handlers.insert(name("cart"), exports(&[CART]));
    assert!(resolve(&handlers, &Preferred::new()).waiting.is_empty());
}

#[test]
fn a_circle_of_imports_is_served() {
    let handlers = known([
        ("cart", needs(&[EMAIL], &[CART])),
        ("email", needs(&[CART], &[EMAIL])),
    ]);
    let resolution = resolve(&handlers, &Preferred::new());
    assert!(resolution.waiting.is_empty());
    assert_eq!(served_by(&resolution, "cart", EMAIL).as_deref(), Some("email"));
    assert_eq!(served_by(&resolution, "email", CART).as_deref(), Some("cart"));
}

#[test]
fn another_type_is_named_with_both_signatures() {
    let wide = artifact(&component(&[], &[(CART, WIDE)]));
    let handlers = known([("checkout", needs(&[CART], &[])), ("cart", wide)]);
    let resolution = resolve(&handlers, &Preferred::new());
    assert_eq!(waiting(&resolution), ["checkout"]);
    let told = warnings(&resolution, "checkout");
    assert!(
        told.contains("func(x: u64) -> u32") && told.contains("func(x: u32) -> u32"),
        "{told}"
    );
}

#[test]
fn a_provider_that_waits_itself_hides_nobody_who_fits() {
    // `basket` comes first, has another type and can never start: `cart` serves.
    let unfit = artifact(&component(&[("shop:gone/gone@0.1.0", NARROW)], &[(CART, WIDE)]));
    let handlers = known([
        ("basket", unfit),
        ("cart", exports(&[CART])),
        ("checkout", needs(&[CART], &[])),
    ]);
    let resolution = resolve(&handlers, &Preferred::new());
    assert_eq!(waiting(&resolution), ["basket"]);
    assert_eq!(served_by(&resolution, "checkout", CART).as_deref(), Some("cart"));
}

#[test]
fn a_function_that_cannot_report_a_failed_call_is_warned_of() {
    let handlers = known([("checkout", needs(&[CART], &[])), ("cart", exports(&[CART]))]);
    let resolution = resolve(&handlers, &Preferred::new());
    assert!(
        warnings(&resolution, "checkout").contains("a failed call of `f` in `shop:cart/cart@0.1.0` traps")
    );
    let careful = resolve(
        &known([("front", artifact(&guests::careful()))]),
        &Preferred::new(),
    );
    assert!(!warnings(&careful, "front").contains("a failed call"));
}

/// What is said against newer versions of these handlers.
fn refused<const N: usize>(serving: &Known, newer: [(&str, Arc<Artifact>); N]) -> Vec<(String, String)> {
    let refusals = swap::refusals(serving, &known(newer), &Preferred::new(), &name("frontend"));
    refusals
        .into_iter()
        .map(|(name, rejection)| (name.to_string(), rejection.to_string()))
        .collect()
}

fn wide(imports: &[&str], interfaces: &[&str]) -> Arc<Artifact> {
    let imports: Vec<_> = imports.iter().map(|interface| (*interface, WIDE)).collect();
    let interfaces: Vec<_> = interfaces.iter().map(|interface| (*interface, WIDE)).collect();
    artifact(&component(&imports, &interfaces))
}

#[test]
fn a_version_takes_over_if_those_who_call_it_can_go_on() {
    let serving = known([
        ("checkout", needs(&[CART], &[])),
        ("cart", exports(&[CART])),
        ("later", needs(&["shop:cart/cart@0.2.0"], &[])),
    ]);
    assert_eq!(
        refused(&serving, [("cart", exports(&["shop:cart/cart@0.1.7", EMAIL]))]),
        []
    );
    // Nobody is called through `checkout`, and `later` is not served yet.
    assert_eq!(refused(&serving, [("checkout", exports(&[EMAIL]))]), []);
    assert_eq!(refused(&serving, [("later", exports(&[EMAIL]))]), []);
    let changed = refused(&serving, [("cart", wide(&[], &[CART]))]);
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].0, "cart");
    let expected =
        "`shop:cart/cart.f` is func(x: u64) -> u32 instead of func(x: u32) -> u32, and `checkout` uses it";
    assert!(changed[0].1.starts_with(expected), "{}", changed[0].1);
    let gone = refused(&serving, [("cart", exports(&[EMAIL]))]);
    assert!(
        gone[0]
            .1
            .starts_with("`shop:cart/cart.f` is gone, and `checkout` uses it; keep"),
        "{gone:?}"
    );
    let alone = refused(&serving, [("checkout", needs(&[CART, EMAIL], &[]))]);
    assert!(
        alone[0]
            .1
            .starts_with("it imports `shop:email/email@0.1.0`, which nobody serves; build it"),
        "{alone:?}"
    );
}

#[test]
fn a_contract_changes_once_all_its_users_have_a_newer_file() {
    let serving = known([
        ("checkout", needs(&[CART], &[])),
        ("audit", needs(&[CART], &[])),
        ("cart", exports(&[CART])),
    ]);
    let names =
        |refused: Vec<(String, String)>| refused.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let cart = || ("cart", wide(&[], &[CART]));
    let checkout = || ("checkout", wide(&[CART], &[]));
    assert_eq!(names(refused(&serving, [checkout()])), ["checkout"]);
    assert_eq!(
        names(refused(&serving, [cart(), checkout()])),
        ["cart", "checkout"]
    );
    assert_eq!(
        names(refused(
            &serving,
            [cart(), checkout(), ("audit", wide(&[CART], &[]))]
        )),
        Vec::<String>::new()
    );
    // A third newer file has nothing to do with it.
    let newer = [cart(), checkout(), ("audit", needs(&[CART], &[EMAIL]))];
    assert_eq!(names(refused(&serving, newer)), ["cart", "checkout"]);
}

#[test]
fn a_version_that_would_serve_others_worse_than_who_serves_them_is_refused() {
    let serving = known([
        ("checkout", needs(&[CART], &[])),
        ("basket", exports(&[EMAIL])),
        ("cart", exports(&[CART])),
    ]);
    // It comes first by name, and does not fit.
    let refused = refused(&serving, [("basket", wide(&[], &[CART, EMAIL]))]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].1.contains("`checkout` uses it"), "{refused:?}");
}

#[test]
fn what_answers_the_root_goes_on_answering_http() {
    let http = |is_http| {
        let mut frontend = Arc::into_inner(exports(&[EMAIL])).unwrap();
        frontend.http = is_http;
        Arc::new(frontend)
    };
    let serving = known([("frontend", http(true)), ("admin", http(true))]);
    assert_eq!(
        refused(&serving, [("frontend", http(true)), ("admin", http(false))]),
        []
    );
    let refused = refused(&serving, [("frontend", http(false))]);
    assert!(
        refused[0]
            .1
            .starts_with("it does not answer HTTP, and `/` leads to it"),
        "{refused:?}"
    );
}
