//! The types of a column's values, as the clone's own catalog has them.

use sqlx::PgConnection;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::ColumnStatistics;
use crate::snapshot::apply::ELEMENTS;
use crate::snapshot::apply::HISTOGRAM;
use crate::snapshot::apply::MOST_COMMON_VALUES;
use crate::snapshot::apply::RANGE_BOUNDS;
use crate::snapshot::apply::RANGE_LENGTHS;

/// `float8`, in every PostgreSQL.
const FLOAT8: Oid = Oid(701);

/// What the clone's catalog says of the type of a column or an expression.
pub(super) struct ValueTypes {
    /// With domains taken away from the outside.
    pub base_type: Oid,
    pub type_modifier: i32,
    /// The element type of an array, or text for a `tsvector`.
    pub element_type: Option<Oid>,
    /// The range type: of a range itself, of a multirange the one that it is made of.
    pub range_type: Option<Oid>,
    pub holds_domain: bool,
}

/// The base type, type modifier, element type, range type, and whether a domain is in it.
type ValueTypesRow = (Oid, i32, Option<Oid>, Option<Oid>, bool);

impl ValueTypes {
    pub(super) async fn of(conn: &mut PgConnection, type_id: Oid, type_modifier: i32) -> anyhow::Result<Self> {
        let row: ValueTypesRow = sqlx::query_as(
            "with recursive unwrapped (id, modifier) as (
                 select $1::oid, $2::integer
                 union all
                 select t.typbasetype, t.typtypmod from unwrapped u
                 join pg_catalog.pg_type t on t.oid = u.id where t.typtype = 'd'
             ), base as (
                 select u.id, u.modifier from unwrapped u
                 join pg_catalog.pg_type t on t.oid = u.id where t.typtype <> 'd'
             ), parts (id) as (
                 select id from base
                 union
                 select part.id from parts p join pg_catalog.pg_type t on t.oid = p.id
                 cross join lateral (
                     select t.typelem where t.typelem <> 0
                     union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
                     union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid
                     union all select a.atttypid from pg_catalog.pg_attribute a
                               where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped
                     union all select t.typbasetype where t.typtype = 'd') part (id)
             )
             select base.id, base.modifier,
                    case when base.id = 'tsvector'::regtype then 'text'::regtype::oid else nullif(t.typelem, 0) end,
                    case t.typtype when 'r' then t.oid
                                   when 'm' then (select rngtypid from pg_catalog.pg_range where rngmultitypid = t.oid) end,
                    exists (select from parts p join pg_catalog.pg_type d on d.oid = p.id where d.typtype = 'd')
             from base join pg_catalog.pg_type t on t.oid = base.id",
        )
        .bind(type_id)
        .bind(type_modifier)
        .persistent(false)
        .fetch_one(conn)
        .await?;
        let (base_type, type_modifier, element_type, range_type, holds_domain) = row;
        Ok(Self {
            base_type,
            type_modifier,
            element_type,
            range_type,
            holds_domain,
        })
    }

    /// The type of the values of a slot; none where that kind has no values for such a column.
    pub(super) fn of_values(&self, kind: i16) -> Option<Oid> {
        match kind {
            MOST_COMMON_VALUES | HISTOGRAM => Some(self.base_type),
            ELEMENTS => self.element_type,
            RANGE_LENGTHS => Some(FLOAT8),
            RANGE_BOUNDS => self.range_type,
            _ => None,
        }
    }
}

/// The clone's id of a column's relation, and the types of its values.
pub(super) async fn of_column(
    conn: &mut PgConnection,
    column: &ColumnStatistics,
) -> anyhow::Result<Option<(Oid, ValueTypes)>> {
    // A column of an index is of the type in which its operator class keeps it, and its statistics are of the type of its
    // expression: `tsvector` where a GIN index keeps `text`, an array where it keeps elements.
    let found: Option<(Oid, Oid, i32)> = sqlx::query_as(
        "select a.attrelid,
                case when oc.oid is null then a.atttypid
                     when oc.opcintype = 'anyarray'::regtype then coalesce(nullif(kept.typarray, 0), a.atttypid)
                     when taken.typtype = 'p' then a.atttypid
                     else oc.opcintype end,
                case when oc.oid is null then a.atttypmod else -1 end
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_type kept on kept.oid = a.atttypid
         left join pg_catalog.pg_index i on i.indexrelid = a.attrelid
         left join pg_catalog.pg_opclass oc on oc.oid = i.indclass[a.attnum - 1] and oc.opckeytype <> 0
         left join pg_catalog.pg_type taken on taken.oid = oc.opcintype
         where n.nspname = $1 and c.relname = $2 and a.attnum = $3 and a.attname = $4 and not a.attisdropped",
    )
    .bind(&column.schema)
    .bind(&column.relation)
    .bind(column.column_number)
    .bind(&column.column)
    .persistent(false)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((relation_id, type_id, type_modifier)) = found else {
        return Ok(None);
    };
    Ok(Some((relation_id, ValueTypes::of(conn, type_id, type_modifier).await?)))
}
