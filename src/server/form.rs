//! From what a person typed about a server to what is stored of it.

use crate::experiment::fields::FieldError;
use crate::model::server::PasswordSource;
use crate::model::server::SecretName;
use crate::model::server::ShownPlace;
use crate::target::registered;

const MOST_NAME_CHARS: usize = 100;
/// Of an address; a token in it has some thousand bytes.
const MOST_ADDRESS_BYTES: usize = 16 << 10;

/// What a person gave, as text. Its `Debug` keeps the address to itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerForm {
    pub name: String,
    /// `postgresql://user:password@host:port/database?name=value`
    pub address: String,
    /// The name of a file in the secrets directory; empty for none.
    pub secret: String,
}

impl std::fmt::Debug for ServerForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerForm")
            .field("name", &self.name)
            .field("address", &"(not shown)")
            .field("secret", &self.secret)
            .finish()
    }
}

/// A server as it was asked for, complete.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub address: String,
    pub place: ShownPlace,
    pub password: PasswordSource,
}

impl ServerForm {
    /// Reads the pairs of a posted form.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "name" => form.name = value,
                "address" => form.address = value,
                "secret" => form.secret = value,
                _ => {}
            }
        }
        form
    }

    /// As it may come back to whoever sent it.
    pub fn without_address(self) -> Self {
        Self {
            address: String::new(),
            ..self
        }
    }

    /// What the form asks for, or everything that is wrong with it. `stored` is the address that stays where the form has
    /// none.
    pub fn parse(&self, stored: Option<&str>) -> Result<Entry, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = self.name.trim();
        // Where servers are called by name or number, a number has to be one.
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        let is_fit = name.chars().count() <= MOST_NAME_CHARS && !name.chars().any(char::is_control);
        if is_number || !is_fit {
            errors.push(FieldError::new(
                "name",
                format!("A server needs a name of at most {MOST_NAME_CHARS} characters, not digits alone."),
            ));
        }
        let address = match (self.address.trim(), stored) {
            ("", Some(stored)) => stored,
            (address, _) => address,
        };
        let read = if address.is_empty() {
            Err("Give the address of the server: postgresql://user:password@host:5432/database.".to_owned())
        } else if address.len() > MOST_ADDRESS_BYTES {
            Err("An address has at most 16 kB.".to_owned())
        } else {
            registered::read(address).map_err(|error| error.to_string())
        };
        let read = read.map_err(|message| errors.push(FieldError::new("address", message)));
        let secret = match self.secret.trim() {
            "" => Ok(None),
            secret => SecretName::parse(secret).map(Some),
        };
        let secret = secret.map_err(|error| errors.push(FieldError::new("secret", error.to_string())));
        let (Ok(read), Ok(secret)) = (read, secret) else {
            return Err(errors);
        };
        let password = match (secret, read.has_password) {
            (Some(_), true) => {
                errors.push(FieldError::new(
                    "secret",
                    "The address has a password, and this names a secret to get it from. Give one of them: the address \
                     without its password, or no secret.",
                ));
                return Err(errors);
            }
            (Some(secret), false) => PasswordSource::Secret(secret),
            (None, true) => PasswordSource::Stored,
            (None, false) => PasswordSource::None,
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Entry {
            name: name.to_owned(),
            address: address.to_owned(),
            place: read.place,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(name: &str, address: &str, secret: &str) -> ServerForm {
        ServerForm {
            name: name.to_owned(),
            address: address.to_owned(),
            secret: secret.to_owned(),
        }
    }

    /// Fields that are refused, and nothing of the address.
    fn refused(form: &ServerForm, stored: Option<&str>) -> Vec<String> {
        let errors = form.parse(stored).err().unwrap();
        assert!(
            errors.iter().all(|error| !error.message.contains("s3cret")),
            "{errors:?}"
        );
        assert!(!format!("{form:?}").contains("s3cret"));
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn the_password_comes_from_one_place() {
        let with = "postgres://me:s3cret@h/d";
        let without = "postgres://me@h/d";
        let source = |address: &str, secret: &str| form("prod", address, secret).parse(None).unwrap().password;
        assert_eq!(source(with, ""), PasswordSource::Stored);
        assert_eq!(source(without, ""), PasswordSource::None);
        let secret = PasswordSource::Secret(SecretName::parse("token").unwrap());
        assert_eq!(source(without, " token "), secret);
        assert_eq!(refused(&form("prod", with, "token"), None), ["secret"]);
        assert_eq!(refused(&form("prod", "", "token"), Some(with)), ["secret"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_beside_its_field() {
        assert_eq!(refused(&form(" ", "", "../x"), None), ["name", "address", "secret"]);
        assert_eq!(refused(&form("17", "postgres://me@h/d", ""), None), ["name"]);
        assert_eq!(refused(&form("prod", "postgres://me:s3cret@/d", ""), None), ["address"]);
        let long = format!("postgres://me:{}@h/d", "s3cret".repeat(3000));
        assert_eq!(refused(&form("prod", &long, ""), None), ["address"]);
    }

    #[test]
    fn an_address_that_is_left_out_stays_as_it_is() {
        let entry = form("prod", "", "").parse(Some("postgres://me:s3cret@h:7/d?sslmode=require"));
        let entry = entry.ok().unwrap();
        assert_eq!(entry.place.to_string(), "me@h:7/d");
        assert_eq!(
            (&*entry.place.tls_mode, entry.password),
            ("require", PasswordSource::Stored)
        );
    }
}
