//! Who may send: networks that may connect and bearer tokens that a request must carry.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Who may send to a receiver. Both lists empty: everybody who can reach it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Networks that may connect: `10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`. Empty: all.
    pub allow: Vec<Network>,
    /// Tokens of which an HTTP or gRPC request must carry one, as `Authorization: Bearer`, as an API key, or as the
    /// password of basic authentication. Empty: none is asked for.
    pub tokens: Vec<Token>,
}

impl Access {
    /// Whether `peer` may connect.
    pub fn admits(&self, peer: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(peer))
    }

    /// Whether a request with this `Authorization` header may be served.
    pub fn authorises(&self, header: Option<&[u8]>) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let Some((scheme, rest)) = header.and_then(|h| std::str::from_utf8(h).ok()?.split_once(' ')) else {
            return false;
        };
        let given = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "apikey" => rest.trim().as_bytes().to_vec(),
            "basic" => {
                let Ok(pair) = base64::engine::general_purpose::STANDARD.decode(rest.trim()) else {
                    return false;
                };
                match pair.iter().position(|&b| b == b':') {
                    Some(colon) => pair[colon + 1..].to_vec(),
                    None => return false,
                }
            }
            _ => return false,
        };
        // No early exit: the time taken says nothing about which token came close.
        self.tokens.iter().fold(false, |found, token| found | same(token.0.as_bytes(), &given))
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// A secret that no dump shows.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("[redacted]")
    }
}

/// A network in CIDR notation, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8` or `10.1.2.3`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a network: write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32");
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most {
            return Err(wrong());
        }
        Ok(Network { address, prefix })
    }

    /// Whether `peer` lies within; an IPv4 peer seen through an IPv6 socket counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(peer)) => {
                let bits = u32::from(network) ^ u32::from(peer);
                bits.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(peer)) => {
                let bits = u128::from(network) ^ u128::from(peer);
                bits.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Network::parse(&String::deserialize(de)?).map_err(de::Error::custom)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Network, Token};

    #[test]
    fn admits_only_the_networks_named() {
        let access = Access {
            allow: ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"].map(|n| Network::parse(n).unwrap()).to_vec(),
            tokens: vec![],
        };
        for (peer, ok) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.0.0.1", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
        ] {
            assert_eq!(access.admits(peer.parse().unwrap()), ok, "{peer}");
        }
        assert!(Access::default().admits("203.0.113.1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        for text in ["10.0.0.0/33", "x", "::/129", "10.0.0.0/", ""] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn takes_a_token_in_the_three_forms_that_clients_use() {
        let access = Access { allow: vec![], tokens: vec![Token("s3cret".into()), Token("other".into())] };
        for header in ["Bearer s3cret", "bearer other", "ApiKey s3cret", "Basic ZWxhc3RpYzpzM2NyZXQ="] {
            assert!(access.authorises(Some(header.as_bytes())), "{header}");
        }
        for header in ["Bearer s3cre", "Bearer ", "s3cret", "Digest s3cret", "Basic !!", "Basic c2VjcmV0"] {
            assert!(!access.authorises(Some(header.as_bytes())), "{header}");
        }
        assert!(!access.authorises(None));
        assert!(Access::default().authorises(None));
        assert!(!format!("{access:?}").contains("s3cret"));
    }
}
