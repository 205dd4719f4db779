//! Codes of local authorities, former ones too: a child keeps the UPN that its first authority's school gave it.
//!
//! Sources: for England the DfE's list of every code since 2009, live and terminated, with 702 for schools of the Forces
//! overseas (github.com/dfe-analytical-services/dfe-published-data-qa, data/las.csv); nobody on roll today got a UPN before.
//! Welsh UPNs are valid in England (DfE, "Unique pupil numbers: a guide", 6.7); Wales's 22 authorities are 660 to 681 (GIAS).

/// Ranges of codes, both ends included.
const CODES: [(u16, u16); 34] = [
    (201, 213),
    (301, 320),
    (330, 336),
    (340, 344),
    (350, 359),
    (370, 373),
    (380, 384),
    (390, 394),
    (420, 420),
    (660, 681),
    (702, 702),
    (800, 803),
    (805, 808),
    (810, 813),
    (815, 816),
    (820, 823),
    (825, 826),
    (830, 831),
    (835, 841),
    (845, 846),
    (850, 852),
    (855, 857),
    (860, 861),
    (865, 896),
    (908, 909),
    (916, 916),
    (919, 919),
    (921, 921),
    (925, 926),
    (928, 929),
    (931, 931),
    (933, 933),
    (935, 938),
    (940, 943),
];

/// Whether a code is or was a local authority's.
pub(crate) fn is_known(code: u16) -> bool {
    CODES.iter().any(|(first, last)| (*first..=*last).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_codes_as_the_sources_have() {
        let known = |codes: std::ops::RangeInclusive<u16>| codes.filter(|code| is_known(*code)).count();
        assert_eq!((known(0..=999), known(660..=681)), (161 + 22, 22));
    }

    #[test]
    fn present_and_former_authorities_are_known_and_invented_ones_are_not() {
        let [bournemouth, poole, old_dorset, cumbria, forces, cardiff] = [837, 836, 835, 909, 702, 681];
        assert!(
            [838, 839, 943, 201, bournemouth, poole, old_dorset, cumbria, forces, cardiff].into_iter().all(is_known)
        );
        assert!(![0, 900, 999, 214, 682].into_iter().any(is_known));
    }
}
