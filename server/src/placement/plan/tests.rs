//! Placements and handlers in, nodes or refusals out.

use protocol::InterfaceName;

use super::*;

fn handler(name: &str) -> HandlerName {
    HandlerName::parse(name).unwrap()
}

fn members(names: &[&str]) -> Vec<Member> {
    let member = |name: &&str| Member {
        name: handler(name),
        bound_to: Vec::new(),
    };
    names.iter().map(member).collect()
}

/// `caller` calls a function of `callee` that cannot leave the process.
fn bind(members: &mut [Member], caller: &str, callee: &str) {
    let member = members
        .iter_mut()
        .find(|member| member.name == handler(caller))
        .unwrap();
    let interface = InterfaceName::parse(&format!("shop:{callee}/{callee}@0.1.0")).unwrap();
    member.bound_to.push(LocalEdge {
        callee: handler(callee),
        function: FunctionPath::new(interface, "open"),
    });
}

fn together() -> Placement {
    Placement::default()
}

fn apart() -> Placement {
    Placement {
        mode: Mode::Apart,
        ..Placement::default()
    }
}

fn groups(groups: &[&[&str]]) -> Placement {
    let group = |group: &&[&str]| group.iter().map(|name| handler(name)).collect();
    Placement {
        mode: Mode::Groups,
        groups: groups.iter().map(group).collect(),
        ..Placement::default()
    }
}

/// A plan in a line: `home: a b | c: c`.
fn line(plan: &Plan) -> String {
    let node = |node: &NodeSpec| {
        let handlers: Vec<&str> = node.handlers.iter().map(HandlerName::as_str).collect();
        format!("{}: {}", node.name, handlers.join(" "))
    };
    plan.nodes.iter().map(node).collect::<Vec<_>>().join(" | ")
}

fn reasons(placement: &Placement, members: &[Member]) -> Vec<String> {
    plan(placement, members)
        .unwrap_err()
        .iter()
        .map(Refusal::to_string)
        .collect()
}

#[test]
fn each_mode_has_its_nodes() {
    let shop = members(&["frontend", "cart", "checkout", "ad"]);
    for (placement, nodes) in [
        (together(), "home: ad cart checkout frontend"),
        (
            apart(),
            "home:  | ad: ad | cart: cart | checkout: checkout | frontend: frontend",
        ),
        (
            groups(&[&["checkout", "cart"]]),
            "home: ad frontend | checkout-cart: cart checkout",
        ),
        (
            groups(&[&["cart"], &["ad", "checkout"]]),
            "home: frontend | ad-checkout: ad checkout | cart: cart",
        ),
    ] {
        assert_eq!(line(&plan(&placement, &shop).unwrap()), nodes, "{placement:?}");
    }
    assert_eq!(line(&plan(&apart(), &[]).unwrap()), "home: ");
}

#[test]
fn groups_do_not_count_in_another_mode() {
    let placement = Placement {
        mode: Mode::Together,
        ..groups(&[&["nobody"], &["cart"], &["cart"]])
    };
    assert_eq!(
        line(&plan(&placement, &members(&["cart"])).unwrap()),
        "home: cart"
    );
}

#[test]
fn a_node_s_name_is_cut_to_a_number_where_it_would_be_too_long_or_taken() {
    let long = ["a".repeat(40), "b".repeat(40)];
    let shop = members(&["a", "b-c", "a-b", "c", &long[0], &long[1]]);
    let placement = groups(&[&["a", "b-c"], &["a-b", "c"], &[&long[0], &long[1]]]);
    let plan = plan(&placement, &shop).unwrap();
    let names: Vec<&str> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["home", "a-b-c", "group-1", "group-2"]);
}

#[test]
fn a_handler_alone_keeps_its_name_though_a_group_would_join_to_it() {
    let shop = members(&["a", "b", "a-b"]);
    let plan = plan(&groups(&[&["a", "b"], &["a-b"]]), &shop).unwrap();
    assert_eq!(line(&plan), "home:  | a-b: a-b | group-1: a b");
}

#[test]
fn a_node_is_renamed_beside_one_that_runs_under_its_name_with_other_handlers() {
    let shop = members(&["a", "b-c", "a-b", "c"]);
    let before = plan(&groups(&[&["a", "b-c"]]), &shop).unwrap();
    let after = plan(&groups(&[&["a-b", "c"]]), &shop).unwrap();
    assert_eq!(
        line(&after.clone().beside(before.children())),
        "home: a b-c | group-1: a-b c"
    );
    assert_eq!(after.clone().beside(after.children()), after);
}

fn with_replicas(placement: Placement, replicas: &[(&str, u32)]) -> Placement {
    let replicas = replicas
        .iter()
        .map(|(name, wanted)| (handler(name), *wanted))
        .collect();
    Placement {
        replicas,
        ..placement
    }
}

#[test]
fn replicas_have_nodes_of_their_own_and_the_first_keeps_its_name() {
    let shop = members(&["cart", "catalog", "cart-2"]);
    let plan_of =
        |placement, replicas: &[(&str, u32)]| plan(&with_replicas(placement, replicas), &shop).unwrap();
    assert_eq!(
        line(&plan_of(apart(), &[("catalog", 3)])),
        "home:  | cart: cart | cart-2: cart-2 | catalog: catalog | catalog-2: catalog | catalog-3: catalog"
    );
    assert_eq!(
        line(&plan_of(apart(), &[("cart", 2)])),
        "home:  | cart: cart | cart-2: cart-2 | catalog: catalog | replica-1: cart"
    );
    assert_eq!(
        line(&plan_of(groups(&[&["cart"]]), &[("cart", 2), ("catalog", 2)])),
        "home: cart-2 catalog | cart: cart | cart-2: cart"
    );
    let long = "a".repeat(63);
    let placement = with_replicas(apart(), &[(&long, 2)]);
    assert_eq!(
        line(&plan(&placement, &members(&[&long])).unwrap()),
        format!("home:  | {long}: {long} | replica-1: {long}")
    );
}

#[test]
fn replicas_without_a_node_of_their_own_wait_unless_they_were_asked_for_by_name() {
    let shop = members(&["cart", "catalog"]);
    let two = [(handler("cart"), 2)].into();
    for (placement, node) in [
        (together(), "home"),
        (groups(&[&["cart", "catalog"]]), "cart-catalog"),
    ] {
        let placement = with_replicas(placement, &[("cart", 2)]);
        let plan = plan(&placement, &shop).unwrap();
        assert_eq!(plan.nodes_of(&handler("cart")).count(), 1);
        let notes = notes(&placement, &plan);
        assert!(
            notes[0].starts_with(&format!(
                "`cart` has one replica instead of 2, as `{node}` is not its own"
            )),
            "{notes:?}"
        );
        let refusals = scaled(&placement, &two, &shop).unwrap_err();
        assert!(
            matches!(&refusals[..], [Refusal::NotAlone { .. }]),
            "{refusals:?}"
        );
        assert!(scaled(&placement, &[(handler("cart"), 1)].into(), &shop).is_ok());
    }
    let placement = with_replicas(apart(), &[("cart", 2)]);
    assert!(scaled(&placement, &two, &shop).is_ok());
    assert_eq!(
        notes(&placement, &plan(&placement, &shop).unwrap()),
        Vec::<String>::new()
    );
    let unknown = scaled(&apart(), &[(handler("crt"), 2)].into(), &shop).unwrap_err();
    assert_eq!(
        unknown[0].to_string(),
        "no handler is called `crt`; did you mean `cart`?"
    );
    for wanted in [0, 17] {
        assert_eq!(
            reasons(&with_replicas(apart(), &[("cart", wanted)]), &shop),
            [format!("`cart` cannot have {wanted} replicas; write 1 to 16")]
        );
    }
}

#[test]
fn home_serves_for_nodes_that_are_away_unless_a_replica_does() {
    let shop = members(&["cart", "catalog", "email"]);
    let plan = plan(&with_replicas(apart(), &[("cart", 2)]), &shop).unwrap();
    let away = ["cart-2", "email"].map(|name| NodeName::parse(name).unwrap());
    assert_eq!(
        line(&plan.without(&away.into())),
        "home: email | cart: cart | catalog: catalog"
    );
}

#[test]
fn everything_that_speaks_against_a_placement_is_said_at_once() {
    let mut shop = members(&["cart", "checkout", "ad", "email"]);
    bind(&mut shop, "checkout", "cart");
    bind(&mut shop, "ad", "email");
    assert_eq!(
        reasons(&groups(&[&["cart", "chekout"], &["cart"], &[]]), &shop),
        [
            "mode `groups` needs `groups` with at least one handler in each",
            "no handler is called `chekout`; did you mean `checkout`?",
            "`cart` is in group 1 and again in group 2; a handler is in one group",
            "`checkout` calls `shop:cart/cart.open` of `cart`, which passes resources or streams and cannot leave the \
             process; put both in one group, or use `together`",
        ]
    );
    assert_eq!(reasons(&apart(), &shop).len(), 2);
    assert_eq!(
        reasons(&groups(&[]), &shop),
        ["mode `groups` needs `groups` with at least one handler in each"]
    );
    assert_eq!(
        reasons(&groups(&[&["warehouse"]]), &shop),
        ["no handler is called `warehouse`"]
    );
}

#[test]
fn a_call_that_cannot_leave_its_process_is_no_trouble_where_both_ends_are_together() {
    let mut shop = members(&["cart", "checkout", "ad"]);
    bind(&mut shop, "checkout", "cart");
    assert!(plan(&together(), &shop).is_ok());
    assert!(plan(&groups(&[&["cart", "checkout"]]), &shop).is_ok());
    assert!(plan(&groups(&[&["ad"]]), &shop).is_ok());
    assert!(plan(&groups(&[&["cart"]]), &shop).is_err());
}

#[test]
fn arranging_leaves_out_callers_of_cut_edges_and_passes_over_missing_members() {
    let mut shop = members(&["cart", "checkout", "frontend"]);
    bind(&mut shop, "checkout", "cart");
    bind(&mut shop, "frontend", "checkout");
    let (plan, left_out) = arrange(&apart(), &shop);
    assert_eq!(line(&plan), "home:  | cart: cart");
    assert_eq!(left_out.len(), 2);
    let (plan, left_out) = arrange(&groups(&[&["cart", "checkout", "email"]]), &members(&["cart"]));
    assert_eq!(line(&plan), "home:  | cart: cart");
    assert_eq!(left_out, []);
}

#[test]
fn more_children_than_one_home_supervises_are_refused_and_stay_in_home_when_arranged() {
    let names: Vec<String> = (0..=CHILDREN_MAX).map(|n| format!("h{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = members(&names);
    assert!(plan(&apart(), &many[1..]).is_ok());
    assert_eq!(
        reasons(&apart(), &many),
        ["65 child nodes are more than the 64 that one home supervises; put handlers in groups"]
    );
    let (plan, _) = arrange(&apart(), &many);
    assert_eq!(plan.children().len(), CHILDREN_MAX);
    assert_eq!(plan.home().handlers, [handler("h064")]);
    let replicas: Vec<(&str, u32)> = names[..8].iter().map(|name| (*name, 16)).collect();
    let (plan, left_out) = arrange(&with_replicas(apart(), &replicas), &many[..8]);
    assert_eq!(
        (plan.children().len(), plan.home().handlers.len(), left_out.len()),
        (CHILDREN_MAX, 0, 1)
    );
}

#[test]
fn only_imported_functions_that_cannot_leave_the_process_bind_a_caller() {
    let handlers: Vec<Handler> = serde_json::from_value(serde_json::json!([
        api("cart", &[("open", "local-only"), ("add", "routable")], None),
        api("checkout", &[], Some(&["open", "add"])),
        api("frontend", &[], Some(&["add"])),
    ]))
    .unwrap();
    let members = super::members(&handlers);
    let bound: Vec<usize> = members.iter().map(|member| member.bound_to.len()).collect();
    assert_eq!(bound, [0, 1, 0]);
    assert_eq!(members[1].bound_to[0].callee, handler("cart"));
    assert_eq!(members[1].bound_to[0].function.to_string(), "shop:cart/cart.open");
}

/// A handler as the API shows it, with these functions of the cart, and those that it imports from it.
fn api(name: &str, exports: &[(&str, &str)], imports: Option<&[&str]>) -> serde_json::Value {
    let function = |(name, reach): &(&str, &str)| serde_json::json!({"name": name, "signature": "func()", "reach": reach, "reports_failed_calls": false});
    let functions: Vec<_> = exports.iter().map(function).collect();
    let export = serde_json::json!({"interface": "shop:cart/cart@0.1.2", "functions": functions});
    let import = imports.map(|functions| {
        serde_json::json!({
            "interface": "shop:cart/cart@0.1.0", "kind": "handler", "functions": functions, "served_by": "cart",
        })
    });
    serde_json::json!({
        "name": name, "state": "serving", "version": "0", "size_bytes": 1, "compile_ms": 0, "http": false,
        "exports": if exports.is_empty() { vec![] } else { vec![export] },
        "imports": import.into_iter().collect::<Vec<_>>(),
        "nodes": [], "warnings": [],
        "figures": {
            "calls": 0, "errors": 0, "rate_per_s": 0.0,
            "instances_idle": 0, "instances_busy": 0, "instances_made": 0,
        },
    })
}
