//! What one has to be to ask for something: one table for all addresses, asked before any handler runs.

use crate::model::user::Account;
use crate::model::user::Role;
use crate::model::user::TokenScope;
use crate::model::user::Viewer;

/// What one has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    Nothing,
    /// Somebody with an account, or with a link to what is asked for.
    Account,
    Editor,
    Admin,
}

/// How something is asked for: a request that only looks changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Looks,
    Changes,
}

impl How {
    /// Of a method of HTTP.
    pub fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" | "OPTIONS" => Self::Looks,
            _ => Self::Changes,
        }
    }
}

/// What differs from the rule that whoever looks needs an account and whoever changes has to be an editor. The first line that
/// fits holds; `/*` at the end stands for everything below an address.
const EXCEPTIONS: &[(How, &str, Need)] = &[
    (How::Looks, "/login", Need::Nothing),
    (How::Changes, "/login", Need::Nothing),
    (How::Looks, "/setup", Need::Nothing),
    (How::Changes, "/setup", Need::Nothing),
    (How::Looks, "/register", Need::Nothing),
    (How::Changes, "/register", Need::Nothing),
    // Whoever has signed out once may press the button again.
    (How::Changes, "/logout", Need::Nothing),
    (How::Looks, "/links/*", Need::Nothing),
    (How::Looks, "/assets/*", Need::Nothing),
    // Which they do for nobody.
    (How::Changes, "/assets/*", Need::Nothing),
    (How::Looks, "/help", Need::Nothing),
    (How::Looks, "/help/*", Need::Nothing),
    (How::Looks, "/healthz", Need::Nothing),
    (How::Looks, "/readyz", Need::Nothing),
    (How::Looks, "/api/docs", Need::Nothing),
    (How::Looks, "/api/openapi.json", Need::Nothing),
    (How::Changes, "/api/auth/register", Need::Nothing),
    (How::Changes, "/api/auth/token", Need::Nothing),
    // What one sets for oneself.
    (How::Changes, "/account", Need::Account),
    (How::Changes, "/account/*", Need::Account),
    (How::Looks, "/metrics", Need::Admin),
    (How::Looks, "/workers", Need::Admin),
    (How::Looks, "/servers", Need::Admin),
    (How::Looks, "/servers/*", Need::Admin),
    (How::Changes, "/servers", Need::Admin),
    (How::Changes, "/servers/*", Need::Admin),
    (How::Looks, "/admin", Need::Admin),
    (How::Looks, "/admin/*", Need::Admin),
    (How::Changes, "/admin", Need::Admin),
    (How::Changes, "/admin/*", Need::Admin),
];

/// What one has to be to ask for an address.
pub fn need(how: How, path: &str) -> Need {
    let fits = |pattern: &str| match pattern.strip_suffix("/*") {
        Some(above) => path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/')),
        None => path == pattern,
    };
    let exception = EXCEPTIONS
        .iter()
        .find(|(of, pattern, _)| *of == how && fits(pattern))
        .map(|(_, _, need)| *need);
    exception.unwrap_or(match how {
        How::Looks => Need::Account,
        How::Changes => Need::Editor,
    })
}

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Whoever asks has to say first who they are.
    Unknown,
    /// And is known, but has not the role for it.
    NotFor(Role),
    /// A token for looking cannot change anything.
    OnlyReads,
}

/// Whether somebody may ask for something. `is_shown` says that it lies under the thing of which they have a link.
pub fn check(need: Need, how: How, viewer: Viewer, scope: Option<TokenScope>, is_shown: bool) -> Result<(), Denied> {
    let least = match need {
        Need::Nothing => return Ok(()),
        Need::Account => Role::Viewer,
        Need::Editor => Role::Editor,
        Need::Admin => Role::Admin,
    };
    if !viewer.is_account() {
        let may_look = is_shown && how == How::Looks && need == Need::Account;
        return if may_look { Ok(()) } else { Err(Denied::Unknown) };
    }
    if viewer.role < least {
        return Err(Denied::NotFor(viewer.role));
    }
    if how == How::Changes && scope == Some(TokenScope::Read) {
        return Err(Denied::OnlyReads);
    }
    Ok(())
}

/// Whether somebody may put load on the servers that they have registered: only who may register servers, now.
pub fn may_use_servers(viewer: Viewer) -> bool {
    let how = How::Changes;
    check(need(how, "/servers"), how, viewer, None, false).is_ok()
}

/// The same of an account as it is stored, which may have changed since its work was asked for.
pub fn may_account_use_servers(account: &Account) -> bool {
    !account.is_disabled && may_use_servers(Viewer::account(account.id, account.role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::UserId;

    #[test]
    fn whoever_looks_needs_an_account_and_whoever_changes_is_an_editor_but_for_the_exceptions() {
        for (method, path, expected) in [
            ("GET", "/", Need::Account),
            ("GET", "/results/7", Need::Account),
            ("HEAD", "/api/experiments", Need::Account),
            ("POST", "/experiment", Need::Editor),
            ("DELETE", "/api/datasets/7", Need::Editor),
            ("PUT", "/api/datasets/uploads/x", Need::Editor),
            ("GET", "/ws", Need::Account),
            ("GET", "/login", Need::Nothing),
            ("POST", "/login", Need::Nothing),
            ("GET", "/loginx", Need::Account),
            ("GET", "/login/", Need::Account),
            ("GET", "/help", Need::Nothing),
            ("GET", "/help/dumps", Need::Nothing),
            ("GET", "/helpx", Need::Account),
            ("POST", "/account/password", Need::Account),
            ("GET", "/servers", Need::Admin),
            ("POST", "/servers/7/delete", Need::Admin),
            ("GET", "/admin/users", Need::Admin),
            ("POST", "/admin/users/7", Need::Admin),
            ("GET", "/metrics", Need::Admin),
            ("POST", "/a/page/that/is/not/there", Need::Editor),
        ] {
            assert_eq!(need(How::of(method), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn who_may_not_register_servers_may_not_use_them() {
        for role in Role::ALL {
            let viewer = Viewer::account(UserId(7), role);
            assert_eq!(may_use_servers(viewer), role == Role::Admin, "{role:?}");
        }
        assert!(!may_use_servers(Viewer::nobody()));
    }

    #[test]
    fn every_kind_of_asker_gets_what_its_role_allows() {
        let account = |role| Viewer::account(UserId(7), role);
        let (viewer, editor, admin) = (account(Role::Viewer), account(Role::Editor), account(Role::Admin));
        let nobody = Viewer::nobody();
        for (least, how, asker, scope, is_shown, expected) in [
            (Need::Nothing, How::Changes, nobody, None, false, Ok(())),
            (Need::Account, How::Looks, nobody, None, false, Err(Denied::Unknown)),
            (Need::Account, How::Looks, nobody, None, true, Ok(())),
            (Need::Account, How::Changes, nobody, None, true, Err(Denied::Unknown)),
            (Need::Admin, How::Looks, nobody, None, true, Err(Denied::Unknown)),
            (Need::Account, How::Changes, viewer, None, false, Ok(())),
            (
                Need::Editor,
                How::Changes,
                viewer,
                None,
                true,
                Err(Denied::NotFor(Role::Viewer)),
            ),
            (Need::Editor, How::Changes, editor, None, false, Ok(())),
            (
                Need::Editor,
                How::Changes,
                editor,
                Some(TokenScope::Read),
                false,
                Err(Denied::OnlyReads),
            ),
            (Need::Account, How::Looks, editor, Some(TokenScope::Read), false, Ok(())),
            (
                Need::Editor,
                How::Changes,
                editor,
                Some(TokenScope::Write),
                false,
                Ok(()),
            ),
            (
                Need::Admin,
                How::Looks,
                editor,
                None,
                false,
                Err(Denied::NotFor(Role::Editor)),
            ),
            (Need::Admin, How::Changes, admin, None, false, Ok(())),
        ] {
            assert_eq!(
                check(least, how, asker, scope, is_shown),
                expected,
                "{least:?} {how:?} {asker:?}"
            );
        }
    }
}
