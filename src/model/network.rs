//! Networks: addresses of the internet that begin alike.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

/// Bits by which an IPv4 address is longer as an IPv6 one (`::ffff:0:0/96`).
const MAPPED_BITS: u32 = 96;

/// Why a text is no network. A sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("{0:?} is neither an address nor a network. Give 10.0.0.7, 10.0.0.0/8 or fd00::/8.")]
    Unreadable(String),
    /// Most likely a slip, and which of the two was meant nobody knows.
    #[error("{given:?} is an address within the network {meant}. Give that, or the address alone.")]
    Within { given: String, meant: Network },
}

/// Addresses that begin alike. IPv4 is kept as part of IPv6, so that an address has one form however it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: u128,
    n_bits: u32,
}

impl Network {
    /// Reads an address or a network in CIDR notation.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let unreadable = || NetworkError::Unreadable(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let ours = if address.is_ipv4() { MAPPED_BITS } else { 0 };
        let n_bits = match bits {
            None => u128::BITS,
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                ours + bits.parse::<u32>().map_err(|_| unreadable())?
            }
            Some(_) => return Err(unreadable()),
        };
        if n_bits > u128::BITS {
            return Err(unreadable());
        }
        let network = Self::around(address, n_bits);
        if network.first != number(address) {
            return Err(NetworkError::Within {
                given: text.trim().to_owned(),
                meant: network,
            });
        }
        Ok(network)
    }

    /// One address.
    pub fn of(address: IpAddr) -> Self {
        Self::around(address, u128::BITS)
    }

    /// Whether the address is one of it.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::around(address, self.n_bits) == self
    }

    /// The addresses whose first bits are those of this one; of IPv4 as of the IPv6 address that stands for it.
    pub fn around(address: IpAddr, n_bits: u32) -> Self {
        let mask = u128::MAX.checked_shl(u128::BITS - n_bits).unwrap_or(0);
        Self {
            first: number(address) & mask,
            n_bits,
        }
    }
}

/// In CIDR notation, IPv4 as such.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Ipv6Addr::from_bits(self.first);
        match first.to_ipv4_mapped() {
            Some(first) if self.n_bits >= MAPPED_BITS => write!(f, "{first}/{}", self.n_bits - MAPPED_BITS),
            _ => write!(f, "{first}/{}", self.n_bits),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_read_as_it_is_written_and_nothing_else_is() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.1.2.3 ", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::/0", "::/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "proxy.example",
            "*",
            "10.0.0.0/255.0.0.0",
            "fe80::1%eth0",
            "10.0.0.0/0000000008",
        ] {
            assert_eq!(Network::parse(text), Err(NetworkError::Unreadable(text.to_owned())));
        }
        let error = Network::parse("10.1.2.3/8").unwrap_err().to_string();
        assert!(error.contains("within the network 10.0.0.0/8"), "{error}");
    }

    #[test]
    fn a_network_holds_its_addresses_in_whatever_form_they_come() {
        for (network, address, is_in) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.9", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
        ] {
            let found = Network::parse(network).unwrap().contains(ip(address));
            assert_eq!(found, is_in, "{address} in {network}");
        }
    }
}
