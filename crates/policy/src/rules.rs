//! `rules.toml`: text to a rule set.

use crate::files::RULES;
use crate::problem::{Place, Problem, Problems};
use crate::table::{Entry, Table};
use attendance::rate::Share;
use attendance::rule::{Levels, Measure, Rule, RuleId, RuleSet, Window};
use serde::Deserialize;
use std::fmt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    title: String,
    kind: String,
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
        "unauthorised-run" => problems.take(run(raw, &place("levels")())),
        other => {
            problems.add(place("kind")(), format!("{other:?} is no kind of rule: rate or unauthorised-run"));
            None
        }
    };
    let title = raw.title.trim().to_owned();
    problems.finish(id.zip(measure).map(|(id, measure)| Rule { id, title, measure }))
}

fn rate(raw: &RawRule, levels_at: Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    let place = |part: &'static str| move || Place::new(RULES, format!("rule {:?}, {part}", raw.id));
    let text =
        raw.window.as_deref().ok_or("a rate needs a window: \"year-to-date\", \"term\" or as \"6 school weeks\"");
    let text = problems.part(place("window"), text);
    let window = text.and_then(|text| problems.part(place("window"), window(text)));
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
    match (window, minimum, margin, levels) {
        (Some(window), Some(minimum), Some(margin), Some(levels)) => {
            problems.or(Measure::Rate { window, minimum, margin, levels })
        }
        _ => Err(problems),
    }
}

fn run(raw: &RawRule, levels_at: &Place) -> Result<Measure, Problems> {
    let mut problems = Problems::default();
    let strange =
        [("window", raw.window.is_some()), ("minimum", raw.minimum.is_some()), ("margin", raw.margin.is_some())];
    for (field, _) in strange.iter().filter(|(_, given)| *given) {
        let place = Place::new(RULES, format!("rule {:?}, {field}", raw.id));
        problems.add(place, "a run of days has none; take it out");
    }
    let levels = levels(raw, levels_at, |value| {
        let days = value.as_integer().and_then(|days| u32::try_from(days).ok()).filter(|days| (1..=400).contains(days));
        days.ok_or_else(|| format!("{value} is no number of school days from 1 to 400"))
    });
    let levels = problems.take(levels);
    problems.finish(levels.map(|levels| Measure::UnauthorisedRun { levels }))
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

struct WindowError<'a>(&'a str);

impl fmt::Display for WindowError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no window: \"year-to-date\", \"term\", or 1 to 39 weeks as \"6 school weeks\"", self.0)
    }
}

fn window(text: &str) -> Result<Window, WindowError<'_>> {
    match text {
        "year-to-date" => Ok(Window::YearToDate),
        "term" => Ok(Window::Term),
        _ => {
            let weeks = text.strip_suffix("school weeks").and_then(|count| count.trim().parse().ok());
            weeks.filter(|weeks| (1..=39).contains(weeks)).map(Window::SchoolWeeks).ok_or(WindowError(text))
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
        assert_eq!(ids, ["year-to-date", "term", "recent-weeks", "unauthorised-run"]);
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
            kind = "unauthorised-run"
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
            kind = "unauthorised-run"
            levels = { at-risk = 0 }
            [[rule]]
            id = "third"
            title = "Fourth"
            kind = "run"
            levels = {}
            [rules]
            "#,
        )
        .unwrap_err();
        let mut told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        told.sort();
        for (problem, part) in told.iter().zip([
            "rules.toml, line 20: unknown field `rules`, expected one of rule",
            "rules.toml, rule \"first\", line 3, titel: unknown field `titel`, expected one of `id`, `title`",
            "rules.toml, rule \"first\", line 4, title: invalid type: integer `5`, expected a string",
            "rules.toml, rule \"first\", line 6, levels: unknown field `serious`, expected one of `at-risk`",
            "rules.toml, rule \"third\", id: two rules have it",
            "rules.toml, rule \"third\", kind: \"run\" is no kind of rule",
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
