//! The client's address: the peer's, unless the peer is a proxy that we trust to name another.

use http::HeaderMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address or a network: `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
///
/// ```
/// use sightline_instrument::Network;
/// let inside: Network = "10.0.0.0/8".parse().unwrap();
/// assert!(inside.contains("10.1.2.3".parse().unwrap()));
/// assert!("10.0.0.0/40".parse::<Network>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    bits: u8,
}

/// A text that is no network.
///
/// ```
/// let error: sightline_instrument::ParseNetworkError =
///     "everywhere".parse::<sightline_instrument::Network>().unwrap_err();
/// assert_eq!(error.to_string(), "not an address or a network such as 10.0.0.0/8");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseNetworkError;

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address or a network such as 10.0.0.0/8")
    }
}

impl std::error::Error for ParseNetworkError {}

/// All addresses in one space; IPv4 as IPv4-mapped.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl Network {
    /// Whether the address is in it.
    ///
    /// ```
    /// let inside: sightline_instrument::Network = "fd00::/8".parse().unwrap();
    /// assert!(inside.contains("fd00::1".parse().unwrap()));
    /// ```
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = 128 - u32::from(self.bits);
        shift == 128 || (number(address) ^ self.base) >> shift == 0
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| ParseNetworkError)?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| ParseNetworkError)?;
        let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(ParseNetworkError);
        }
        Ok(Network { base: number(address), bits: offset + bits })
    }
}

/// The client's address. `X-Forwarded-For` is read from its end, as long as who wrote it is trusted.
pub(crate) fn client(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let mut client = plain(peer?);
    if trusted.is_empty() {
        return Some(client);
    }
    let believed = |address: IpAddr| trusted.iter().any(|n| n.contains(address));
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = lines.iter().rev().flat_map(|v| v.to_str().unwrap_or_default().rsplit(','));
    for hop in hops.take(32) {
        if !believed(client) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(address) => client = plain(address),
            // Someone trusted passed on nonsense: the last address that makes sense is all we know.
            None => break,
        }
    }
    Some(client)
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        v4 => v4,
    }
}

/// `1.2.3.4`, `1.2.3.4:567`, `::1`, `[::1]:567`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Some(rest) = hop.strip_prefix('[') {
        return rest.split(']').next()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    hop.parse().ok().or_else(|| hop.split(':').next()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|t| t.parse().unwrap()).collect();
        client(Some(peer.parse().unwrap()), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn a_stranger_cannot_name_another() {
        assert_eq!(from("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
        assert_eq!(from("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn trusted_hops_are_walked_from_the_end() {
        let trusted = ["127.0.0.1", "10.0.0.0/8"];
        assert_eq!(from("127.0.0.1", &["198.51.100.7"], &trusted), "198.51.100.7");
        assert_eq!(from("127.0.0.1", &["6.6.6.6, 198.51.100.7, 10.1.1.1"], &trusted), "198.51.100.7");
        assert_eq!(from("127.0.0.1", &["6.6.6.6", "198.51.100.7:4711"], &trusted), "198.51.100.7");
        assert_eq!(from("::ffff:127.0.0.1", &["[2001:db8::1]:80"], &trusted), "2001:db8::1");
        assert_eq!(from("127.0.0.1", &["198.51.100.7, rubbish"], &trusted), "127.0.0.1");
    }

    #[test]
    fn networks_know_their_own() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()));
            assert!(!network.contains(outside.parse().unwrap()));
        }
        let all: Network = "::/0".parse().unwrap();
        assert!(all.contains("10.0.0.1".parse().unwrap()));
    }
}
