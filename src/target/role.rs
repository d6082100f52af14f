//! The restricted role that owns a dataset's tables, and what it may do. The recipe is `reliability.md`, section 3.

use rand::TryRng as _;

use crate::sql::ident;
use crate::target::names::Names;
use crate::target::session::Admin;

/// Every dataset's role on a server of its own belongs to it; `pg_hba.conf` names it.
const GROUP: &str = "ws";
const CONNECTION_LIMIT: u32 = 40;
const DATABASE_CONNECTION_LIMIT: u32 = 50;

/// Functions that no dataset may call: they write to the log or to every session's queue, end what is not theirs, crash
/// on some input, or write although the transaction is read-only. By name, because their parameters differ between
/// versions, and so does which of them there are.
const WITHHELD: &str = "'pg_logical_emit_message', 'pg_notify', 'xpath', 'xpath_exists', 'xmlexists', \
                        'pg_cancel_backend', 'pg_terminate_backend', \
                        'brin_summarize_new_values', 'brin_summarize_range', 'brin_desummarize_range', \
                        'gin_clean_pending_list', \
                        'pg_restore_relation_stats', 'pg_restore_attribute_stats', 'pg_restore_extended_stats', \
                        'pg_clear_relation_stats', 'pg_clear_attribute_stats', 'pg_clear_extended_stats'";

/// How much of its intermediate results one session may put into temporary files.
pub const TEMP_FILE_LIMIT: &str = "2GB";

/// What the role cannot change itself, whatever the server has it otherwise: how much one session spills, that neither
/// text nor rows of a dump get into a log, and that autovacuum, where it runs, finds nothing to analyze.
const SETTINGS: [(&str, &str); 8] = [
    ("temp_file_limit", TEMP_FILE_LIMIT),
    ("log_min_messages", "fatal"),
    ("log_min_error_statement", "panic"),
    ("log_statement", "none"),
    ("log_duration", "off"),
    ("log_min_duration_statement", "-1"),
    ("lc_messages", "C"),
    ("track_counts", "off"),
];

/// Makes the role if it is not there, takes back whatever it did to itself, and gives it a new password, which is
/// returned.
pub async fn renew(admin: &mut Admin) -> anyhow::Result<String> {
    let name = &admin.names.role;
    let password = random_password()?;
    let made = format!(
        "do $do$ begin
           if not exists (select from pg_catalog.pg_roles where rolname = {literal}) then
             create role {role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit
               connection limit {CONNECTION_LIMIT};
           end if;
         end $do$;",
        literal = ident::literal(name),
        role = ident::quote(name),
    );
    let as_meant = as_meant(&admin.names, &password);
    admin.run(format!("{made}\n{as_meant}")).await?;
    Ok(password)
}

/// Takes back whatever the role did to itself since, also by dropping what it owns: its password, its settings, its
/// rights on `database`. No role can be kept from that, and no session must find it.
pub async fn readmit(admin: &mut Admin, password: &str, database: &str) -> anyhow::Result<()> {
    let (as_meant, grants) = (as_meant(&admin.names, password), grants(&admin.names, database));
    admin.run(format!("{as_meant}\n{grants}")).await
}

/// A backend whose client has gone notices within a second. The password comes last: an error shows how the statement
/// begins.
fn as_meant(names: &Names, password: &str) -> String {
    let role = ident::quote(&names.role);
    let mut sql = format!(
        "alter role {role} connection limit {CONNECTION_LIMIT};
         alter role {role} reset all;
         alter role {role} set client_connection_check_interval = '1s';"
    );
    for (setting, value) in SETTINGS {
        sql.extend(["alter role ", &role, " set ", setting, " = '", value, "';"]);
    }
    sql.extend(["alter role ", &role, " password ", &ident::literal(password), ";"]);
    sql
}

/// Lets the role in where `pg_hba.conf` is ours, and keeps every such role out of the server's own databases.
pub async fn admit(admin: &mut Admin) -> anyhow::Result<()> {
    let role = ident::quote(&admin.names.role);
    admin
        .run(format!(
            "do $do$ begin
               if not exists (select from pg_catalog.pg_roles where rolname = '{GROUP}') then
                 create role {GROUP} nologin;
                 revoke all on database postgres, template1 from public;
               end if;
               if not pg_catalog.pg_has_role({literal}, '{GROUP}', 'member') then
                 grant {GROUP} to {role};
               end if;
             end $do$",
            literal = ident::literal(&admin.names.role),
        ))
        .await
}

/// What the role may do in a database of its own: connect, create, use temporary tables, but not own it. The database
/// is made with a connection limit of 0, so that nobody else gets in before this.
pub fn grants(names: &Names, database: &str) -> String {
    let database = ident::quote(&names.on_server(database));
    let role = ident::quote(&names.role);
    format!(
        "revoke all on database {database} from public;
         grant connect, create, temporary on database {database} to {role};
         alter database {database} connection limit {DATABASE_CONNECTION_LIMIT};"
    )
}

/// Lets the role in as often as a load test needs it, and lets the server count what it does, until it is renewed: without
/// counts there is neither autovacuum nor anything to show.
pub async fn admit_load(admin: &mut Admin, database: &str, n_connections: u32) -> anyhow::Result<()> {
    let database = ident::quote(&admin.names.on_server(database));
    let role = ident::quote(&admin.names.role);
    admin
        .run(format!(
            "alter role {role} connection limit {n_connections};
             alter role {role} reset track_counts;
             alter database {database} connection limit {n_connections};"
        ))
        .await
}

/// What a fresh database needs before a dump is restored into it, run inside it. Taken away: what floods the log or the
/// queue of notices, what no timeout ends, what ends other sessions, and what changes indexes or statistics behind a
/// transaction that only reads.
pub fn schema_grants(names: &Names) -> String {
    let role = ident::quote(&names.role);
    format!(
        "alter schema public owner to {role};
         grant usage, create on schema public to {role};
         do $do$ declare call text; begin
           for call in
             select pg_catalog.format('pg_catalog.%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
             from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'pg_catalog' and p.proname in ({WITHHELD})
           loop
             execute 'revoke execute on function ' || call || ' from public';
           end loop;
         end $do$"
    )
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes)?;
    Ok(hex::encode(bytes))
}
