//! A fit on pupils of one kind is worth having for others of it: what `earlybell fit` does for an authority.

use attendance::forecast::fit;
use earliness::cohort::{Cohort, Pupil, totals};
use earliness::judged::seen;
use earliness::kinds::{self, KINDS};
use earliness::measure;

/// Where spells are long a class can stand for an illness rather than for a child; then the year before would be lost.
#[test]
fn where_spells_are_long_a_fit_keeps_what_the_year_before_tells() {
    let kind = KINDS.iter().find(|kind| kind.name == "long spells").unwrap();
    let (learn, test): (Cohort, Cohort) = kinds::cohort(kind, 3, 2_400).halves();
    let model = fit(&learn.children(), "long spells".to_owned()).unwrap();
    let ended: Vec<bool> = test.pupils.iter().map(Pupil::is_persistent).collect();
    let before = |pupil: &Pupil| {
        let (possible, missed) = totals(&pupil.before);
        f64::from(missed) / f64::from(possible.max(1))
    };
    let by_year_before = measure::auc(&test.pupils.iter().map(before).collect::<Vec<_>>(), &ended);
    let seen = seen(&test, &model);
    for day in [10, 38] {
        let chances: Vec<f64> = seen.iter().map(|seen| seen[day - 1].outlook.persistent).collect();
        let (ours, error) = (measure::auc(&chances, &ended), measure::calibration(&chances, &ended));
        println!("day {day}: AUC {ours:.3}, by the year before {by_year_before:.3}, calibration error {error:.3}");
        assert!(ours > by_year_before + 0.005, "day {day}: {ours} {by_year_before}");
        assert!(error < 0.05, "day {day}: {error}");
    }
}
