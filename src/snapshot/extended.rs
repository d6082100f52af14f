//! Reads and writes the data of extended statistics objects.
//!
//! Their types refuse all text, but they are bytes behind a header, so a cast that lasts as long as one transaction of a
//! superuser lets bytes in. Of expressions the server keeps rows of `pg_statistic`, which are made one by one in that
//! catalog and moved.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::Row as _;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::ExtendedStatistics;
use crate::snapshot::USER_SCHEMA;
use crate::snapshot::apply;
use crate::snapshot::capture;
use crate::snapshot::capture::N_GATHERED;
use crate::snapshot::value_types::ValueTypes;
use crate::target::session::Admin;
use crate::target::session::Session;

/// Every data row of the database's statistics objects.
pub(super) async fn capture(admin: &mut Admin) -> anyhow::Result<Vec<ExtendedStatistics>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, e.stxname::text, d.stxdinherit, pg_catalog.encode(d.stxdndistinct::bytea, 'hex'),
                pg_catalog.encode(d.stxddependencies::bytea, 'hex'), pg_catalog.encode(d.stxdmcv::bytea, 'hex')
         from pg_catalog.pg_statistic_ext_data d
         join pg_catalog.pg_statistic_ext e on e.oid = d.stxoid
         join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
         where {USER_SCHEMA} order by n.nspname, e.stxname, d.stxdinherit"
    ));
    let mut objects = Vec::new();
    for row in sqlx::query(sql).fetch_all(&mut admin.conn).await? {
        objects.push(ExtendedStatistics {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            inherited: row.try_get(2)?,
            n_distinct: row.try_get(3)?,
            dependencies: row.try_get(4)?,
            most_common_values: row.try_get(5)?,
            expressions: Vec::new(),
        });
    }
    capture_expressions(admin, &mut objects).await?;
    Ok(objects)
}

async fn capture_expressions(admin: &mut Admin, objects: &mut [ExtendedStatistics]) -> anyhow::Result<()> {
    let expression = "(d.stxdexpr[x.idx])";
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select {gathered}, n.nspname::text, e.stxname::text, d.stxdinherit
         from pg_catalog.pg_statistic_ext_data d
         join pg_catalog.pg_statistic_ext e on e.oid = d.stxoid
         join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
         cross join lateral pg_catalog.generate_subscripts(d.stxdexpr, 1) as x (idx)
         {slots}
         where {USER_SCHEMA} and (v.slot = 1 or v.kind <> 0)
         order by n.nspname, e.stxname, d.stxdinherit, x.idx, v.slot",
        gathered = capture::gathered_columns(expression),
        slots = capture::slots_of(expression),
    ));
    for row in sqlx::query(sql).fetch_all(&mut admin.conn).await? {
        let schema: String = row.try_get(N_GATHERED)?;
        let name: String = row.try_get(N_GATHERED + 1)?;
        let inherited: bool = row.try_get(N_GATHERED + 2)?;
        let object = objects
            .iter_mut()
            .find(|object| object.schema == schema && object.name == name && object.inherited == inherited)
            .context("a statistics object that appeared while it was read")?;
        match (capture::gathered(&row)?, object.expressions.last_mut()) {
            (Some((slot, gathered)), Some(Some(last))) if slot > 1 => last.slots.extend(gathered.slots),
            (gathered, _) => object.expressions.push(gathered.map(|(_, gathered)| gathered)),
        }
    }
    Ok(())
}

/// Writes the data of one object in place of what it has. The inner error is the reason why it is left out.
///
/// `session` is the dataset's role: it looks up the types of expressions, which must not be done as superuser.
pub(super) async fn write(
    admin: &mut Admin,
    session: &mut Session,
    statistics: &ExtendedStatistics,
) -> anyhow::Result<Result<(), String>> {
    let Some(object) = Object::find(admin, session, statistics).await? else {
        return Ok(Err("the dataset has no such statistics object".to_owned()));
    };
    if let Err(reason) = object.check(statistics) {
        return Ok(Err(reason));
    }
    let mut transaction = admin.conn.begin().await?;
    let inserted = insert(&mut transaction, &object, statistics).await;
    apply::end(transaction, inserted.map(Ok)).await
}

/// A statistics object of the clone.
struct Object {
    id: Oid,
    /// Of its columns, then of its expressions.
    type_ids: Vec<Oid>,
    expressions: Vec<ValueTypes>,
}

/// The object's id, the types of its columns, its expressions, and the name of its table.
type ObjectRow = (Oid, Vec<Oid>, Option<Vec<String>>, String);

impl Object {
    async fn find(
        admin: &mut Admin,
        session: &mut Session,
        statistics: &ExtendedStatistics,
    ) -> anyhow::Result<Option<Self>> {
        let found: Option<ObjectRow> = sqlx::query_as(
            "select e.oid,
                    array(select a.atttypid from pg_catalog.unnest(e.stxkeys) with ordinality as k (attnum, idx)
                          join pg_catalog.pg_attribute a on a.attrelid = e.stxrelid and a.attnum = k.attnum order by k.idx),
                    pg_catalog.pg_get_statisticsobjdef_expressions(e.oid), e.stxrelid::regclass::text
             from pg_catalog.pg_statistic_ext e join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
             where n.nspname = $1 and e.stxname = $2",
        )
        .bind(&statistics.schema)
        .bind(&statistics.name)
        .persistent(false)
        .fetch_optional(&mut admin.conn)
        .await?;
        let Some((id, mut type_ids, expressions, table)) = found else {
            return Ok(None);
        };
        let types = types_of(session, &table, &expressions.unwrap_or_default()).await?;
        let mut expressions = Vec::new();
        for (type_id, type_modifier) in types {
            type_ids.push(type_id);
            expressions.push(ValueTypes::of(&mut admin.conn, type_id, type_modifier).await?);
        }
        Ok(Some(Self {
            id,
            type_ids,
            expressions,
        }))
    }

    /// Refuses what the server would misread: it believes these bytes.
    fn check(&self, statistics: &ExtendedStatistics) -> Result<(), String> {
        if let Some(list) = &statistics.most_common_values
            && listed_types(list).as_ref() != Some(&self.type_ids)
        {
            return Err("its list of most common values is of other types".to_owned());
        }
        if !statistics.expressions.is_empty() && statistics.expressions.len() != self.expressions.len() {
            return Err("it has another number of expressions".to_owned());
        }
        for (gathered, types) in statistics.expressions.iter().zip(&self.expressions) {
            if let Some(gathered) = gathered {
                apply::validate(gathered)?;
            }
            if types.holds_domain {
                return Err(apply::HOLDS_DOMAIN.to_owned());
            }
        }
        Ok(())
    }
}

/// The types in the head of a serialised list: two numbers of four bytes to tell the format, the number of items, the
/// number of columns in two bytes, and a type for each.
fn listed_types(list: &str) -> Option<Vec<Oid>> {
    const HEAD_BYTES: usize = 12;
    let bytes = hex::decode(list).ok()?;
    let n_columns = i16::from_ne_bytes(bytes.get(HEAD_BYTES..HEAD_BYTES + 2)?.try_into().ok()?);
    let types = bytes.get(HEAD_BYTES + 2..)?.chunks_exact(4);
    let types: Vec<Oid> = types
        .take(usize::try_from(n_columns).ok()?)
        .filter_map(|id| Some(Oid(u32::from_ne_bytes(id.try_into().ok()?))))
        .collect();
    (types.len() == usize::try_from(n_columns).ok()?).then_some(types)
}

/// The types and type modifiers of expressions over a table, as the columns of a view that is never there for anybody.
async fn types_of(session: &mut Session, table: &str, expressions: &[String]) -> anyhow::Result<Vec<(Oid, i32)>> {
    if expressions.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = session.conn.begin_with("begin read write").await?;
    let columns: Vec<String> = expressions
        .iter()
        .enumerate()
        .map(|(n, expression)| format!("({expression}) as e{n}"))
        .collect();
    // Not ours: the expressions of the dump, as the server prints them for this search path, under the dataset's role.
    let view = AssertSqlSafe(format!(
        "set local search_path = pg_catalog;
         create temporary view pgassay_types as select {} from only {table}",
        columns.join(", ")
    ));
    sqlx::raw_sql(view)
        .execute(&mut *transaction)
        .await
        .context("looking up the types of expressions")?;
    let types = sqlx::query_as(
        "select atttypid, atttypmod from pg_catalog.pg_attribute
         where attrelid = 'pg_temp.pgassay_types'::pg_catalog.regclass and attnum > 0 order by attnum",
    )
    .persistent(false)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.rollback().await?;
    Ok(types)
}

/// The types behind whose casts data are let in.
const LISTS: [&str; 3] = ["pg_ndistinct", "pg_dependencies", "pg_mcv_list"];

async fn insert(conn: &mut PgConnection, object: &Object, statistics: &ExtendedStatistics) -> sqlx::Result<()> {
    for list in LISTS {
        // Safe: constants only.
        let cast = AssertSqlSafe(format!(
            "create cast (pg_catalog.bytea as pg_catalog.{list}) without function"
        ));
        sqlx::raw_sql(cast).execute(&mut *conn).await?;
    }
    sqlx::query("delete from pg_catalog.pg_statistic_ext_data where stxoid = $1 and stxdinherit = $2")
        .bind(object.id)
        .bind(statistics.inherited)
        .persistent(false)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "insert into pg_catalog.pg_statistic_ext_data
           (stxoid, stxdinherit, stxdndistinct, stxddependencies, stxdmcv)
         values ($1, $2, pg_catalog.decode($3, 'hex')::pg_ndistinct, pg_catalog.decode($4, 'hex')::pg_dependencies,
                 pg_catalog.decode($5, 'hex')::pg_mcv_list)",
    )
    .bind(object.id)
    .bind(statistics.inherited)
    .bind(&statistics.n_distinct)
    .bind(&statistics.dependencies)
    .bind(&statistics.most_common_values)
    .persistent(false)
    .execute(&mut *conn)
    .await?;
    for (gathered, types) in statistics.expressions.iter().zip(&object.expressions) {
        // The rows inside an object belong to no relation.
        if let Some(gathered) = gathered {
            apply::insert(conn, (Oid(0), 0, false), gathered, types).await?;
        }
        sqlx::query(
            "with made as (delete from pg_catalog.pg_statistic where starelid = 0 returning pg_statistic)
             update pg_catalog.pg_statistic_ext_data
             set stxdexpr = pg_catalog.array_append(stxdexpr, (select pg_statistic from made))
             where stxoid = $1 and stxdinherit = $2",
        )
        .bind(object.id)
        .bind(statistics.inherited)
        .persistent(false)
        .execute(&mut *conn)
        .await?;
    }
    for list in LISTS {
        // Safe: constants only.
        let cast = AssertSqlSafe(format!("drop cast (pg_catalog.bytea as pg_catalog.{list})"));
        sqlx::raw_sql(cast).execute(&mut *conn).await?;
    }
    Ok(())
}
