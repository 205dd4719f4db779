//! Metrics as a documented struct: takes a [`Registry`], which is handed in, never a global one; gives counters, gauges
//! and histograms whose help texts are the doc comments. Names are `earlybell_<service>_<field>`.
//!
//! Labels are closed enums ([`Label`]) and every value of them is there with 0 from the start: an alarm on a rate needs
//! the first failure to be a step from 0 to 1. Where a label comes from the policy or from Kafka (receiver, partition),
//! the raw vector types take its name in brackets; no pupil, school or other unbounded value is ever a label.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, Opts, TextEncoder};
use std::fmt::Debug;
use std::marker::PhantomData;

pub use prometheus::{Error, Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// A closed set of a label's values.
pub trait Label: Copy + Debug + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value.
    const ALL: &'static [Self];

    /// The value as metrics show it.
    fn text(self) -> &'static str;
}

/// A kind of metric that [`metrics!`](crate::metrics!) can declare.
pub trait Metric: Sized {
    /// What stands in brackets after the type: nothing, names of labels, bounds of a histogram's buckets.
    type Detail: 'static;

    /// Makes and registers it, every closed label at 0.
    ///
    /// # Errors
    /// A metric of that name is there already, or its name, labels or buckets are not allowed.
    fn register(registry: &Registry, opts: Opts, detail: &[Self::Detail]) -> Result<Self, Error>;
}

/// A counter for each value of a label.
#[derive(Clone, Debug)]
pub struct CounterBy<L>(IntCounterVec, PhantomData<L>);

impl<L: Label> CounterBy<L> {
    /// The counter of a value.
    pub fn of(&self, label: L) -> IntCounter {
        self.0.with_label_values(&[label.text()])
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

macro_rules! plain {
    ($($type:ty),+) => {
        $(impl Metric for $type {
            type Detail = ();

            fn register(registry: &Registry, opts: Opts, _detail: &[()]) -> Result<Self, Error> {
                registered(registry, Self::with_opts(opts)?)
            }
        })+
    };
}

plain!(IntCounter, IntGauge);

macro_rules! vectors {
    ($($type:ty),+) => {
        $(impl Metric for $type {
            type Detail = &'static str;

            fn register(registry: &Registry, opts: Opts, detail: &[&'static str]) -> Result<Self, Error> {
                registered(registry, Self::new(opts, detail)?)
            }
        })+
    };
}

vectors!(IntCounterVec, IntGaugeVec);

impl Metric for Histogram {
    type Detail = f64;

    fn register(registry: &Registry, opts: Opts, detail: &[f64]) -> Result<Self, Error> {
        let opts = HistogramOpts { common_opts: opts, buckets: detail.to_vec() };
        registered(registry, Self::with_opts(opts)?)
    }
}

impl<L: Label> Metric for CounterBy<L> {
    type Detail = ();

    fn register(registry: &Registry, opts: Opts, _detail: &[()]) -> Result<Self, Error> {
        let counters = Self(IntCounterVec::register(registry, opts, &[L::NAME])?, PhantomData);
        for label in L::ALL {
            counters.of(*label);
        }
        Ok(counters)
    }
}

/// For [`metrics!`](crate::metrics!): registers one metric.
///
/// # Errors
/// As [`Metric::register`].
pub fn declare<M: Metric>(registry: &Registry, name: String, help: &[&str], detail: &[M::Detail]) -> Result<M, Error> {
    let help: String = help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    M::register(registry, Opts::new(name, help), detail)
}

/// All metrics in Prometheus' text format.
///
/// # Errors
/// A metric cannot be written, which registering it should have refused.
pub fn text(registry: &Registry) -> Result<String, Error> {
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// Declares a service's metrics.
///
/// ```
/// use service::metrics::{Histogram, IntCounter, IntGaugeVec, Registry};
///
/// service::metrics! {
///     /// What rules counts.
///     pub struct RulesMetrics in "rules" {
///         /// Batches whose effects are committed.
///         batches_total: IntCounter,
///         /// Seconds from a register's receipt to its alert's publication.
///         publish_seconds: Histogram [0.1, 0.5, 1.0, 5.0],
///         /// Messages not yet worked on, by partition.
///         lag_messages: IntGaugeVec ["topic", "partition"],
///     }
/// }
///
/// let registry = Registry::new();
/// let metrics = RulesMetrics::register(&registry)?;
/// metrics.batches_total.inc();
/// assert!(service::metrics::text(&registry)?.contains("earlybell_rules_batches_total 1"));
/// # Ok::<(), service::metrics::Error>(())
/// ```
#[macro_export]
macro_rules! metrics {
    (
        $(#[doc = $meaning:literal])+
        $visibility:vis struct $name:ident in $service:literal {
            $($(#[doc = $help:literal])+ $field:ident: $type:ty $([$($detail:expr),+ $(,)?])?,)+
        }
    ) => {
        $(#[doc = $meaning])+
        #[derive(Clone, Debug)]
        $visibility struct $name {
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl $name {
            /// The names of all of them as Prometheus knows them; a histogram's without its suffixes.
            $visibility const NAMES: &'static [&'static str] =
                &[$(::std::concat!("earlybell_", $service, "_", ::std::stringify!($field))),+];

            /// Registers all of them, every closed label at 0.
            ///
            /// # Errors
            /// One of these names is registered already.
            $visibility fn register(
                registry: &$crate::metrics::Registry,
            ) -> ::std::result::Result<Self, $crate::metrics::Error> {
                ::std::result::Result::Ok(Self {
                    $($field: $crate::metrics::declare::<$type>(
                        registry,
                        ::std::format!("earlybell_{}_{}", $service, ::std::stringify!($field)),
                        &[$($help),+],
                        &[$($($detail),+)?],
                    )?,)+
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! label {
        ($name:ident = $label:literal { $($variant:ident = $text:literal),+ }) => {
            #[derive(Clone, Copy, Debug)]
            enum $name { $($variant),+ }

            impl Label for $name {
                const NAME: &'static str = $label;
                const ALL: &'static [Self] = &[$(Self::$variant),+];

                fn text(self) -> &'static str {
                    match self { $(Self::$variant => $text),+ }
                }
            }
        };
    }

    label!(Outcome = "outcome" { Delivered = "delivered", GivenUp = "given_up" });

    metrics! {
        /// What a test counts.
        struct Counted in "test" {
            /// Attempts, whatever
            /// became of them.
            attempts_total: IntCounter,
            /// Deliveries by outcome.
            deliveries_total: CounterBy<Outcome>,
            /// Alerts by level and outcome.
            alerts_total: IntCounterVec ["level", "outcome"],
            /// Open ones.
            open: IntGauge,
            /// Lag by partition.
            lag_messages: IntGaugeVec ["topic", "partition"],
            /// Seconds taken.
            taken_seconds: Histogram [0.1, 1.0],
        }
    }

    fn shown(registry: &Registry) -> Vec<String> {
        text(registry).unwrap().lines().map(str::to_owned).collect()
    }

    fn assert_shows(registry: &Registry, line: &str) {
        let lines = shown(registry);
        assert!(lines.iter().any(|shown| shown == line), "{line} is not in {lines:#?}");
    }

    #[test]
    fn metrics_with_closed_labels_start_at_zero() {
        let registry = Registry::new();
        Counted::register(&registry).unwrap();
        for line in [
            "# HELP earlybell_test_attempts_total Attempts, whatever became of them.",
            "# TYPE earlybell_test_attempts_total counter",
            "earlybell_test_attempts_total 0",
            "earlybell_test_deliveries_total{outcome=\"delivered\"} 0",
            "earlybell_test_deliveries_total{outcome=\"given_up\"} 0",
            "earlybell_test_open 0",
            "earlybell_test_taken_seconds_bucket{le=\"0.1\"} 0",
        ] {
            assert_shows(&registry, line);
        }
    }

    #[test]
    fn what_is_counted_is_shown() {
        let registry = Registry::new();
        let metrics = Counted::register(&registry).unwrap();
        metrics.attempts_total.inc();
        metrics.deliveries_total.of(Outcome::GivenUp).inc_by(2);
        metrics.deliveries_total.of(Outcome::Delivered).inc();
        metrics.alerts_total.with_label_values(&["at_risk", "delivered"]).inc_by(5);
        metrics.open.set(-3);
        metrics.lag_messages.with_label_values(&["events", "7"]).set(41);
        metrics.taken_seconds.observe(0.5);
        for line in [
            "earlybell_test_attempts_total 1",
            "earlybell_test_deliveries_total{outcome=\"given_up\"} 2",
            "earlybell_test_alerts_total{level=\"at_risk\",outcome=\"delivered\"} 5",
            "earlybell_test_open -3",
            "earlybell_test_lag_messages{partition=\"7\",topic=\"events\"} 41",
            "earlybell_test_taken_seconds_bucket{le=\"1\"} 1",
        ] {
            assert_shows(&registry, line);
        }
    }

    #[test]
    fn a_metric_is_known_by_its_name_before_any_label_of_it_is() {
        let registry = Registry::new();
        Counted::register(&registry).unwrap();
        assert!(!shown(&registry).iter().any(|line| line.contains("earlybell_test_lag_messages")));
        assert!(Counted::NAMES.contains(&"earlybell_test_lag_messages"), "{:?}", Counted::NAMES);
        assert_eq!(Counted::NAMES.len(), 6);
    }

    #[test]
    fn the_same_metrics_cannot_be_registered_twice() {
        let registry = Registry::new();
        Counted::register(&registry).unwrap();
        assert!(Counted::register(&registry).is_err());
    }
}
