//! The address of a client, also behind proxies, and its net: whom limits count.
//!
//! Only `X-Forwarded-For` is read, and only from proxies that are trusted: each of them appends whom it was asked by, so
//! that from the right the list is true as far as trusted proxies reach, and everything left of that may be made up.
//! `Forwarded` (RFC 7239) is not read: the proxies in use write the older header and hand the newer one on as it comes, so
//! that whoever read both would let clients choose their address.

use std::fmt;
use std::net::IpAddr;

use crate::model::network::Network;
use crate::model::network::NetworkError;

/// What one customer of a provider is given at least, so that further addresses cost nothing.
const NET_BITS_OF_IPV6: u32 = 64;

/// Proxies whose word is taken for whom they were asked by; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Reads a list of addresses and networks; empty entries say nothing.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, NetworkError> {
        let texts = texts.iter().map(|text| text.as_ref().trim());
        let networks = texts.filter(|text| !text.is_empty()).map(Network::parse);
        Ok(Self(networks.collect::<Result<_, _>>()?))
    }

    /// Whether this is one of them.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Who asks. `peer` is whom the connection is with, `forwarded_for` the values of all `X-Forwarded-For` headers in
    /// their order.
    ///
    /// That is the peer unless it is trusted, then the rightmost address that is not. Where all are trusted it is the
    /// leftmost of them; where one cannot be read, the proxy that wrote it: a client behind it that cannot be told from
    /// others is counted with them.
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut named = forwarded_for.rev().flat_map(|value| value.rsplit(','));
        while self.trust(client) {
            match named.next().map(forwarded_address) {
                Some(Some(address)) => client = address,
                Some(None) | None => break,
            }
        }
        client
    }
}

/// An entry of `X-Forwarded-For`: an address, which some proxies write with its port.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    let address = address.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// The part of the internet that limits take for one client: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net(Network);

impl Net {
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self(match address {
            IpAddr::V4(_) => Network::of(address),
            IpAddr::V6(_) => Network::around(address, NET_BITS_OF_IPV6),
        })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Net({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_client_is_whom_the_outermost_trusted_proxy_was_asked_by() {
        let proxies = TrustedProxies::parse(&["127.0.0.1", "10.0.0.0/8", "fd00::/8", " ", ""]).unwrap();
        let client = |peer: &str, values: &[&str]| proxies.client(ip(peer), values.iter().copied()).to_string();
        for (peer, values, expected) in [
            // Nobody is believed who is not trusted.
            ("203.0.113.9", &[][..], "203.0.113.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            // One proxy, two, and one that is asked in IPv6.
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("127.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            // What the client made up stands further left, in the same header or in one before.
            ("127.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["10.0.0.3, 127.0.0.1, 203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            // Nothing but proxies.
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            // Garbage ends it at the proxy that wrote it.
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9, , 10.0.0.2"], "10.0.0.2"),
            ("127.0.0.1", &["203.0.113.9, <script>, 10.0.0.2"], "10.0.0.2"),
            ("127.0.0.1", &["203.0.113.9 10.0.0.2"], "127.0.0.1"),
            ("127.0.0.1", &["garbage, 203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["fe80::1%eth0"], "127.0.0.1"),
            ("127.0.0.1", &["0x7f.1"], "127.0.0.1"),
            // Ports.
            ("127.0.0.1", &["203.0.113.9:51234"], "203.0.113.9"),
            ("127.0.0.1", &["[2001:db8::7]:51234"], "2001:db8::7"),
            ("127.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
        ] {
            assert_eq!(client(peer, values), expected, "{peer} {values:?}");
        }
        let none = TrustedProxies::default();
        assert_eq!(
            none.client(ip("127.0.0.1"), ["203.0.113.9"].into_iter()),
            ip("127.0.0.1")
        );
        assert!(TrustedProxies::parse(&["10.0.0.0/8", "proxy"]).is_err());
    }

    #[test]
    fn a_net_is_an_address_or_what_a_customer_has_of_ipv6() {
        for (address, net) in [
            ("203.0.113.9", "203.0.113.9/32"),
            ("::ffff:203.0.113.9", "203.0.113.9/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Net::of(ip(address)).to_string(), net);
        }
        assert_ne!(Net::of(ip("2001:db8:1:2::1")), Net::of(ip("2001:db8:1:3::1")));
        assert_ne!(Net::of(ip("203.0.113.9")), Net::of(ip("203.0.113.8")));
        assert_ne!(Net::of(ip("0.0.0.0")), Net::of(ip("::1")));
    }
}
