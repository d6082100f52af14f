//! Where connections to registered servers may go. Who registers a server has pgassay connect to whatever the address
//! says, from where pgassay is: so whoever runs pgassay lists what may be reached, and nothing else is.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::network::Network;
use crate::model::network::NetworkError;

const USUAL_PORT: u16 = 5432;

/// Addresses that are not of the internet at large: this machine, this link, what is private or has a meaning of its own
/// (IANA's registries of special-purpose addresses, RFC 6890). A name that leads there is not enough to be let there.
const NOT_PUBLIC: [&str; 28] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    // These stand for an IPv4 address, which may be any of those above.
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "2001::/23",
    "100::/64",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// What may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations(Option<Arc<[Destination]>>);

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Destination {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// In small letters, without a dot at its end. Good for public addresses only: whoever answers for a name can have it
    /// lead anywhere, today here and tomorrow there.
    Name(String),
    Network(Network),
}

/// Why a text is no entry of the list. A sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    #[error(
        "{0:?} is neither a host nor a network. Give db.example.org, db.example.org:6432, 10.0.0.7:6432, 10.0.0.0/8 or \
         [fd00::/8]:6432."
    )]
    Unreadable(String),
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl Destinations {
    /// Whatever an address says: for whoever has this machine anyway.
    pub const fn anywhere() -> Self {
        Self(None)
    }

    /// Nothing at all.
    pub fn nowhere() -> Self {
        Self(Some([].into()))
    }

    /// Reads a list of hosts and networks, each with its port or for the usual one; empty entries say nothing.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, DestinationError> {
        let texts = texts.iter().map(|text| text.as_ref().trim());
        let read = texts.filter(|text| !text.is_empty()).map(destination);
        Ok(Self(Some(read.collect::<Result<_, _>>()?)))
    }

    /// Whether sockets of this machine may be opened: they lead to whatever runs here, the store included.
    pub const fn admit_sockets(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a name is listed, whatever it leads to.
    pub fn list(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_it = |one: &Destination| one.port == port && matches!(&one.host, Host::Name(name) if *name == host);
        self.0.as_ref().is_none_or(|listed| listed.iter().any(is_it))
    }

    /// Whether an address may be reached that a host's name leads to.
    pub fn admit(&self, host: &str, address: SocketAddr) -> bool {
        let Some(listed) = &self.0 else {
            return true;
        };
        let is_in = |one: &Destination| match one.host {
            Host::Network(network) => one.port == address.port() && network.contains(address.ip()),
            Host::Name(_) => false,
        };
        listed.iter().any(is_in) || (self.list(host, address.port()) && is_public(address.ip()))
    }
}

fn destination(text: &str) -> Result<Destination, DestinationError> {
    let unreadable = || DestinationError::Unreadable(text.to_owned());
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return Err(unreadable()),
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, behind))) => (host, Some(behind.strip_prefix(':').ok_or_else(unreadable)?)),
        // Two colons are those of an IPv6 address.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    let port = match port.map(str::parse) {
        None => USUAL_PORT,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(unreadable()),
    };
    let host = if host.contains(['/', ':']) || host.parse::<IpAddr>().is_ok() {
        Host::Network(Network::parse(host)?)
    } else {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        // What ends in a number is an address that is written in another way, or a slip.
        let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || !name.bytes().all(is_fit) {
            return Err(unreadable());
        }
        Host::Name(name)
    };
    Ok(Destination { host, port })
}

fn is_public(address: IpAddr) -> bool {
    NOT_PUBLIC.iter().all(|network| {
        let network = Network::parse(network).expect("a test reads all of them");
        !network.contains(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_internet_at_large_is_known_in_whatever_form_it_comes() {
        for (address, expected) in [
            ("8.8.8.8", true),
            ("172.15.255.255", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("127.255.0.1", false),
            ("10.0.0.1", false),
            ("172.31.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.100.100.200", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("::", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::a9fe:a9fe", false),
            ("2002:7f00:1::", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_name_is_good_for_public_addresses_and_a_network_for_its_own() {
        let listed = [
            "DB.example.org.",
            "db1",
            "pool.example.org:6432",
            "10.1.0.0/16",
            "192.168.7.7:6432",
            "[fd00::/8]:6432",
            "2001:db8::7",
            " ",
            "",
        ];
        let destinations = Destinations::parse(&listed).unwrap();
        for (host, address, expected) in [
            ("db.example.org", "8.8.8.8:5432", true),
            ("db.EXAMPLE.org.", "8.8.8.8:5432", true),
            ("db.example.org", "8.8.8.8:6432", false),
            ("pool.example.org", "8.8.8.8:6432", true),
            ("pool.example.org", "8.8.8.8:5432", false),
            // The name leads elsewhere today.
            ("db.example.org", "127.0.0.1:5432", false),
            ("db.example.org", "169.254.169.254:5432", false),
            ("db.example.org", "[::ffff:10.0.0.1]:5432", false),
            ("db.example.org", "10.1.2.3:5432", true),
            ("anything", "10.1.2.3:5432", true),
            ("10.1.2.3", "10.1.2.3:5432", true),
            ("10.1.2.3", "10.1.2.3:22", false),
            ("10.2.0.0", "10.2.0.0:5432", false),
            ("192.168.7.7", "192.168.7.7:6432", true),
            ("192.168.7.7", "192.168.7.7:5432", false),
            ("fd12::1", "[fd12::1]:6432", true),
            ("fd12::1", "[fd12::1]:5432", false),
            ("2001:db8::7", "[2001:db8::7]:5432", true),
            ("evil.example", "8.8.8.8:5432", false),
            ("8.8.8.8", "8.8.8.8:5432", false),
            ("example.org", "8.8.8.8:5432", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(destinations.admit(host, address), expected, "{host} {address}");
            assert!(Destinations::anywhere().admit(host, address));
            assert!(!Destinations::nowhere().admit(host, address));
        }
        assert!(!destinations.admit_sockets() && !Destinations::nowhere().admit_sockets());
        assert!(Destinations::anywhere().admit_sockets());
        assert_eq!(Destinations::parse(&["", " "]).unwrap(), Destinations::nowhere());
    }

    #[test]
    fn what_is_no_host_is_refused_in_words() {
        for text in [
            "*",
            "db.example.org:",
            "db.example.org:0",
            "db.example.org:65536",
            "[fd00::1",
            "[fd00::1]6432",
            "0x7f.1",
            "127.1",
            "0x7f000001",
            ".",
            "/var/run/postgresql",
            "a b",
            "postgresql://db.example.org",
            "10.0.0.0/33",
            "10.1.2.3/8",
        ] {
            let refused = Destinations::parse(&["db", text]).unwrap_err().to_string();
            assert!(refused.ends_with('.') && refused.contains("Give"), "{text}: {refused}");
        }
    }
}
