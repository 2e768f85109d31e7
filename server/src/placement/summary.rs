//! A placement's status in a few lines of text, as `cleave place` prints it.

use std::collections::BTreeMap;

use protocol::NodeName;
use protocol::api::placement::{Placement, PlacementStatus};

use super::routes::mode_word;

/// What is in force and what is on its way, then each node with its handlers; a handler that does not serve has its
/// state in parentheses.
pub fn summary(status: &PlacementStatus) -> String {
    let desired = format!("placement {} ({})", status.generation, in_words(&status.desired));
    let actual = match status.actual_generation {
        0 => "none is in force yet".to_owned(),
        generation => format!("{generation} ({}) is in force", in_words(&status.actual)),
    };
    let mut lines = vec![match &status.error {
        _ if status.generation == status.actual_generation => format!("{desired} is in force"),
        Some(_) => format!("{desired} did not come about; {actual}"),
        None => format!("{desired} is on its way; {actual}"),
    }];
    if let Some(error) = &status.error {
        lines.push(format!("error: {error}"));
    }
    let edges = status.desired.edges.iter();
    lines.extend(edges.map(|(edge, way)| format!("edge {edge} by {way}")));
    lines.extend(status.notes.iter().map(|note| format!("note: {note}")));
    let nodes = nodes(status);
    let width = nodes
        .iter()
        .map(|(name, _)| name.as_str().len())
        .max()
        .unwrap_or_default();
    for (name, handlers) in nodes {
        let handlers = if handlers.is_empty() {
            "no handlers".to_owned()
        } else {
            handlers.join(" ")
        };
        lines.push(format!("{:width$}  {handlers}", name.as_str()));
    }
    lines.join("\n") + "\n"
}

/// The mode, and how calls go where not as usual: `apart+uds+2ms`.
pub fn in_words(placement: &Placement) -> String {
    let way = placement.way();
    match way.is_silent() {
        true => mode_word(placement.mode).to_owned(),
        false => format!("{}+{way}", mode_word(placement.mode)),
    }
}

/// Home first, then the children by name.
fn nodes(status: &PlacementStatus) -> Vec<(NodeName, Vec<String>)> {
    let mut children: BTreeMap<NodeName, Vec<String>> = BTreeMap::new();
    for (handler, place) in &status.handlers {
        let planned = std::slice::from_ref(&place.desired_node);
        let served = if place.nodes.is_empty() {
            planned
        } else {
            &place.nodes
        };
        let shown = match place.state.as_str() {
            "serving" => handler.to_string(),
            state => format!("{handler} ({state})"),
        };
        for node in served {
            children.entry(node.clone()).or_default().push(shown.clone());
        }
    }
    let home = NodeName::home();
    let in_home = children.remove(&home).unwrap_or_default();
    std::iter::once((home, in_home)).chain(children).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use protocol::HandlerName;
    use protocol::Way;
    use protocol::api::placement::HandlerPlace;

    use super::*;
    use crate::config;
    use crate::placement::plan::{self, Member};

    const SHOP: [&str; 10] = [
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

    fn settled(generation: u64, placement: Placement) -> PlacementStatus {
        let member = |name: &str| Member {
            name: HandlerName::parse(name).unwrap(),
            bound_to: Vec::new(),
        };
        let members = SHOP.map(member);
        let plan = plan::plan(&placement, &members).unwrap();
        let place = |member: &Member| {
            let nodes: Vec<NodeName> = plan.nodes_of(&member.name).cloned().collect();
            let place = HandlerPlace {
                node: nodes.first().cloned(),
                desired_node: nodes[0].clone(),
                nodes: nodes.clone(),
                desired_nodes: nodes,
                state: "serving".to_owned(),
            };
            (member.name.clone(), place)
        };
        PlacementStatus {
            generation,
            actual_generation: generation,
            desired: placement.clone(),
            actual: placement.clone(),
            settled: true,
            file: Placement::default(),
            handlers: members.iter().map(place).collect(),
            notes: plan::notes(&placement, &plan),
            error: None,
        }
    }

    #[test]
    fn the_example_s_outputs_are_what_its_files_come_to() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/placement");
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        for (generation, file) in [(2, "apart.toml"), (3, "groups.toml"), (4, "together.toml")] {
            let path = folder.join(file);
            let placement = config::placement_argument(path.to_str().unwrap()).unwrap();
            let output = summary(&settled(generation, placement));
            let step = format!("cleave place examples/placement/{file}\n```\n\n```text\n{output}```\n");
            assert!(readme.contains(&step), "{step}");
        }
    }

    #[test]
    fn what_is_on_its_way_or_failed_is_said_beside_what_is_in_force() {
        let mut status = settled(2, Placement::default());
        status.handlers.retain(|name, _| name.as_str() == "cart");
        status
            .handlers
            .values_mut()
            .for_each(|place| place.state = "down".to_owned());
        status.generation = 3;
        let moving = "placement 3 (together) is on its way; 2 (together) is in force\nhome  cart (down)\n";
        assert_eq!(summary(&status), moving);
        status.error = Some("node `cart`: port in use".to_owned());
        assert_eq!(
            summary(&status),
            "placement 3 (together) did not come about; 2 (together) is in force\nerror: node `cart`: port in use\nhome  cart (down)\n"
        );
        status.error = None;
        status.actual_generation = 3;
        let way = Way::default().with("uds").unwrap().with("2ms").unwrap();
        status.desired = status.desired.by(way);
        let rule = (
            "cart -> shop:ad/ad".parse().unwrap(),
            Way::default().with("tcp").unwrap(),
        );
        status.desired.edges.extend([rule]);
        assert_eq!(
            summary(&status),
            "placement 3 (together+uds+2ms) is in force\nedge cart -> shop:ad/ad by tcp\nhome  cart (down)\n"
        );
        status.desired = Placement::default();
        status.error = Some("node `cart`: port in use".to_owned());
        status.actual_generation = 0;
        assert!(
            summary(&status).starts_with("placement 3 (together) did not come about; none is in force yet\n")
        );
    }
}
