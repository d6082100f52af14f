//! The database into which a dump is restored, with the encoding and locale that the dump asks for.

use crate::dataset::extensions;
use crate::sql::dump::NewDatabase;
use crate::sql::ident;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::names::Tenant;
use crate::target::role;
use crate::target::session::Address;
use crate::target::session::Admin;

/// Makes the empty database of a tenant in place of what an earlier attempt left. Returns a sentence when the dump's
/// own locale could not be had.
pub async fn create(
    address: &Address,
    tenant: impl Into<Tenant>,
    wanted: Option<&NewDatabase>,
) -> anyhow::Result<Option<String>> {
    let name = clone::template_name(tenant);
    let mut server = Admin::connect(address, "postgres").await?;
    clone::drop(&mut server, &name).await?;
    let mut note = None;
    let asked = wanted.map(options).unwrap_or_default();
    let plain = format!(
        "create database {} template template0 encoding 'UTF8' connection limit 0",
        ident::quote(&server.names.on_server(&name))
    );
    if let Err(error) = server.run(format!("{plain}{asked}")).await {
        let server_error = error.downcast_ref::<sqlx::Error>().and_then(ServerError::of);
        let (Some(said), false) = (server_error, asked.is_empty()) else {
            return Err(error);
        };
        note = Some(format!(
            "the locale of the dump is not to be had here, so the server's own is used: {said}"
        ));
        server.run(plain).await?;
    }
    server.run(role::grants(&server.names, &name)).await?;
    server.close().await;
    let mut inside = Admin::connect(address, &name).await?;
    inside.run(role::schema_grants(&inside.names)).await?;
    inside.run(extensions::guard()).await?;
    inside.close().await;
    Ok(note)
}

/// The dump's locale, as options of CREATE DATABASE. Its text is stored as UTF-8 whatever its encoding was.
fn options(wanted: &NewDatabase) -> String {
    let mut options = String::new();
    let mut add = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            options.extend([" ", name, " ", &ident::literal(value)]);
        }
    };
    add(
        "lc_collate",
        wanted.lc_collate.as_ref().map(|locale| utf8_name(locale)).as_ref(),
    );
    add(
        "lc_ctype",
        wanted.lc_ctype.as_ref().map(|locale| utf8_name(locale)).as_ref(),
    );
    match wanted.provider.as_deref() {
        Some("icu") => {
            add("icu_locale", wanted.provider_locale.as_ref());
            options.push_str(" locale_provider icu");
        }
        Some("builtin") => {
            add("builtin_locale", wanted.provider_locale.as_ref());
            options.push_str(" locale_provider builtin");
        }
        _ => {}
    }
    options
}

/// `de_DE.ISO8859-1` names bytes that are not stored here; its UTF-8 sister sorts the same.
fn utf8_name(locale: &str) -> String {
    match locale.split_once('.') {
        Some((language, _)) => format!("{language}.UTF-8"),
        None => locale.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_of_a_dump_is_asked_for_in_its_utf8_form() {
        let wanted = NewDatabase {
            name: "shop".into(),
            lc_collate: Some("de_DE.ISO8859-1".into()),
            lc_ctype: Some("C".into()),
            ..NewDatabase::default()
        };
        assert_eq!(options(&wanted), " lc_collate 'de_DE.UTF-8' lc_ctype 'C'");
    }
}
