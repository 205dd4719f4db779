//! A small model of the forecast.

use attendance::Phase;
use attendance::forecast::{After, Calibration, Chances, Class, Model, Parts, Stage};

/// Three ways to attend.
pub(crate) fn model() -> Model {
    let chances = |onset, stay| Chances { onset, stay };
    let class = |onset: f64, stay: f64| Class {
        chances: [chances(onset / 4.0, stay + 0.2), chances(onset, stay), chances(onset * 1.3, stay - 0.1)],
    };
    let stage = |phase, shares: [f64; 3]| Stage { phase, year_groups: vec![], shares: shares.to_vec() };
    let after = |rate, shares: [f64; 3]| After { rate, shares: shares.to_vec() };
    let parts = Parts {
        source: "invented".into(),
        classes: vec![class(0.02, 0.3), class(0.08, 0.5), class(0.3, 0.7)],
        stages: vec![stage(Some(Phase::Primary), [0.7, 0.25, 0.05]), stage(None, [0.6, 0.3, 0.1])],
        change: 0.002,
        trust: 1.0,
        after: vec![after(0.0, [0.9, 0.09, 0.01]), after(0.1, [0.3, 0.5, 0.2]), after(0.6, [0.05, 0.25, 0.7])],
        persistent: Calibration { shift: [0.1; 4], slope: [0.9; 4] },
        severe: Calibration::NONE,
    };
    Model::new(parts).unwrap()
}
