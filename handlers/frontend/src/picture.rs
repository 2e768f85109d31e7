//! The drawings, one SVG per product id. A product without one gets the sign of the shop.

const PICTURES: [(&str, &str); 16] = [
    ("bath-boat", include_str!("../pictures/bath-boat.svg")),
    ("beeswax-candles", include_str!("../pictures/beeswax-candles.svg")),
    ("field-notebook", include_str!("../pictures/field-notebook.svg")),
    (
        "fireside-blanket",
        include_str!("../pictures/fireside-blanket.svg"),
    ),
    (
        "glowworm-lantern",
        include_str!("../pictures/glowworm-lantern.svg"),
    ),
    ("harbour-mug", include_str!("../pictures/harbour-mug.svg")),
    (
        "harbour-umbrella",
        include_str!("../pictures/harbour-umbrella.svg"),
    ),
    ("kite-of-letters", include_str!("../pictures/kite-of-letters.svg")),
    ("long-scarf", include_str!("../pictures/long-scarf.svg")),
    ("orchard-honey", include_str!("../pictures/orchard-honey.svg")),
    (
        "pocket-telescope",
        include_str!("../pictures/pocket-telescope.svg"),
    ),
    ("puddle-boots", include_str!("../pictures/puddle-boots.svg")),
    ("seed-cabinet", include_str!("../pictures/seed-cabinet.svg")),
    ("storm-kettle", include_str!("../pictures/storm-kettle.svg")),
    ("tern-compass", include_str!("../pictures/tern-compass.svg")),
    (
        "windowsill-garden",
        include_str!("../pictures/windowsill-garden.svg"),
    ),
];

const SIGN: &str = include_str!("../pictures/tern.svg");

pub(crate) fn of(id: &str) -> &'static str {
    PICTURES
        .iter()
        .find(|(name, _)| *name == id)
        .map_or(SIGN, |(_, svg)| svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drawing_is_an_svg_of_its_own() {
        for (place, (id, svg)) in PICTURES.iter().enumerate() {
            assert!(
                svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""),
                "{id}"
            );
            assert!(svg.trim_end().ends_with("</svg>"), "{id}");
            assert!(
                PICTURES.iter().skip(place + 1).all(|(_, other)| other != svg),
                "{id}"
            );
        }
        assert_eq!(of("unheard-of"), SIGN);
    }
}
