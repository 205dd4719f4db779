//! Fault points, for tests that kill or freeze a service at an exact place. Takes the environment variable
//! `EARLYBELL_FAULT`; gives an abort, as sudden as `kill -9`: no destructor runs, no buffer is flushed; or a freeze.
//!
//! `EARLYBELL_FAULT=rules.batch.after_commit` ends the process when that point is passed for the first time,
//! `EARLYBELL_FAULT=rules.batch.after_commit:3` for the third. One point a process. The process dies of SIGABRT, which
//! a test tells from an ordinary failure, and says on standard error which point it was. The variable is read at the
//! first point passed. A count that is no number aborts there too: a fault test must never pass because no fault came.
//! `EARLYBELL_FAULT=rules.batch.before_commit:3:freeze` stops the process there instead, as SIGSTOP does, until it is sent
//! SIGCONT: an owner that wakes up after its partition has moved on. `:fail` in its place makes the step that asks
//! [`fails`] fail that once.
//!
//! Only builds with debug assertions have fault points; in release builds [`point`] is nothing at all.

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What happens at the point.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) enum Kind {
        Abort,
        Freeze,
        Fail,
    }

    /// Where it happens.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Plan {
        pub(super) name: String,
        pub(super) nth: u32,
        pub(super) kind: Kind,
    }

    pub(super) fn plan(text: &str) -> Result<Plan, String> {
        let (place, kind) = match text.rsplit_once(':') {
            Some((place, "freeze")) => (place, Kind::Freeze),
            Some((place, "fail")) => (place, Kind::Fail),
            _ => (text, Kind::Abort),
        };
        let (name, nth) = place.split_once(':').unwrap_or((place, "1"));
        match nth.parse() {
            Ok(nth) if nth > 0 => Ok(Plan { name: name.to_owned(), nth, kind }),
            _ => Err(format!(
                "EARLYBELL_FAULT={text:?} has no count after the colon; write name, name:n, name:n:freeze or name:n:fail"
            )),
        }
    }

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);

    /// Whether the step that passes here is to fail.
    pub(super) fn pass(name: &str) -> bool {
        let read = || {
            let text = std::env::var("EARLYBELL_FAULT").ok().filter(|text| !text.is_empty())?;
            Some(plan(&text).unwrap_or_else(|problem| abort(&problem)))
        };
        let Some(plan) = PLAN.get_or_init(read) else { return false };
        if plan.name == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == plan.nth {
            let passed = format!("fault point {name} passed for time {}", plan.nth);
            match plan.kind {
                Kind::Abort => abort(&format!("{passed}: aborting")),
                Kind::Freeze => freeze(&format!("{passed}: freezing")),
                Kind::Fail => {
                    eprintln!("{passed}: failing");
                    return true;
                }
            }
        }
        false
    }

    /// Stops every thread of this process.
    fn freeze(why: &str) {
        eprintln!("{why}");
        let stopped = std::process::Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            abort("the process cannot stop itself");
        }
    }

    fn abort(why: &str) -> ! {
        eprintln!("{why}");
        std::process::abort()
    }
}

/// Passes a fault point. Names are `<service>.<step>.<place>`, listed with the invariant that they test in
/// `docs/invariants.md`.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    if armed::pass(name) {
        eprintln!("fault point {name} cannot fail; it can abort or freeze");
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Passes a fault point at which a step can fail; true where it is to.
#[inline]
pub fn fails(name: &'static str) -> bool {
    #[cfg(debug_assertions)]
    return armed::pass(name);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        false
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::armed::{Kind, Plan, plan};

    #[test]
    fn a_plan_is_a_name_and_a_count() {
        let plan_of = |nth, kind| Ok(Plan { name: "rules.batch".to_owned(), nth, kind });
        assert_eq!(plan("rules.batch"), plan_of(1, Kind::Abort));
        assert_eq!(plan("rules.batch:3"), plan_of(3, Kind::Abort));
        assert_eq!(plan("rules.batch:3:freeze"), plan_of(3, Kind::Freeze));
        assert_eq!(plan("rules.batch:2:fail"), plan_of(2, Kind::Fail));
        assert!(plan("rules.batch:x").is_err() && plan("rules.batch:0").is_err() && plan("rules.batch:").is_err());
    }
}
