//! What the clone's own catalog says of the columns that a file names.

use std::collections::HashMap;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::PgConnection;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::Gathered;
use crate::model::statistics_file::FileColumn;
use crate::snapshot::USER_RELATION;
use crate::snapshot::USER_SCHEMA;
use crate::snapshot::apply;
use crate::snapshot::value_types;
use crate::target::session::Admin;

/// The relations and columns of a clone, with the types that were asked for.
pub(super) struct Catalog {
    relations: HashMap<(String, String), Relation>,
    /// By type.
    operators: HashMap<Oid, Operators>,
}

struct Relation {
    kind: String,
    /// Of its file; none where it has none.
    pages: Option<i32>,
    columns: Vec<Column>,
}

#[derive(Clone)]
struct Column {
    number: i16,
    name: String,
    collation: String,
}

/// The column of the clone that an entry of a file means.
pub(super) struct Place {
    pub column_number: i16,
    pub column: String,
    pub types: Types,
}

/// What decides how statistics of a column are kept. Operators are as `schema.name(left,right)`, collations by their
/// qualified names, `-` where there is none.
pub(super) struct Types {
    pub collation: String,
    pub operators: Operators,
    /// Of an array's elements, or of the lexemes of a `tsvector`.
    pub element: Option<Operators>,
    pub is_tsvector: bool,
    pub is_range: bool,
}

/// The operators by which ANALYZE sorts and compares values of a type.
#[derive(Clone, Debug, Default)]
pub(super) struct Operators {
    pub equal: Option<String>,
    pub less: Option<String>,
    /// `less` where a clause takes it: `operator(schema.<)`.
    pub less_sql: Option<String>,
    /// As SQL names the type.
    pub type_name: String,
}

/// Schema, relation, kind, pages, column number, column, collation.
type ColumnRow = (String, String, String, Option<i32>, i16, String, String);

/// `tsvector`, in every PostgreSQL.
const TSVECTOR: Oid = Oid(3614);

impl Catalog {
    pub async fn read(admin: &mut Admin) -> anyhow::Result<Self> {
        // What `pg_class` says of pages is as old as the last VACUUM of that very relation. Safe: constants only.
        let sql = AssertSqlSafe(format!(
            "select n.nspname::text, c.relname::text, c.relkind::text,
                    case when c.relkind in ('r', 'm', 'i') then
                      (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::integer)::integer
                    end, a.attnum, a.attname::text,
                    case when a.attcollation = 0 then '-' else a.attcollation::regcollation::text end
             from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where {USER_SCHEMA} and {USER_RELATION} order by c.oid, a.attnum"
        ));
        let rows: Vec<ColumnRow> = sqlx::query_as(sql).fetch_all(&mut admin.conn).await?;
        let mut relations: HashMap<(String, String), Relation> = HashMap::new();
        for (schema, relation, kind, pages, number, name, collation) in rows {
            let relation = relations.entry((schema, relation)).or_insert_with(|| Relation {
                kind,
                pages,
                columns: Vec::new(),
            });
            relation.columns.push(Column {
                number,
                name,
                collation,
            });
        }
        Ok(Self {
            relations,
            operators: HashMap::new(),
        })
    }

    fn relation(&self, schema: &str, relation: &str) -> Option<&Relation> {
        self.relations.get(&(schema.to_owned(), relation.to_owned()))
    }

    pub fn has_relation(&self, schema: &str, relation: &str) -> bool {
        self.relation(schema, relation).is_some()
    }

    /// The pages of the relation's file, as the planner counts them; none where it has no file.
    pub fn pages(&self, schema: &str, relation: &str) -> Option<i32> {
        self.relation(schema, relation)?.pages
    }

    /// The inner error is the reason why there is no such place.
    pub async fn find(&mut self, admin: &mut Admin, given: &FileColumn) -> anyhow::Result<Result<Place, String>> {
        let Some(relation) = self.relation(&given.schema, &given.relation) else {
            return Ok(Err("the dataset has no such table or index".to_owned()));
        };
        let found = relation
            .columns
            .iter()
            .find(|column| match (&given.column, given.column_number) {
                (Some(name), _) => column.name == *name,
                (None, number) => Some(column.number) == number,
            });
        let Some(column) = found.cloned() else {
            return Ok(Err("the dataset has no such column".to_owned()));
        };
        let is_parent = matches!(relation.kind.as_str(), "p" | "I");
        if is_parent && !given.inherited {
            return Ok(Err(
                "a partitioned table has statistics of all its partitions together only".to_owned(),
            ));
        }
        let asked = ColumnStatistics {
            schema: given.schema.clone(),
            relation: given.relation.clone(),
            column_number: column.number,
            column: column.name.clone(),
            inherited: given.inherited,
            gathered: Gathered {
                null_fraction: String::new(),
                average_width: 0,
                n_distinct: String::new(),
                slots: Vec::new(),
            },
        };
        let (_, value_types) = value_types::of_column(&mut admin.conn, &asked)
            .await?
            .context("a column that has just been listed")?;
        if value_types.holds_domain {
            return Ok(Err(apply::HOLDS_DOMAIN.to_owned()));
        }
        let operators = self.operators_of(&mut admin.conn, value_types.base_type).await?;
        let element = match value_types.element_type {
            Some(element) => Some(self.operators_of(&mut admin.conn, element).await?),
            None => None,
        };
        let is_tsvector = value_types.base_type == TSVECTOR;
        Ok(Ok(Place {
            column_number: column.number,
            column: column.name,
            types: Types {
                // As the server's own `compute_tsvector_stats` has it.
                collation: if is_tsvector {
                    "\"default\"".to_owned()
                } else {
                    column.collation
                },
                operators,
                element,
                is_tsvector,
                is_range: value_types.range_type.is_some(),
            },
        }))
    }

    async fn operators_of(&mut self, conn: &mut PgConnection, type_id: Oid) -> anyhow::Result<Operators> {
        if let Some(known) = self.operators.get(&type_id) {
            return Ok(known.clone());
        }
        let operators = read_operators(conn, type_id).await?;
        self.operators.insert(type_id, operators.clone());
        Ok(operators)
    }
}

/// Equal, less, less as a clause, and the name of the type.
type OperatorRow = (Option<String>, Option<String>, Option<String>, String);

/// The operators of a type's default btree operator class, which may be that of a type it is kept as or of a pseudo-type;
/// where it has none, the equality of its hash operator class.
async fn read_operators(conn: &mut PgConnection, type_id: Oid) -> anyhow::Result<Operators> {
    let row: OperatorRow = sqlx::query_as(
        "with classes as (
             select am.amname, oc.opcfamily, oc.opcintype,
                    row_number() over (partition by am.amname order by oc.opcintype = t.oid desc,
                                       taken.typispreferred desc, oc.oid) as rank
             from pg_catalog.pg_type t
             join pg_catalog.pg_opclass oc on oc.opcdefault
             join pg_catalog.pg_am am on am.oid = oc.opcmethod and am.amname in ('btree', 'hash')
             join pg_catalog.pg_type taken on taken.oid = oc.opcintype
             where t.oid = $1 and (oc.opcintype = t.oid
                or (t.typtype = 'e' and oc.opcintype = 'anyenum'::regtype)
                or (t.typcategory = 'A' and oc.opcintype = 'anyarray'::regtype)
                or (t.typtype = 'c' and oc.opcintype = 'record'::regtype)
                or (t.typtype = 'r' and oc.opcintype = 'anyrange'::regtype)
                or (t.typtype = 'm' and oc.opcintype = 'anymultirange'::regtype)
                or exists (select from pg_catalog.pg_cast k where k.castsource = t.oid and k.casttarget = oc.opcintype
                             and k.castmethod = 'b' and k.castcontext = 'i'))
         ), operators as (
             select ao.amopopr, case when c.amname = 'btree' and ao.amopstrategy = 1 then 'less'
                                     when c.amname = 'btree' and ao.amopstrategy = 3 then 'equal'
                                     when c.amname = 'hash' and ao.amopstrategy = 1 then 'hash equal' end as is_for
             from classes c
             join pg_catalog.pg_amop ao on ao.amopfamily = c.opcfamily and ao.amoplefttype = c.opcintype
                                       and ao.amoprighttype = c.opcintype
             where c.rank = 1
         )
         select coalesce((select amopopr::regoperator::text from operators where is_for = 'equal'),
                         (select amopopr::regoperator::text from operators where is_for = 'hash equal')),
                (select amopopr::regoperator::text from operators where is_for = 'less'),
                (select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)
                 from operators p join pg_catalog.pg_operator o on o.oid = p.amopopr
                 join pg_catalog.pg_namespace n on n.oid = o.oprnamespace where p.is_for = 'less'),
                pg_catalog.format_type($1, -1)",
    )
    .bind(type_id)
    .persistent(false)
    .fetch_one(conn)
    .await
    .context("looking up the operators of a type")?;
    let (equal, less, less_sql, type_name) = row;
    Ok(Operators {
        equal,
        less,
        less_sql,
        type_name,
    })
}
