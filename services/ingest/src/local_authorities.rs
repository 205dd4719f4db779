//! Codes of English local authorities, former ones too: a child keeps the UPN that its first authority's school gave it.

/// Ranges of codes, both ends included (DfE, "Local authority codes"; the 900s hold the counties before 1998).
const CODES: [(u16, u16); 35] = [
    (201, 213),
    (301, 320),
    (330, 336),
    (340, 344),
    (350, 359),
    (370, 373),
    (380, 384),
    (390, 394),
    (420, 420),
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
    (901, 904),
    (905, 909),
    (910, 912),
    (913, 916),
    (917, 919),
    (920, 923),
    (924, 927),
    (928, 931),
    (932, 933),
    (934, 936),
    (937, 938),
    (939, 941),
    (942, 943),
];

/// Whether a code is or was a local authority's.
pub(crate) fn is_known(code: u16) -> bool {
    CODES.iter().any(|(first, last)| (*first..=*last).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dorset_and_a_merged_county_are_known_and_invented_ones_are_not() {
        assert!([838, 839, 943, 201].into_iter().all(is_known));
        assert!(![0, 900, 999, 214].into_iter().any(is_known));
    }
}
