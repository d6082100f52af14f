//! Writes a snapshot from its text into a clone that did not make it: a new clone after a loss, or an import.
//!
//! The element type of every list of values comes from the clone's own catalog, never from the snapshot: a wrong one
//! crashes the server. A domain's input would run the dump's CHECK as superuser, so a domain is read as its base type,
//! and a column whose type holds a domain further down is left out and listed.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::Transaction;
use sqlx::postgres::Postgres;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::ExtendedStatistics;
use crate::model::snapshot::Gathered;
use crate::model::snapshot::Slot;
use crate::model::snapshot::Snapshot;
use crate::snapshot::array;
use crate::snapshot::extended;
use crate::snapshot::functions;
use crate::snapshot::park::Lot;
use crate::snapshot::value_types;
use crate::snapshot::value_types::ValueTypes;
use crate::target::ServerError;
use crate::target::session::Admin;
use crate::target::session::Session;

/// A column of the snapshot that was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub column: String,
    pub reason: String,
}

/// Slots in a row of `pg_statistic`.
const N_SLOTS: i16 = 5;

/// Kinds of slots, as `pg_statistic.h` numbers them.
pub const MOST_COMMON_VALUES: i16 = 1;
pub const HISTOGRAM: i16 = 2;
pub const CORRELATION: i16 = 3;
pub(super) const ELEMENTS: i16 = 4;
pub(super) const ELEMENT_COUNTS: i16 = 5;
pub(super) const RANGE_LENGTHS: i16 = 6;
pub(super) const RANGE_BOUNDS: i16 = 7;

/// Why a column is not written by a superuser.
pub(super) const HOLDS_DOMAIN: &str = "its type contains a domain, whose checks must not run as superuser";

/// Puts `snapshot` in force in place of the live statistics, and returns what could not be applied.
///
/// `session` is of the dataset's role, in the same clone. Where `admin` is no superuser, it does all of it by the
/// server's own functions (from PostgreSQL 18 on); otherwise it only looks up types that a superuser must not.
pub async fn apply(
    admin: &mut Admin,
    session: &mut Session,
    lot: &Lot,
    snapshot: &Snapshot,
) -> anyhow::Result<Vec<LeftOut>> {
    if !admin.is_superuser().await? {
        return functions::restore(session, snapshot).await;
    }
    lot.clear(admin, snapshot).await?;
    let mut left_out: Vec<LeftOut> = Vec::new();
    for column in &snapshot.columns {
        if let Err(reason) = apply_column(admin, column).await? {
            left_out.push(LeftOut::column(column, reason));
        }
    }
    for statistics in &snapshot.extended {
        if let Err(reason) = extended::write(admin, session, statistics).await? {
            left_out.push(LeftOut::extended(statistics, reason));
        }
    }
    Ok(left_out)
}

impl LeftOut {
    pub(super) fn column(column: &ColumnStatistics, reason: String) -> Self {
        Self {
            column: format!("{}.{}.{}", column.schema, column.relation, column.column),
            reason,
        }
    }

    pub(super) fn extended(statistics: &ExtendedStatistics, reason: String) -> Self {
        Self {
            column: format!("{}.{}", statistics.schema, statistics.name),
            reason,
        }
    }
}

/// Puts `wanted` in force where `live` is, by writing only what differs. Of the columns that are returned the live
/// statistics stay.
pub async fn rework(admin: &mut Admin, lot: &Lot, live: &Snapshot, wanted: &Snapshot) -> anyhow::Result<Vec<LeftOut>> {
    lot.resize(admin, wanted).await?;
    let key = |column: &ColumnStatistics| {
        (
            column.schema.clone(),
            column.relation.clone(),
            column.column_number,
            column.inherited,
        )
    };
    let live: HashMap<_, &ColumnStatistics> = live.columns.iter().map(|column| (key(column), column)).collect();
    let mut left_out = Vec::new();
    for column in wanted
        .columns
        .iter()
        .filter(|column| live.get(&key(column)) != Some(column))
    {
        if let Err(reason) = apply_column(admin, column).await? {
            left_out.push(LeftOut::column(column, reason));
        }
    }
    Ok(left_out)
}

/// Writes one column in place of what it has. The inner error is the reason why it is left out.
async fn apply_column(admin: &mut Admin, column: &ColumnStatistics) -> anyhow::Result<Result<(), String>> {
    if let Err(reason) = validate(&column.gathered) {
        return Ok(Err(reason));
    }
    let mut transaction = admin.conn.begin().await?;
    let Some((relation_id, types)) = value_types::of_column(&mut transaction, column).await? else {
        return Ok(Err("the dataset has no such column".to_owned()));
    };
    if types.holds_domain {
        return Ok(Err(HOLDS_DOMAIN.to_owned()));
    }
    let key = (relation_id, column.column_number, column.inherited);
    sqlx::query("delete from pg_catalog.pg_statistic where starelid = $1 and staattnum = $2 and stainherit = $3")
        .bind(key.0)
        .bind(key.1)
        .bind(key.2)
        .persistent(false)
        .execute(&mut *transaction)
        .await?;
    let inserted = insert(&mut transaction, key, &column.gathered, &types).await;
    end(transaction, inserted.map(Ok)).await
}

/// Keeps what a transaction has written, or undoes it for the reason that `written` holds: the inner error, or what the
/// server says against it.
pub(super) async fn end(
    transaction: Transaction<'_, Postgres>,
    written: sqlx::Result<Result<(), String>>,
) -> anyhow::Result<Result<(), String>> {
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            let server = ServerError::of(&error).filter(|server| !server.is_fatal).ok_or(error)?;
            Err(format!("the server refused it: {server}"))
        }
    };
    match written {
        Ok(()) => transaction.commit().await?,
        Err(_) => transaction.rollback().await?,
    }
    Ok(written)
}

/// Refuses numbers that the server would take and then plan nonsense with, or worse.
pub fn validate(gathered: &Gathered) -> Result<(), String> {
    let null_fraction = finite(&gathered.null_fraction)?;
    if !(0.0..=1.0).contains(&null_fraction) {
        return Err(format!("the null fraction {null_fraction} is not between 0 and 1"));
    }
    let n_distinct = finite(&gathered.n_distinct)?;
    if n_distinct < -1.0 {
        return Err(format!("the number of distinct values {n_distinct} is below -1"));
    }
    if gathered.average_width < 0 {
        return Err("the average width is negative".to_owned());
    }
    for slot in &gathered.slots {
        if !(1..=N_SLOTS).contains(&slot.number) || !(1..=RANGE_BOUNDS).contains(&slot.kind) {
            return Err(format!("it has a slot {} of kind {}", slot.number, slot.kind));
        }
        for number in slot
            .numbers
            .as_deref()
            .unwrap_or("{}")
            .trim_matches(['{', '}'])
            .split(',')
        {
            if !number.is_empty() {
                finite(number)?;
            }
        }
        if !has_its_numbers(slot) {
            return Err(format!(
                "a list of kind {} has not the numbers that belong to it",
                slot.kind
            ));
        }
    }
    Ok(())
}

/// Whether there is a number for all that the server looks up without asking how many there are: it would read what lies
/// behind the list.
fn has_its_numbers(slot: &Slot) -> bool {
    let length = |list: Option<&String>| list.map_or(Some(0), |text| Some(array::split(text)?.len()));
    let (Some(n_values), Some(n_numbers)) = (length(slot.values.as_ref()), length(slot.numbers.as_ref())) else {
        return false;
    };
    match slot.kind {
        MOST_COMMON_VALUES => n_numbers == n_values,
        // Behind the frequencies stand the least and the largest, and of arrays that of nulls.
        ELEMENTS => (n_values + 2..=n_values + 3).contains(&n_numbers),
        CORRELATION | RANGE_LENGTHS => n_numbers == 1,
        _ => true,
    }
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|n| n.is_finite())
        .ok_or_else(|| format!("{text} is not a finite number"))
}

/// The parameters of one slot.
const BINDS_PER_SLOT: usize = 7;
const FIRST_SLOT_BIND: usize = 7;

/// Inserts a row of `pg_statistic`: `key` is its relation, column number and inheritance.
pub(super) async fn insert(
    conn: &mut PgConnection,
    key: (Oid, i16, bool),
    gathered: &Gathered,
    types: &ValueTypes,
) -> sqlx::Result<()> {
    let slots: Vec<Option<&Slot>> = (1..=N_SLOTS)
        .map(|number| gathered.slots.iter().find(|slot| slot.number == number))
        .collect();
    // Safe: constants and parameter numbers only.
    let mut query = sqlx::query(AssertSqlSafe(insert_statement()))
        .bind(key.0)
        .bind(key.1)
        .bind(key.2)
        .bind(&gathered.null_fraction)
        .bind(gathered.average_width)
        .bind(&gathered.n_distinct);
    for slot in slots {
        let values_type = slot.and_then(|slot| types.of_values(slot.kind));
        query = query
            .bind(slot.map_or(0, |slot| slot.kind))
            .bind(slot.map(|slot| slot.operator.as_str()).filter(|name| *name != "-"))
            .bind(slot.map(|slot| slot.collation.as_str()).filter(|name| *name != "-"))
            .bind(slot.and_then(|slot| slot.numbers.as_deref()))
            .bind(
                slot.and_then(|slot| slot.values.as_deref())
                    .filter(|_| values_type.is_some()),
            )
            .bind(values_type)
            .bind(if values_type == Some(types.base_type) {
                types.type_modifier
            } else {
                -1
            });
    }
    query.persistent(false).execute(conn).await?;
    Ok(())
}

fn insert_statement() -> String {
    let names = |prefix: &str| {
        (1..=N_SLOTS)
            .map(|n| format!("{prefix}{n}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let values = |expression: &dyn Fn(usize) -> String| {
        let each =
            (0..usize::try_from(N_SLOTS).unwrap_or(0)).map(|slot| expression(FIRST_SLOT_BIND + slot * BINDS_PER_SLOT));
        each.collect::<Vec<_>>().join(", ")
    };
    format!(
        "insert into pg_catalog.pg_statistic
           (starelid, staattnum, stainherit, stanullfrac, stawidth, stadistinct, {}, {}, {}, {}, {})
         values ($1, $2, $3, $4::text::real, $5, $6::text::real, {}, {}, {}, {}, {})",
        names("stakind"),
        names("staop"),
        names("stacoll"),
        names("stanumbers"),
        names("stavalues"),
        values(&|n| format!("${n}::smallint")),
        values(&|n| format!("coalesce(${}::text::regoperator::oid, 0)", n + 1)),
        values(&|n| format!("coalesce(${}::text::regcollation::oid, 0)", n + 2)),
        values(&|n| format!("${}::text::real[]", n + 3)),
        values(&|n| format!(
            "pg_catalog.array_in(${}::text::cstring, ${}::oid, ${}::integer)",
            n + 4,
            n + 5,
            n + 6
        )),
    )
}
