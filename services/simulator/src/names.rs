//! Invented names: schools, towns, given and family names. Takes dice, gives names; ASCII only, safe in Windows-1252.

use crate::dice::Dice;

const FIRST: [&str; 32] = [
    "Quill", "Thorn", "Amber", "Brindle", "Copper", "Dapple", "Elder", "Fennel", "Gorse", "Hazel", "Iris", "Juniper",
    "Kestrel", "Lark", "Marl", "Nettle", "Otter", "Plover", "Quince", "Rush", "Sorrel", "Teasel", "Umber", "Vetch",
    "Willow", "Yarrow", "Saffron", "Bracken", "Curlew", "Dunlin", "Flint", "Harebell",
];
const SECOND: [&str; 16] = [
    "mere", "haven", "brook", "hollow", "cross", "gate", "meadow", "reach", "fold", "barrow", "water", "combe",
    "field", "stead", "copse", "ridge",
];
const GIVEN: [&str; 48] = [
    "Ada", "Alfie", "Amara", "Arlo", "Beth", "Blake", "Callum", "Cara", "Daisy", "Dylan", "Edie", "Eli", "Erin",
    "Ezra", "Faye", "Finn", "Freya", "George", "Grace", "Hari", "Hope", "Imran", "Isla", "Ivy", "Jack", "Jaya", "Kit",
    "Lena", "Leo", "Lily", "Mabel", "Max", "Maya", "Mila", "Nina", "Noah", "Oscar", "Pearl", "Poppy", "Reuben", "Rosa",
    "Rowan", "Seth", "Tess", "Theo", "Una", "Wren", "Zara",
];
const FAMILY: [&str; 40] = [
    "Ashgrove",
    "Barrowby",
    "Birdwhistle",
    "Coppersmith",
    "Copsewood",
    "Dabney",
    "Drummoor",
    "Elderby",
    "Fairbrook",
    "Fennimore",
    "Foxley",
    "Gillhurst",
    "Goldacre",
    "Greyling",
    "Hartsop",
    "Hayfield",
    "Hollins",
    "Inglemoor",
    "Kettleby",
    "Kingsbrook",
    "Larkham",
    "Linwood",
    "Marlowe",
    "Mossman",
    "Nightjar",
    "Oakhanger",
    "Pennyfold",
    "Pikewell",
    "Quillan",
    "Ravensby",
    "Rushton",
    "Sandford",
    "Silverlock",
    "Thackwell",
    "Thistleby",
    "Underhill",
    "Vickers",
    "Wainfleet",
    "Westering",
    "Yarwood",
];

/// The `index`-th place name; the first 512 differ, later ones carry a number.
pub(crate) fn place(index: usize) -> String {
    // 5 has no factor in common with 16: neighbours differ in both halves.
    let (a, b) = (index % FIRST.len(), (index / FIRST.len() * 5 + index * 5) % SECOND.len());
    let base = format!("{}{}", FIRST[a], SECOND[b]);
    match index / (FIRST.len() * SECOND.len()) {
        0 => base,
        round => format!("{base} {}", round + 1),
    }
}

/// A given name.
pub(crate) fn given(dice: &mut Dice) -> &'static str {
    GIVEN[dice.index(GIVEN.len())]
}

/// A family name.
pub(crate) fn family(dice: &mut Dice) -> &'static str {
    FAMILY[dice.index(FAMILY.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_thousand_places_have_a_thousand_names() {
        let names: HashSet<String> = (0..1000).map(place).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.is_ascii()));
    }
}
