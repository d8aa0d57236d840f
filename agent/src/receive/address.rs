//! Where a receiver listens: its own default, an address that was asked for, or nowhere.
//!
//! The difference matters when the port is taken: losing a default is a warning, losing what was asked for is an error.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A listening address of a receiver. In a configuration: `127.0.0.1:5000`, `[::]:5000` or `off`.
#[derive(Debug, Clone, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String")]
pub enum Address {
    /// Nobody asked: the receiver's own port on loopback.
    Default(SocketAddr),
    /// The configuration names it.
    Asked(SocketAddr),
    /// The receiver is switched off.
    Off,
}

impl Address {
    /// The default of a receiver: `port` on IPv4 loopback.
    pub const fn loopback(port: u16) -> Self {
        Address::Default(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
    }

    /// The address to bind, unless switched off.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Address::Default(address) | Address::Asked(address) => Some(*address),
            Address::Off => None,
        }
    }

    /// Decides about a failed bind: `Ok` says to go on without the receiver (after a warning), `Err` to stop.
    pub fn tolerate(&self, setting: &'static str, error: std::io::Error) -> Result<(), BindError> {
        let address = match self {
            Address::Default(address) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tracing::warn!(%address, setting, "default port is taken, going on without it; set another address or off");
                return Ok(());
            }
            Address::Default(address) | Address::Asked(address) => *address,
            Address::Off => return Ok(()),
        };
        Err(BindError { setting, address, source: error })
    }
}

/// A receiver could not take its address.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on {address}: {source}")]
pub struct BindError {
    /// The key of the configuration.
    pub setting: &'static str,
    /// What was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket() {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let text = String::deserialize(de)?;
        match text.trim() {
            "off" | "none" | "" => Ok(Address::Off),
            address => {
                let full = if let Some(port) = address.strip_prefix(':') {
                    format!("0.0.0.0:{port}")
                } else if let Some(port) = address.strip_prefix("localhost:") {
                    format!("127.0.0.1:{port}")
                } else {
                    address.to_owned()
                };
                full.parse().map(Address::Asked).map_err(|_| {
                    de::Error::custom(format!(
                        "'{text}' is not an address: write 127.0.0.1:5000, [::1]:5000, :5000 for all, or off"
                    ))
                })
            }
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use std::io;

    #[test]
    fn reads_addresses_as_people_write_them() {
        for (text, shown) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            (":5000", "0.0.0.0:5000"),
            ("localhost:1", "127.0.0.1:1"),
            ("[::1]:9", "[::1]:9"),
            ("off", "off"),
        ] {
            let address: Address = serde_json::from_value(text.into()).unwrap();
            assert_eq!(address.to_string(), shown);
        }
        let error = serde_json::from_value::<Address>("kittens".into()).unwrap_err().to_string();
        assert!(error.contains("'kittens' is not an address"), "{error}");
    }

    #[test]
    fn only_a_default_may_be_taken() {
        let taken = || io::Error::from(io::ErrorKind::AddrInUse);
        assert!(Address::loopback(9411).tolerate("spans.zipkin.listen", taken()).is_ok());
        let asked: Address = serde_json::from_value("127.0.0.1:9411".into()).unwrap();
        let error = asked.tolerate("spans.zipkin.listen", taken()).unwrap_err().to_string();
        assert!(error.starts_with("spans.zipkin.listen: cannot listen on 127.0.0.1:9411"), "{error}");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(Address::loopback(1).tolerate("logs.tcp.listen", denied).is_err());
    }
}
