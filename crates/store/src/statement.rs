//! Runs one statement on whichever database it is: the same text for both, its types checked against each.
//!
//! `in_tx!(tx, doing, verb, query, values…)` runs inside a transaction, `on_pool!(store, doing, verb, query, values…)` reads outside of
//! one. The verb is the method of the query: `execute` (gives the number of rows touched), `fetch_one`, `fetch_optional` or
//! `fetch_all`. They are macros because a query belongs to one database only, so each use compiles twice.

macro_rules! in_tx {
    ($tx:expr, $doing:expr, execute, $query:expr $(, $value:expr)*) => {
        in_tx!(@ $tx, $doing, connection =>
            $query$(.bind($value))*.execute(&mut **connection).await.map(|done| done.rows_affected()))
    };
    ($tx:expr, $doing:expr, $verb:ident, $query:expr $(, $value:expr)*) => {
        in_tx!(@ $tx, $doing, connection => $query$(.bind($value))*.$verb(&mut **connection).await)
    };
    (@ $tx:expr, $doing:expr, $connection:ident => $outcome:expr) => {{
        let outcome = match $tx.enter($doing)? {
            $crate::tx::Connection::Postgres($connection) => $outcome,
            $crate::tx::Connection::Sqlite($connection) => $outcome,
        };
        $tx.leave($doing, outcome)
    }};
}

macro_rules! on_pool {
    ($store:expr, $doing:expr, $verb:ident, $query:expr $(, $value:expr)*) => {
        match $store.pools() {
            $crate::dialect::Pools::Postgres(pool) => $query$(.bind($value))*.$verb(pool).await,
            $crate::dialect::Pools::Sqlite { readers, .. } => $query$(.bind($value))*.$verb(readers).await,
        }
        .map_err(|error| $crate::codes::statement($doing, &error))
    };
}
