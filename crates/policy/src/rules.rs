//! `rules.toml`: text to a rule set, and to when a school counts as silent.

use crate::files::RULES;
use crate::problem::{Place, Problem, Problems};
use crate::table::{Entry, Table};
use attendance::code::CodeSet;
use attendance::enrolment::{Groups, YearGroup};
use attendance::forecast::Limit;
use attendance::profile::Applies;
use attendance::rate::Share;
use attendance::rule::{Levels, Measure, Rule, RuleId, RuleSet, Severity, Template, Window};
use attendance::silence::Watch;
use attendance::{Code, Phase};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    title: String,
    kind: String,
    counts: Option<toml::Value>,
    window: Option<String>,
    of: Option<String>,
    after: Option<i64>,
    within: Option<i64>,
    minimum: Option<i64>,
    margin: Option<String>,
    levels: RawLevels,
    applies: Option<RawApplies>,
    with: Option<String>,
    severity: Option<String>,
    sentence: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawApplies {
    #[serde(default)]
    phases: Vec<String>,
    #[serde(default)]
    year_groups: Vec<String>,
    #[serde(default)]
    except_year_groups: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLevels {
    at_risk: Option<toml::Value>,
    persistent: Option<toml::Value>,
    severe: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWatch {
    title: String,
    morning: String,
    afternoon: String,
    min_share: String,
    severity: Option<String>,
    /// For whoever reads the file.
    #[serde(rename = "source")]
    _source: Option<String>,
}

/// What the file says.
#[derive(Debug)]
pub(crate) struct Read {
    /// The rules about pupils.
    pub(crate) rules: RuleSet,
    /// When a school counts as silent; none where nobody is to be told.
    pub(crate) watch: Option<Watch>,
}

pub(crate) fn read(text: &str) -> Result<Read, Problems> {
    let mut problems = Problems::default();
    let Some(mut file) = problems.take(Table::parse(RULES, text)) else { return Err(problems) };
    let entries: Option<Vec<Entry<RawRule>>> = file.entries("rule", "id", &mut problems);
    let watch: Option<RawWatch> = file.entry("silent_school", &mut problems);
    let watch = watch.and_then(|raw| problems.take(self::watch(&raw)));
    file.finish(&mut problems);
    let Some(entries) = entries else { return Err(problems) };
    if entries.is_empty() {
        problems.add(Place::new(RULES, ""), "there is no [[rule]]; nothing would ever be raised");
    }
    for (number, Entry { name, .. }) in entries.iter().enumerate() {
        if let Some(name) = name.as_ref().filter(|_| entries.iter().take(number).any(|before| before.name == *name)) {
            problems.add(Place::new(RULES, format!("rule {name:?}, id")), "two rules have it; give each its own");
        }
    }
    let read = entries.iter().filter_map(|entry| entry.read.as_ref());
    let rules = read.filter_map(|raw| problems.take(rule(raw))).collect();
    problems.or(())?;
    let rules = RuleSet::new(rules).map_err(|error| Problems(vec![Problem::new(Place::new(RULES, ""), error)]))?;
    Ok(Read { rules, watch })
}

fn watch(raw: &RawWatch) -> Result<Watch, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("silent_school, {part}"));
    if raw.title.trim().is_empty() {
        problems.add(place("title")(), "the title is empty; messages show it");
    }
    let morning = problems.part(place("morning"), time_of_day(&raw.morning));
    let afternoon = problems.part(place("afternoon"), time_of_day(&raw.afternoon));
    if let (Some(morning), Some(afternoon)) = (morning, afternoon)
        && afternoon <= morning
    {
        problems.add(place("afternoon")(), "the afternoon's registers must be due after the morning's");
    }
    let min_share = problems.part(place("min_share"), Share::parse(&raw.min_share));
    let severity = problems.part(place("severity"), severity(raw.severity.as_deref()));
    let title = raw.title.trim().to_owned();
    let parts = morning.zip(afternoon).zip(min_share.zip(severity));
    problems.finish(parts.map(|((morning, afternoon), (min_share, severity))| Watch {
        title,
        morning,
        afternoon,
        min_share,
        severity,
    }))
}

/// Minutes after midnight.
fn time_of_day(text: &str) -> Result<u16, String> {
    let number = |text: &str, most: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number < most)
    };
    let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour, 24)?, number(minute, 60)?)));
    let (hour, minute) = parts.ok_or_else(|| format!("{text:?} is no time of day; write it as 10:30"))?;
    Ok(hour * 60 + minute)
}

fn severity(text: Option<&str>) -> Result<Severity, String> {
    text.map_or(Ok(Severity::default()), |text| {
        Severity::parse(text).ok_or_else(|| format!("{text:?} is no severity: low, normal or high"))
    })
}

fn rule(raw: &RawRule) -> Result<Rule, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let id = problems.part(place("id"), RuleId::parse(&raw.id));
    if raw.title.trim().is_empty() {
        problems.add(place("title")(), "the title is empty; messages show it");
    }
    let levels_at = place("levels")();
    let measure = match raw.kind.as_str() {
        "rate" => problems.take(rate(raw, &levels_at)),
        "sessions" => problems.take(sessions(raw, &levels_at)),
        "run" => problems.take(run(raw, &levels_at)),
        "unresolved" => problems.take(unresolved(raw, &levels_at)),
        "review" => problems.take(review(raw, &levels_at)),
        "chance" => problems.take(chance(raw, &levels_at)),
        "expected" => problems.take(expected(raw, &levels_at)),
        "change" => problems.take(change(raw, &levels_at)),
        "pattern" => problems.take(pattern(raw, &levels_at)),
        other => {
            let kinds = "rate, sessions, run, unresolved, review, chance, expected, change or pattern";
            problems.add(place("kind")(), format!("{other:?} is no kind of rule: {kinds}"));
            None
        }
    };
    let with = raw.with.as_deref().and_then(|with| problems.part(place("with"), RuleId::parse(with)));
    let severity = problems.part(place("severity"), severity(raw.severity.as_deref())).unwrap_or_default();
    let sentence = raw.sentence.as_deref().and_then(|text| problems.part(place("sentence"), Template::parse(text)));
    let applies = raw.applies.as_ref().map_or(Ok(Applies::default()), applies);
    let applies = problems.part(place("applies"), applies).unwrap_or_default();
    let source = raw.source.as_deref().map(str::trim).filter(|source| !source.is_empty()).map(str::to_owned);
    let title = raw.title.trim().to_owned();
    problems.finish(id.zip(measure).map(|(id, measure)| Rule {
        applies,
        with,
        severity,
        sentence,
        source,
        ..Rule::new(id, title, measure)
    }))
}

fn applies(raw: &RawApplies) -> Result<Applies, String> {
    let phase = |text: &String| {
        Phase::parse(text).ok_or_else(|| format!("{text:?} is no phase: primary, secondary or special"))
    };
    let year_groups = |list: &[String]| -> Result<Vec<YearGroup>, String> {
        list.iter().map(|text| YearGroup::parse(text).map_err(|error| error.to_string())).collect()
    };
    Ok(Applies {
        phases: raw.phases.iter().map(phase).collect::<Result<_, _>>()?,
        year_groups: year_groups(&raw.year_groups)?,
        except: year_groups(&raw.except_year_groups)?,
        groups: Groups::parse(&raw.groups.join(";")).map_err(|error| error.to_string())?,
    })
}

fn rate(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let counted = problems.part(place("counts"), counted(raw, Some(CodeSet::ABSENT)));
    let window = problems.part(place("window"), window(raw));
    let minimum = problems.part(place("minimum"), minimum(raw));
    refuse(raw, &OF_SESSIONS, "a rate", &mut problems);
    let (margin, levels) = shares(raw, levels_at, &mut problems);
    match (counted, window, minimum, margin, levels) {
        (Some(counted), Some(window), Some(minimum), Some(margin), Some(levels)) => {
            problems.or(Measure::Rate { counted, window, minimum, margin, levels })
        }
        _ => Err(problems),
    }
}

fn minimum(raw: &RawRule) -> Result<u32, &'static str> {
    let minimum = raw.minimum.and_then(|minimum| u32::try_from(minimum).ok());
    let minimum = minimum.filter(|minimum| (1..=400).contains(minimum));
    minimum.ok_or("it needs a minimum of possible sessions, from 1 to 400")
}

/// Margin and levels of a rule that goes by shares.
fn shares(raw: &RawRule, levels_at: &Place, problems: &mut Problems) -> (Option<Share>, Option<Levels<Share>>) {
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let margin = problems.part(place("margin"), Share::parse(raw.margin.as_deref().unwrap_or("0%")));
    let levels = problems.take(levels(raw, levels_at, |value| match value.as_str() {
        Some(text) => Share::parse(text).map_err(|e| e.to_string()),
        None => Err(format!("{value} is no share; write it as \"10%\"")),
    }));
    if levels.is_some_and(|levels| levels.iter().any(|(_, share)| share == Share::percent(0))) {
        problems.add(levels_at.clone(), "a threshold of 0% would hold for every pupil");
    }
    let least = levels.as_ref().and_then(|levels| levels.iter().next());
    let margin_given = margin.filter(|margin| *margin > Share::percent(0));
    if let Some((margin, (level, threshold))) = margin_given.zip(least).filter(|(margin, (_, least))| margin >= least) {
        let what = format!(
            "{margin} is no less than where {level} begins, {threshold}: no rate is so low that an alert would ever clear; \
             make the margin smaller"
        );
        problems.add(place("margin")(), what);
    }
    (margin, levels)
}

fn sessions(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    refuse(raw, &["minimum", "margin", "of", "after", "within"], "a number of sessions", &mut problems);
    let counted = problems.part(place("counts"), counted(raw, None));
    let window = problems.part(place("window"), window(raw));
    let levels = problems.take(whole_numbers(raw, levels_at, "sessions"));
    match (counted, window, levels) {
        (Some(counted), Some(window), Some(levels)) => problems.or(Measure::Sessions { counted, window, levels }),
        _ => Err(problems),
    }
}

/// Fields that only rules of other kinds than a rate have.
const OF_SESSIONS: [&str; 3] = ["of", "after", "within"];

/// Refuses the fields that a rule of this kind does not have.
fn refuse(raw: &RawRule, fields: &[&str], what: &str, problems: &mut Problems) {
    let given = [
        ("counts", raw.counts.is_some()),
        ("window", raw.window.is_some()),
        ("of", raw.of.is_some()),
        ("after", raw.after.is_some()),
        ("within", raw.within.is_some()),
        ("minimum", raw.minimum.is_some()),
        ("margin", raw.margin.is_some()),
    ];
    for (field, _) in given.iter().filter(|(field, given)| *given && fields.contains(field)) {
        problems.add(Place::new(RULES, format!("rule {:?}, {field}", raw.id)), format!("{what} has none; take it out"));
    }
}

fn unresolved(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["window", "minimum", "margin", "of"], "a number of unresolved sessions", &mut problems);
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let counted = problems.part(place("counts"), counted(raw, None));
    let after = problems.part(place("after"), after(raw));
    let within = raw.within.map(|within| u32::try_from(within).ok().filter(|within| Some(*within) >= after));
    if within == Some(None) {
        problems.add(place("within")(), "it must be a number of school days, no less than after");
    }
    let within = within.flatten();
    let levels = problems.take(whole_numbers(raw, levels_at, "sessions"));
    match (counted, after, levels) {
        (Some(counted), Some(after), Some(levels)) => {
            problems.or(Measure::Unresolved { counted, after, within, levels })
        }
        _ => Err(problems),
    }
}

fn after(raw: &RawRule) -> Result<u32, &'static str> {
    let after = raw.after.and_then(|after| u32::try_from(after).ok()).filter(|after| *after <= 190);
    after.ok_or("it needs a number of school days, from 0 to 190")
}

fn review(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["window", "minimum", "margin", "of"], "a review", &mut problems);
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let counted = problems.part(place("counts"), counted(raw, None));
    let after = problems.part(place("after"), after(raw));
    let within = raw.within.and_then(|within| u32::try_from(within).ok()).filter(|within| (1..=190).contains(within));
    let within = problems.part(place("within"), within.ok_or("it needs a number of school days, from 1 to 190"));
    let levels = problems.take(whole_numbers(raw, levels_at, "school days"));
    match (counted, after, within, levels) {
        (Some(counted), Some(after), Some(within), Some(levels)) => {
            problems.or(Measure::Review { counted, after, within, levels })
        }
        _ => Err(problems),
    }
}

fn chance(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["counts", "window", "after", "within"], "a probability", &mut problems);
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let of = match raw.of.as_deref() {
        Some("persistent") => Ok(Limit::Persistent),
        Some("severe") => Ok(Limit::Severe),
        Some(other) => Err(format!("{other:?} is nothing that a chance is given for: \"persistent\" or \"severe\"")),
        None => Err("it is missing: \"persistent\" or \"severe\"".to_owned()),
    };
    let of = problems.part(place("of"), of);
    let minimum = problems.part(place("minimum"), minimum(raw));
    let (margin, levels) = shares(raw, levels_at, &mut problems);
    match (of, minimum, margin, levels) {
        (Some(of), Some(minimum), Some(margin), Some(levels)) => {
            problems.or(Measure::Chance { of, minimum, margin, levels })
        }
        _ => Err(problems),
    }
}

fn expected(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["counts", "window", "of", "after", "within"], "a number still to be missed", &mut problems);
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let minimum = problems.part(place("minimum"), minimum(raw));
    let margin = problems.part(place("margin"), margin_in_sessions(raw));
    let levels = problems.take(whole_numbers(raw, levels_at, "sessions"));
    let least = levels.as_ref().and_then(|levels| levels.iter().next());
    if let Some((margin, (level, threshold))) = margin.zip(least).filter(|(margin, (_, least))| margin >= least) {
        let what =
            format!("{margin} sessions are no less than where {level} begins, {threshold}: no alert would ever clear");
        problems.add(place("margin")(), what);
    }
    match (minimum, margin, levels) {
        (Some(minimum), Some(margin), Some(levels)) => problems.or(Measure::Expected { minimum, margin, levels }),
        _ => Err(problems),
    }
}

fn margin_in_sessions(raw: &RawRule) -> Result<u32, String> {
    let Some(text) = raw.margin.as_deref() else { return Ok(0) };
    let number = text.trim().strip_suffix("sessions").and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| format!("{text:?} is no number of sessions; write it as \"10 sessions\""))
}

fn change(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["counts", "window", "of", "after", "within", "minimum", "margin"], "a change", &mut problems);
    let levels = problems.take(whole_numbers(raw, levels_at, "points"));
    problems.finish(levels.map(|levels| Measure::Change { levels }))
}

/// The codes that a rule counts.
fn counted(raw: &RawRule, default: Option<CodeSet>) -> Result<CodeSet, String> {
    let how = "\"absence\", \"authorised\", \"unauthorised\", or a list of codes as [\"N\", \"O\"]";
    let Some(given) = &raw.counts else {
        return default.ok_or_else(|| format!("it is missing: {how}"));
    };
    match given {
        toml::Value::String(text) => match text.as_str() {
            "absence" => Ok(CodeSet::ABSENT),
            "authorised" => Ok(CodeSet::AUTHORISED),
            "unauthorised" => Ok(CodeSet::UNAUTHORISED),
            _ => Err(format!("{text:?} is not what can be counted: {how}")),
        },
        toml::Value::Array(list) if !list.is_empty() => {
            let codes: Result<Vec<Code>, String> = list.iter().map(|code| possible_code(code, how)).collect();
            Ok(CodeSet::of(&codes?))
        }
        _ => Err(format!("{given} is not what can be counted: {how}")),
    }
}

/// A code of possible sessions: of others none is ever counted.
fn possible_code(given: &toml::Value, how: &str) -> Result<Code, String> {
    let text = given.as_str().ok_or_else(|| format!("{given} is no code: {how}"))?;
    let code = Code::ALL.iter().copied().find(|code| code.text() == text);
    let code = code.ok_or_else(|| format!("{text:?} is no attendance code; upper and lower case differ"))?;
    if code.meaning().is_possible() {
        Ok(code)
    } else {
        Err(format!("{text} ({}) is no possible session, which a rule cannot count", code.title()))
    }
}

fn run(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["window", "minimum", "margin", "of", "after", "within"], "a run of days", &mut problems);
    let place = || Place::new(RULES, format!("rule {:?}, counts", raw.id));
    let counted = problems.part(place, counted(raw, None));
    let levels = problems.take(whole_numbers(raw, levels_at, "school days"));
    problems.finish(counted.zip(levels).map(|(counted, levels)| Measure::Run { counted, levels }))
}

fn pattern(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    refuse(raw, &["counts", "window", "of", "after", "within", "margin"], "a pattern", &mut problems);
    let place = || Place::new(RULES, format!("rule {:?}, minimum", raw.id));
    let minimum = raw.minimum.and_then(|minimum| u32::try_from(minimum).ok()).filter(|least| (1..=100).contains(least));
    let minimum = problems.part(place, minimum.ok_or("it needs a minimum of short absences, from 1 to 100"));
    let levels = problems.take(numbers(raw, levels_at, "children (one in so many)", 1_000_000));
    problems.finish(minimum.zip(levels).map(|(minimum, levels)| Measure::Pattern { minimum, levels }))
}

fn whole_numbers(raw: &RawRule, levels_at: &Place, of: &str) -> Result<Levels<u32>, Problems> {
    numbers(raw, levels_at, of, 400)
}

fn numbers(raw: &RawRule, levels_at: &Place, of: &str, most: u32) -> Result<Levels<u32>, Problems> {
    levels(raw, levels_at, |value| {
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| format!("{value} is no number of {of} from 1 to {most}"))
    })
}

fn levels<T: Copy + Ord>(
    raw: &RawRule,
    place: &Place,
    parse: impl Fn(&toml::Value) -> Result<T, String>,
) -> Result<Levels<T>, Problems> {
    let mut problems = Problems::default();
    let mut one =
        |value: &Option<toml::Value>| value.as_ref().and_then(|value| problems.part(|| place.clone(), parse(value)));
    let thresholds = [one(&raw.levels.at_risk), one(&raw.levels.persistent), one(&raw.levels.severe)];
    problems.or(())?;
    let [at_risk, persistent, severe] = thresholds;
    let mut problems = Problems::default();
    let levels = problems.part(|| place.clone(), Levels::new(at_risk, persistent, severe));
    problems.finish(levels)
}

fn window(raw: &RawRule) -> Result<Window, String> {
    let how = "\"year-to-date\", \"term\", or 1 to 39 weeks as \"6 school weeks\"";
    match raw.window.as_deref() {
        None => Err(format!("it is missing: {how}")),
        Some("year-to-date") => Ok(Window::YearToDate),
        Some("term") => Ok(Window::Term),
        Some(text) => {
            let weeks = text.strip_suffix("school weeks").and_then(|count| count.trim().parse().ok());
            let weeks = weeks.filter(|weeks| (1..=39).contains(weeks)).map(Window::SchoolWeeks);
            weeks.ok_or_else(|| format!("{text:?} is no window: {how}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_ship_are_sound() {
        let Read { rules, watch } = read(crate::DEFAULT_RULES).unwrap();
        assert!(watch.is_some_and(|watch| watch.morning < watch.afternoon));
        let ids: Vec<&str> = rules.rules().iter().map(|rule| rule.id.text()).collect();
        assert_eq!(ids[..5], ["year-to-date", "expected", "term", "recent-weeks", "change"]);
        assert_eq!(ids.len(), 18, "{ids:?}");
        assert!(rules.rules().iter().all(|rule| rule.source.is_some()), "each says what it rests on");
        let alerts: Vec<&str> = rules.alerts().iter().map(|alert| alert.id.text()).collect();
        let expected = [
            "year-to-date",
            "unauthorised-run",
            "penalty-notice",
            "illness-run",
            "suspension-run",
            "part-time-timetable",
            "part-time-review",
            "pattern",
            "unresolved",
            "unexplained-today",
        ];
        assert_eq!(alerts, expected);
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let problems = read(
            r#"
            [[rule]]
            id = "A"
            title = ""
            kind = "rate"
            window = "fortnight"
            minimum = 0
            margin = "x"
            levels = { persistent = 10 }
            [[rule]]
            id = "run"
            title = "Run"
            kind = "run"
            counts = "unauthorised"
            minimum = 3
            levels = { at-risk = 5, severe = 5 }
            "#,
        )
        .unwrap_err();
        let told = problems.to_string();
        for part in [
            "rules.toml, rule \"A\", id:",
            "rule \"A\", title:",
            "rule \"A\", window: \"fortnight\" is no window",
            "rule \"A\", minimum:",
            "rule \"A\", margin:",
            "rule \"A\", levels: 10 is no share",
            "rule \"run\", minimum: a run of days has none",
            "rule \"run\", levels: the threshold of severe must be greater than that of at-risk",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_form_of_one_rule_hides_no_other() {
        let problems = read(
            r#"[[rule]]
            id = "first"
            titel = "First"
            title = 5
            kind = "rate"
            levels = { persistent = "10%", serious = "50%" }
            [[rule]]
            title = "Second"
            kind = "rate"
            [[rule]]
            id = "third"
            title = "Third"
            kind = "run"
            counts = "unauthorised"
            levels = { at-risk = 0 }
            [[rule]]
            id = "third"
            title = "Fourth"
            kind = "streak"
            levels = {}
            [rules]
            "#,
        )
        .unwrap_err();
        let mut told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        told.sort();
        for (problem, part) in told.iter().zip([
            "rules.toml, line 21: unknown field `rules`, expected one of rule",
            "rules.toml, rule \"first\", line 3, titel: unknown field `titel`, expected one of `id`, `title`",
            "rules.toml, rule \"first\", line 4, title: invalid type: integer `5`, expected a string",
            "rules.toml, rule \"first\", line 6, levels: unknown field `serious`, expected one of `at-risk`",
            "rules.toml, rule \"third\", id: two rules have it",
            "rules.toml, rule \"third\", kind: \"streak\" is no kind of rule",
            "rules.toml, rule \"third\", levels: 0 is no number of school days",
            "rules.toml, rule 2, line 7: missing field `",
        ]) {
            assert!(problem.starts_with(part), "{part} in\n{problems}");
        }
        assert_eq!(told.len(), 8, "{problems}");
        let told = read("rule = 5\n").unwrap_err().to_string();
        assert_eq!(told, "rules.toml, line 1: rule is of type integer; write each as a table of its own, [[rule]]");
        let told = read("[[rule]]\nid = 'a'\ntitle 'A'\n[[rule]]\n").unwrap_err().to_string();
        assert!(told.starts_with("rules.toml, line 3: "), "{told}");
    }

    #[test]
    fn what_is_counted_is_a_kind_of_absence_or_codes_of_possible_sessions() {
        let read = |kind: &str, counts: &str| {
            let rest = if kind == "run" { "" } else { "window = 'term'" };
            let text = format!(
                "[[rule]]\nid = 'a'\ntitle = 'A'\nkind = '{kind}'\n{counts}\n{rest}\nlevels = {{ severe = 5 }}\n"
            );
            match read(&text).map(|read| read.rules.rules()[0].measure.clone()) {
                Ok(Measure::Run { counted, .. } | Measure::Sessions { counted, .. }) => counted.to_string(),
                other => other.unwrap_err().to_string(),
            }
        };
        assert_eq!(read("run", "counts = 'unauthorised'"), "G, N, O or U");
        assert_eq!(read("sessions", "counts = ['O', 'C2']"), "C2 or O");
        for (counts, part) in [
            ("", "counts: it is missing: \"absence\", \"authorised\""),
            ("counts = 'absent'", "counts: \"absent\" is not what can be counted"),
            ("counts = []", "counts: [] is not what can be counted"),
            ("counts = ['i']", "counts: \"i\" is no attendance code; upper and lower case differ"),
            ("counts = [5]", "counts: 5 is no code"),
            ("counts = ['D']", "counts: D (dual registered, expected at the other school) is no possible session"),
            ("counts = ['-']", "counts: - (no mark taken) is no possible session"),
            ("counts = ['I']\nminimum = 5", "minimum: a number of sessions has none; take it out"),
        ] {
            let told = read("sessions", counts);
            assert!(told.contains(part), "{counts}: {told}");
        }
        assert!(read("sessions", "counts = 'absence'\nlevels = 5").contains("duplicate key"));
    }

    #[test]
    fn a_margin_below_which_no_rate_can_fall_is_refused() {
        let told = |margin: &str| {
            let rule = "[[rule]]\nid = 'a'\ntitle = 'A'\nkind = 'rate'\nwindow = 'term'\nminimum = 20\n";
            let read = read(&format!("{rule}margin = '{margin}'\nlevels = {{ persistent = '10%', severe = '50%' }}\n"));
            read.err().unwrap_or_default().to_string()
        };
        assert_eq!(told("9.99%"), "");
        for margin in ["10%", "40%"] {
            let told = told(margin);
            let part =
                format!("rules.toml, rule \"a\", margin: {margin} is no less than where persistent begins, 10%:");
            assert!(told.starts_with(&part) && told.ends_with("make the margin smaller"), "{told}");
        }
    }

    #[test]
    fn rules_of_the_forecast_and_their_fields_are_read_and_refused() {
        let rule = |text: &str| format!("[[rule]]\nid = 'a'\ntitle = 'A'\n{text}\n");
        let good = |text: &str| read(&rule(text)).unwrap().rules.rules()[0].clone();
        let expected = good("kind = 'expected'\nminimum = 10\nmargin = '8 sessions'\nlevels = { persistent = 60 }");
        assert!(matches!(expected.measure, Measure::Expected { minimum: 10, margin: 8, .. }));
        let chance = good("kind = 'chance'\nof = 'severe'\nminimum = 10\nlevels = { severe = '50%' }");
        assert!(matches!(chance.measure, Measure::Chance { of: Limit::Severe, .. }));
        for (text, part) in [
            ("kind = 'expected'\nlevels = { severe = 9 }", "minimum: it needs a minimum"),
            (
                "kind = 'expected'\nminimum = 9\nmargin = '2%'\nlevels = { severe = 9 }",
                "margin: \"2%\" is no number of sessions",
            ),
            (
                "kind = 'expected'\nminimum = 9\nmargin = '9 sessions'\nlevels = { severe = 9 }",
                "margin: 9 sessions are no less",
            ),
            (
                "kind = 'expected'\nminimum = 9\ncounts = ['N']\nlevels = { severe = 9 }",
                "counts: a number still to be missed has none",
            ),
            ("kind = 'chance'\nminimum = 9\nlevels = { severe = '9%' }", "of: it is missing"),
            ("kind = 'chance'\nof = 'bad'\nminimum = 9\nlevels = { severe = '9%' }", "of: \"bad\" is nothing that"),
            ("kind = 'change'\nwindow = 'term'\nlevels = { severe = 9 }", "window: a change has none"),
            ("kind = 'rate'\nafter = 3", "after: a rate has none"),
            ("kind = 'change'\nlevels = { severe = 9 }\nseverity = 'urgent'", "severity: \"urgent\" is no severity"),
            ("kind = 'change'\nlevels = { severe = 9 }\nsentence = '{name}'", "sentence: there is no figure {name}"),
            ("kind = 'change'\nlevels = { severe = 9 }\napplies = { groups = ['x'] }", "applies: \"x\" is no group"),
            ("kind = 'change'\nlevels = { severe = 9 }\nwith = 'b'", "rule a goes with b, and there is no such rule"),
        ] {
            let text = if text.starts_with("kind = 'rate'") {
                format!("{text}\nwindow = 'term'\nminimum = 9\nlevels = {{ severe = '9%' }}")
            } else {
                text.to_owned()
            };
            let told = read(&rule(&text)).unwrap_err().to_string();
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn rules_of_what_is_owed_and_whom_they_are_for_are_read_and_refused() {
        let rule = |text: &str| format!("[[rule]]\nid = 'a'\ntitle = 'A'\n{text}\n");
        let good = |text: &str| read(&rule(text)).unwrap().rules.rules()[0].clone();
        let owed = "kind = 'unresolved'\ncounts = ['N']\nafter = 5\nlevels = { at-risk = 1 }\n";
        let owed = good(&format!(
            "{owed}applies = {{ phases = ['primary'], year-groups = ['R', '6'], except-year-groups = ['N1'], groups = ['ehcp'] }}\n\
             severity = 'high'\nsentence = '{{counted}} owed'\nsource = ' X '"
        ));
        assert_eq!(owed.applies.year_groups, [YearGroup::Reception, YearGroup::Year(6)]);
        assert_eq!(owed.applies.except, [YearGroup::N1]);
        let review = good("kind = 'review'\ncounts = ['C2']\nafter = 30\nwithin = 10\nlevels = { at-risk = 1 }");
        assert!(matches!(review.measure, Measure::Review { after: 30, within: 10, .. }));
        assert_eq!((owed.severity, owed.source.as_deref()), (Severity::High, Some("X")));
        for (text, part) in [
            ("kind = 'unresolved'\ncounts = ['N']\nlevels = { severe = 9 }", "after: it needs a number of school days"),
            (
                "kind = 'unresolved'\ncounts = ['N']\nafter = 5\nwithin = 4\nlevels = { severe = 9 }",
                "within: it must be",
            ),
            (
                "kind = 'review'\ncounts = ['C2']\nwithin = 9\nlevels = { severe = 9 }",
                "after: it needs a number of school days",
            ),
            (
                "kind = 'review'\ncounts = ['C2']\nafter = 9\nlevels = { severe = 9 }",
                "within: it needs a number of school days",
            ),
            (
                "kind = 'change'\nlevels = { severe = 9 }\napplies = { except-year-groups = ['15'] }",
                "applies: \"15\" is no year group",
            ),
        ] {
            let told = read(&rule(text)).unwrap_err().to_string();
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn when_a_school_counts_as_silent_is_read_and_refused() {
        let rule = "[[rule]]\nid = 'a'\ntitle = 'A'\nkind = 'change'\nlevels = { severe = 9 }\n";
        let good = "[silent_school]\ntitle = 'Missing'\nmorning = '09:45'\nafternoon = '14:30'\nmin_share = '75%'\n";
        assert_eq!(read(rule).unwrap().watch, None);
        let watch = read(&format!("{rule}{good}severity = 'high'\n")).unwrap().watch.unwrap();
        assert_eq!((watch.morning, watch.afternoon), (9 * 60 + 45, 14 * 60 + 30));
        assert_eq!((watch.min_share, watch.severity), (Share::percent(75), Severity::High));
        for (from, to, part) in [
            ("'09:45'", "'9:45'", "silent_school, morning: \"9:45\" is no time of day; write it as 10:30"),
            ("'14:30'", "'24:30'", "silent_school, afternoon: \"24:30\" is no time of day"),
            ("'14:30'", "'09:45'", "silent_school, afternoon: the afternoon's registers must be due after"),
            ("'75%'", "'0.75'", "silent_school, min_share: \"0.75\""),
            ("'Missing'", "' '", "silent_school, title: the title is empty"),
            ("title", "name", "silent_school, line 7, name: unknown field `name`"),
            ("morning = '09:45'", "", "silent_school, line 6: missing field `morning`"),
        ] {
            let told = read(&format!("{rule}{}", good.replace(from, to))).unwrap_err().to_string();
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let told = read("[[rule]]\nid = 'a'\ntitel = 'A'\n").unwrap_err().to_string();
        assert!(told.contains("titel") && told.contains("line 3"), "{told}");
        assert!(read("").unwrap_err().to_string().contains("no [[rule]]"));
    }
}
