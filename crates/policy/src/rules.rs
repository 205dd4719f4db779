//! `rules.toml`: text to a rule set.

use crate::files::RULES;
use crate::problem::{Place, Problem, Problems};
use crate::table::{Entry, Table};
use attendance::Code;
use attendance::code::CodeSet;
use attendance::rate::Share;
use attendance::rule::{Levels, Measure, Rule, RuleId, RuleSet, Window};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    title: String,
    kind: String,
    counts: Option<toml::Value>,
    window: Option<String>,
    minimum: Option<i64>,
    margin: Option<String>,
    levels: RawLevels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLevels {
    at_risk: Option<toml::Value>,
    persistent: Option<toml::Value>,
    severe: Option<toml::Value>,
}

pub(crate) fn read(text: &str) -> Result<RuleSet, Problems> {
    let mut problems = Problems::default();
    let Some(mut file) = problems.take(Table::parse(RULES, text)) else { return Err(problems) };
    let entries: Option<Vec<Entry<RawRule>>> = file.entries("rule", "id", &mut problems);
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
    RuleSet::new(rules).map_err(|error| Problems(vec![Problem::new(Place::new(RULES, ""), error)]))
}

fn rule(raw: &RawRule) -> Result<Rule, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let id = problems.part(place("id"), RuleId::parse(&raw.id));
    if raw.title.trim().is_empty() {
        problems.add(place("title")(), "the title is empty; messages show it");
    }
    let measure = match raw.kind.as_str() {
        "rate" => problems.take(rate(raw, place("levels")())),
        "sessions" => problems.take(sessions(raw, &place("levels")())),
        "run" => problems.take(run(raw, &place("levels")())),
        other => {
            problems.add(place("kind")(), format!("{other:?} is no kind of rule: rate, sessions or run"));
            None
        }
    };
    let title = raw.title.trim().to_owned();
    problems.finish(id.zip(measure).map(|(id, measure)| Rule { id, title, measure }))
}

fn rate(raw: &RawRule, levels_at: Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let counted = problems.part(place("counts"), counted(raw, Some(CodeSet::ABSENT)));
    let window = problems.part(place("window"), window(raw));
    let minimum =
        raw.minimum.and_then(|minimum| u32::try_from(minimum).ok()).filter(|minimum| (1..=400).contains(minimum));
    let minimum = minimum.ok_or("a rate needs a minimum of possible sessions, from 1 to 400");
    let minimum = problems.part(place("minimum"), minimum);
    let margin = problems.part(place("margin"), Share::parse(raw.margin.as_deref().unwrap_or("0%")));
    let levels = problems.take(levels(raw, &levels_at, |value| match value.as_str() {
        Some(text) => Share::parse(text).map_err(|e| e.to_string()),
        None => Err(format!("{value} is no share; write it as \"10%\"")),
    }));
    if levels.is_some_and(|levels| levels.iter().any(|(_, share)| share == Share::percent(0))) {
        problems.add(levels_at, "a threshold of 0% would hold for every pupil");
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
    match (counted, window, minimum, margin, levels) {
        (Some(counted), Some(window), Some(minimum), Some(margin), Some(levels)) => {
            problems.or(Measure::Rate { counted, window, minimum, margin, levels })
        }
        _ => Err(problems),
    }
}

fn sessions(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    refuse(
        raw,
        &[("minimum", raw.minimum.is_some()), ("margin", raw.margin.is_some())],
        "a number of sessions",
        &mut problems,
    );
    let counted = problems.part(place("counts"), counted(raw, None));
    let window = problems.part(place("window"), window(raw));
    let levels = problems.take(whole_numbers(raw, levels_at, "sessions"));
    match (counted, window, levels) {
        (Some(counted), Some(window), Some(levels)) => problems.or(Measure::Sessions { counted, window, levels }),
        _ => Err(problems),
    }
}

/// Refuses the fields that a rule of this kind does not have.
fn refuse(raw: &RawRule, given: &[(&str, bool)], what: &str, problems: &mut Problems) {
    for (field, _) in given.iter().filter(|(_, given)| *given) {
        problems.add(Place::new(RULES, format!("rule {:?}, {field}", raw.id)), format!("{what} has none; take it out"));
    }
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
    let strange =
        [("window", raw.window.is_some()), ("minimum", raw.minimum.is_some()), ("margin", raw.margin.is_some())];
    refuse(raw, &strange, "a run of days", &mut problems);
    let place = || Place::new(RULES, format!("rule {:?}, counts", raw.id));
    let counted = problems.part(place, counted(raw, None));
    let levels = problems.take(whole_numbers(raw, levels_at, "school days"));
    problems.finish(counted.zip(levels).map(|(counted, levels)| Measure::Run { counted, levels }))
}

fn whole_numbers(raw: &RawRule, levels_at: &Place, of: &str) -> Result<Levels<u32>, Problems> {
    levels(raw, levels_at, |value| {
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=400).contains(number));
        number.ok_or_else(|| format!("{value} is no number of {of} from 1 to 400"))
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
        let rules = read(crate::DEFAULT_RULES).unwrap();
        let ids: Vec<&str> = rules.rules().iter().map(|rule| rule.id.text()).collect();
        assert_eq!(ids[..4], ["year-to-date", "term", "recent-weeks", "unauthorised-run"]);
        assert_eq!(ids.len(), 12, "{ids:?}");
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
            match read(&text).map(|rules| rules.rules()[0].measure.clone()) {
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
    fn an_unknown_field_is_refused_with_its_line() {
        let told = read("[[rule]]\nid = 'a'\ntitel = 'A'\n").unwrap_err().to_string();
        assert!(told.contains("titel") && told.contains("line 3"), "{told}");
        assert!(read("").unwrap_err().to_string().contains("no [[rule]]"));
    }
}
