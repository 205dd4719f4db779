//! `projection.toml`: the numbers of the forecast, which `earlybell fit` writes.

use crate::files::PROJECTION;
use crate::problem::{Place, Problem, Problems};
use crate::table::{Entry, Table};
use attendance::Phase;
use attendance::enrolment::YearGroup;
use attendance::forecast::{After, Calibration, Chances, Class, Model, Parts, Stage, TOLD_AT};
use serde::Deserialize;
use std::fmt::Write;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCalibration {
    shift: [f64; TOLD_AT.len()],
    slope: [f64; TOLD_AT.len()],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChances {
    begins: f64,
    lasts: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    noon: RawChances,
    night: RawChances,
    #[serde(rename = "break")]
    pause: RawChances,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawStage {
    phase: Option<String>,
    #[serde(default)]
    year_groups: Vec<String>,
    shares: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAfter {
    rate: f64,
    shares: Vec<f64>,
}

pub(crate) fn read(text: &str) -> Result<Model, Problems> {
    let mut problems = Problems::default();
    let Some(mut file) = problems.take(Table::parse(PROJECTION, text)) else { return Err(problems) };
    let source: Option<String> = file.required("source", &mut problems);
    let change: Option<f64> = file.required("change", &mut problems);
    let trust: Option<f64> = file.required("trust", &mut problems);
    let persistent: Option<RawCalibration> = file.entry("persistent", &mut problems);
    let severe: Option<RawCalibration> = file.entry("severe", &mut problems);
    let classes: Option<Vec<Entry<RawClass>>> = file.entries("class", "", &mut problems);
    let stages: Option<Vec<Entry<RawStage>>> = file.entries("stage", "", &mut problems);
    let after: Option<Vec<Entry<RawAfter>>> = file.entries("after", "", &mut problems);
    file.finish(&mut problems);
    let stages: Vec<Stage> = read_all(stages)
        .filter_map(|(number, raw)| {
            let place = || Place::new(PROJECTION, format!("stage {number}"));
            problems.part(place, stage(raw))
        })
        .collect();
    problems.or(())?;
    let calibration = |raw: Option<RawCalibration>| {
        raw.map_or(Calibration::NONE, |RawCalibration { shift, slope }| Calibration { shift, slope })
    };
    let chances = |RawChances { begins, lasts }| Chances { onset: begins, stay: lasts };
    let parts = Parts {
        source: source.unwrap_or_default(),
        classes: read_all(classes)
            .map(|(_, raw)| Class { chances: [chances(raw.noon), chances(raw.night), chances(raw.pause)] })
            .collect(),
        stages,
        change: change.unwrap_or_default(),
        trust: trust.unwrap_or_default(),
        after: read_all(after).map(|(_, RawAfter { rate, shares })| After { rate, shares }).collect(),
        persistent: calibration(persistent),
        severe: calibration(severe),
    };
    Model::new(parts).map_err(|error| Problems(vec![Problem::new(Place::new(PROJECTION, ""), error)]))
}

fn read_all<T>(entries: Option<Vec<Entry<T>>>) -> impl Iterator<Item = (usize, T)> {
    entries.into_iter().flatten().filter_map(|entry| Some((entry.number, entry.read?)))
}

fn stage(raw: RawStage) -> Result<Stage, String> {
    let phase = match &raw.phase {
        None => None,
        Some(text) => {
            Some(Phase::parse(text).ok_or_else(|| format!("{text:?} is no phase: primary, secondary or special"))?)
        }
    };
    let groups: Result<Vec<YearGroup>, _> = raw.year_groups.iter().map(|text| YearGroup::parse(text)).collect();
    Ok(Stage { phase, year_groups: groups.map_err(|error| error.to_string())?, shares: raw.shares })
}

const HEAD: &str = "\
# The numbers of the forecast: how children attend, and what is usual. `earlybell fit` derives them from past years' registers;
# what they mean is in docs/projection.md. Change them with that command rather than by hand.
#
# change        the chance, each session, that a child changes its ways
# trust         how much a session says, 0 to 1: sessions of a child hang together, so that one says less than one by itself would
# persistent    how the probability of persistent absence is put right: log odds = shift + slope * log odds, each where all of the school
#               year is still to come, nine tenths of it, three quarters, and nothing; severe: the same for severe absence
# [[class]]     a typical way to attend: the chance that a spell of absence begins after a session attended, and that it lasts after one
#               missed, over noon, a night, and a weekend or holiday; by rising absence
# [[stage]]     the share of each class at the beginning of a school year, by phase and year groups; the first that fits a child holds
# [[after]]     the same for children whose last school year had about this absence rate (0 to 1); in between they are mixed
";

/// A model as `projection.toml`.
pub(crate) fn write(model: &Model) -> String {
    let parts = model.parts();
    let mut text = HEAD.to_owned();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    let list = |shares: &[f64]| {
        let shares: Vec<String> = shares.iter().map(|share| format!("{share:.5}")).collect();
        format!("shares = [{}]", shares.join(", "))
    };
    line(String::new());
    line(format!("source = {:?}", parts.source));
    line(format!("change = {:.6}", parts.change));
    line(format!("trust = {:.3}", parts.trust));
    for (name, Calibration { shift, slope }) in [("persistent", parts.persistent), ("severe", parts.severe)] {
        let told = |values: [f64; TOLD_AT.len()]| values.map(|value| format!("{value:.4}")).join(", ");
        line(format!("{name} = {{ shift = [{}], slope = [{}] }}", told(shift), told(slope)));
    }
    for class in &parts.classes {
        line(format!("\n# {:.1}% of sessions missed", Model::rate(class) * 100.0));
        line("[[class]]".to_owned());
        for (name, Chances { onset, stay }) in ["noon", "night", "break"].iter().zip(class.chances) {
            line(format!("{name} = {{ begins = {onset:.5}, lasts = {stay:.5} }}"));
        }
    }
    for stage in &parts.stages {
        line("\n[[stage]]".to_owned());
        if let Some(phase) = stage.phase {
            line(format!("phase = {:?}", phase.text()));
        }
        if !stage.year_groups.is_empty() {
            let groups: Vec<String> = stage.year_groups.iter().map(|group| format!("{:?}", group.text())).collect();
            line(format!("year-groups = [{}]", groups.join(", ")));
        }
        line(list(&stage.shares));
    }
    for after in &parts.after {
        let mut rate = String::new();
        _ = write!(rate, "\n[[after]]\nrate = {:?}", after.rate);
        line(rate);
        line(list(&after.shares));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_ship_are_sound_and_survive_their_file() {
        let model = read(crate::DEFAULT_PROJECTION).unwrap();
        assert!(!model.parts().source.is_empty());
        let again = read(&write(&model)).unwrap();
        assert_eq!(write(&again), write(&model));
        assert_eq!(again, model);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |from: &str, to: &str| {
            let text = crate::DEFAULT_PROJECTION.replacen(from, to, 1);
            assert_ne!(text, crate::DEFAULT_PROJECTION, "{from}");
            read(&text).unwrap_err().to_string()
        };
        assert!(wrong("change = 0.", "change = 3.").contains("the chance to change must lie between 0.000001 and 0.1"));
        assert!(wrong("{ begins", "{ starts").starts_with("projection.toml, class 1, line "));
        assert!(wrong("\nphase = \"primary\"", "\nphase = \"first\"").contains("stage 1: \"first\" is no phase"));
        assert!(wrong("\nshares = [", "\nshares = [0.5, ").contains("stage 1: there must be 12 shares"));
        assert!(read("").unwrap_err().to_string().contains("projection.toml: source is missing"));
    }
}
