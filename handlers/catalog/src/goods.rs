//! What Tern & Thimble sells, in the order of the shop window.

pub(crate) struct Good {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static [&'static str],
    /// In the shop's own currency.
    pub(crate) cents: i64,
    pub(crate) categories: &'static [&'static str],
}

pub(crate) const GOODS: [Good; 16] = [
    Good {
        id: "glowworm-lantern",
        name: "Glowworm Lantern",
        summary: "A tin lantern with a door that closes with a click.",
        description: &[
            "Folded from one sheet of tin, with a pane of real glass and a handle that stays cool.",
            "One candle makes enough light to read a map by, and too little to wake anybody.",
        ],
        cents: 3_400,
        categories: &["light", "outdoors"],
    },
    Good {
        id: "storm-kettle",
        name: "Storm Kettle",
        summary: "Boils a litre on a handful of twigs, in any weather.",
        description: &[
            "A chimney runs up the middle of the water, so the fire is sheltered and nothing is wasted.",
            "Pine cones, birch bark and last week's newspaper all work. The whistle is included and is loud.",
        ],
        cents: 5_950,
        categories: &["kitchen", "outdoors"],
    },
    Good {
        id: "harbour-mug",
        name: "Harbour Mug",
        summary: "Enamelled steel, the blue of an early ferry.",
        description: &[
            "Holds a third of a litre, does not mind the dishwasher, and keeps its dents as memories.",
        ],
        cents: 1_250,
        categories: &["kitchen"],
    },
    Good {
        id: "field-notebook",
        name: "Field Notebook",
        summary: "Ninety-six squared pages that lie flat and stand rain.",
        description: &[
            "Thread-sewn, with a stiff back to write on your knee and a pocket for pressed leaves.",
            "The paper takes pencil when it is wet and ink when it is not.",
        ],
        cents: 1_490,
        categories: &["paper", "outdoors"],
    },
    Good {
        id: "tern-compass",
        name: "Tern Compass",
        summary: "A brass compass with a bird for a needle.",
        description: &[
            "The needle is a tern, its red beak finds north, and it settles within four seconds.",
            "The lid closes over it. Engraving inside the lid is up to you and a steady hand.",
        ],
        cents: 4_200,
        categories: &["outdoors"],
    },
    Good {
        id: "fireside-blanket",
        name: "Fireside Blanket",
        summary: "Undyed wool in three greys, large enough for two.",
        description: &[
            "Woven in one piece of 140 by 200 centimetres, with a fringe that was knotted by hand.",
            "It smells faintly of sheep when damp. We think that is a point in its favour.",
        ],
        cents: 8_900,
        categories: &["warmth"],
    },
    Good {
        id: "puddle-boots",
        name: "Puddle Boots",
        summary: "Yellow to the knee, and the puddle has been tested.",
        description: &[
            "Natural rubber over a cotton lining, with a tread deep enough for a ploughed field.",
            "From size 24 up to 46, because nobody is too old for this.",
        ],
        cents: 4_650,
        categories: &["outdoors", "warmth"],
    },
    Good {
        id: "kite-of-letters",
        name: "Kite of Letters",
        summary: "A paper kite to write on before you let it go.",
        description: &[
            "Spars of spruce, a sail of long-fibred paper, sixty metres of line on a beech reel.",
            "Write your letter on the tail. Delivery is not guaranteed, but it is very scenic.",
        ],
        cents: 2_280,
        categories: &["play", "paper"],
    },
    Good {
        id: "pocket-telescope",
        name: "Pocket Telescope",
        summary: "Three draws of brass, eight times nearer.",
        description: &[
            "Shut, it is as long as a finger; drawn out, it reads the name on a boat across the bay.",
            "Comes in a felt sleeve that fits no other thing you own.",
        ],
        cents: 6_700,
        categories: &["outdoors", "play"],
    },
    Good {
        id: "beeswax-candles",
        name: "Beeswax Candles",
        summary: "Six hand-dipped candles, eleven hours each.",
        description: &[
            "Pure wax and cotton wick, in a box that turns into a stand.",
            "They fit the Glowworm Lantern, which is no coincidence.",
        ],
        cents: 1_820,
        categories: &["light", "warmth"],
    },
    Good {
        id: "long-scarf",
        name: "Long Scarf",
        summary: "Two metres and a half, striped like a lighthouse.",
        description: &[
            "Knitted in lambswool, red and cream. Goes round twice and still has something to say.",
        ],
        cents: 3_950,
        categories: &["warmth"],
    },
    Good {
        id: "seed-cabinet",
        name: "Seed Cabinet",
        summary: "Twelve little drawers, twelve kinds of seed.",
        description: &[
            "From borage to sweet peas, each drawer with a card that says when, where and how deep.",
            "Once it is empty it will keep buttons, stamps or very small secrets.",
        ],
        cents: 3_150,
        categories: &["garden", "paper"],
    },
    Good {
        id: "bath-boat",
        name: "Bath Boat",
        summary: "A sloop for waters up to thirty centimetres deep.",
        description: &["Limewood hull, cotton sail, lead keel. It rights itself, whatever the captain does."],
        cents: 2_600,
        categories: &["play"],
    },
    Good {
        id: "windowsill-garden",
        name: "Windowsill Garden",
        summary: "Three clay pots, one tray, chives by Thursday week.",
        description: &[
            "Unglazed pots that breathe, with chives, basil and a surprise that is nearly always parsley.",
        ],
        cents: 2_750,
        categories: &["garden", "kitchen"],
    },
    Good {
        id: "orchard-honey",
        name: "Orchard Honey",
        summary: "Half a kilo of May, set and spoonable.",
        description: &["From apple and plum blossom, stirred cold by people who are patient with bees."],
        cents: 980,
        categories: &["kitchen", "garden"],
    },
    Good {
        id: "harbour-umbrella",
        name: "Harbour Umbrella",
        summary: "Eight ribs of ash that bend and do not break.",
        description: &[
            "A canopy of waxed cotton, a handle of bent chestnut, and a loop to hang it up by.",
            "If the wind turns it inside out, turn it back: it takes no offence.",
        ],
        cents: 5_400,
        categories: &["outdoors"],
    },
];
