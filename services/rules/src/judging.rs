//! Judging pupils: each for itself, so that a rule that fails for one pupil stops that pupil and no other.

use crate::effects::{Decided, Effects, Moment, decide};
use crate::memory::{Cause, Memory};
use crate::place;
use attendance::alert::Direction;
use attendance::record::YearRecord;
use attendance::{SchoolYear, Upn};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Judges a pupil for the present school year, and for earlier ones that its events touched. What is wanted goes to
/// `effects`; a pupil whose judging panics is to be held, for the reason given.
pub(crate) fn judge(
    memory: &mut Memory,
    moment: Moment<'_>,
    present: SchoolYear,
    (upn, cause): (Upn, Cause),
    effects: &mut Effects,
) -> Result<(), String> {
    let Some(pupil) = memory.pupils.get_mut(&upn) else {
        effects.judged.push((upn, None));
        return Ok(());
    };
    let touched = |year: &SchoolYear| cause.earliest_year.is_some_and(|earliest| earliest <= *year) && *year < present;
    let years = pupil.record.years().map(YearRecord::year).filter(touched);
    let earlier: Vec<SchoolYear> = years.filter(|year| pupil.has_open(*year)).collect();
    let judged = catch_unwind(AssertUnwindSafe(|| {
        if service::fault::fails("rules.judge.panic") {
            #[expect(clippy::panic, reason = "how one pupil's panic is kept from the others has to be tested")]
            std::panic::panic_any("a fault that a test asked for");
        }
        let mut wanted = Vec::new();
        for year in earlier {
            wanted.extend(pupil.judge(
                (year, moment.as_of),
                moment.in_force,
                (Direction::DownOnly, moment.passing),
                &[],
            ));
        }
        // Only an open alert can go along.
        let place = if pupil.has_open(present) { place::of(&pupil.roster, moment.as_of.day()) } else { Vec::new() };
        wanted.extend(pupil.judge((present, moment.as_of), moment.in_force, (Direction::Any, moment.passing), &place));
        let decided = wanted.into_iter().map(|wanted| decide(moment, upn, pupil, wanted, cause));
        (decided.collect::<Vec<Decided>>(), pupil.next_due(present, moment.passing))
    }));
    match judged {
        Ok((decided, due)) => {
            effects.decided.extend(decided);
            effects.judged.push((upn, due));
            Ok(())
        }
        Err(panic) => Err(format!("judging panicked: {}", panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
