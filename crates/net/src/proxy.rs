//! The PROXY protocol (haproxy's `proxy-protocol.txt`), versions 1 and 2: what a proxy in front of
//! us says of the connection that it passes on. Only the receiving side, over TCP.
//!
//! The header is the first thing on the connection, whole or not at all; behind it stands the
//! client's own traffic. Nothing here guesses: what is no header is an error, and whoever connects
//! without one where one is due is not served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// §2.1: "107 chars" is the longest line of version 1, its CRLF included.
const V1_OCTETS_MAX: usize = 107;
/// §2.2: the begin of every header of version 2.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED_OCTETS: usize = 16;
/// Octets of a whole header of version 2: addresses, and room for every TLV that is known, a
/// client's certificate aside.
pub const PROXY_OCTETS_MAX: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The connection is the proxy's own, for example to see whether we live, or it does not know
    /// whose it is: the addresses of the connection itself count.
    Own,
    /// The connection of a client.
    Client {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyRead {
    /// All octets so far belong to it, and more are to come.
    Partial,
    /// It is whole.
    Whole {
        /// Octets it takes; what is behind them is the client's.
        octets: usize,
        /// What it says.
        header: ProxyHeader,
    },
}

/// Why octets are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Something else.
    #[error("the connection does not begin with a PROXY header")]
    None,
    /// A line of version 1 that is not as it must be.
    #[error("a PROXY line (version 1) is malformed")]
    Line,
    /// A header of version 2 that is not as it must be.
    #[error("a PROXY header (version 2) is malformed")]
    Binary,
    /// Longer than [`PROXY_OCTETS_MAX`].
    #[error("a PROXY header has {0} octets, more than {PROXY_OCTETS_MAX}")]
    TooLong(usize),
    /// A version that is not known.
    #[error("a PROXY header has an unknown version or command ({0:#04x})")]
    Version(u8),
}

/// Reads a header at the begin of `octets`.
///
/// # Errors
/// Where the octets cannot be the begin of one.
pub fn read_proxy(octets: &[u8]) -> Result<ProxyRead, ProxyError> {
    const V1_BEGIN: &[u8] = b"PROXY ";
    let begins = |with: &[u8]| {
        let common = octets.len().min(with.len());
        octets[..common] == with[..common]
    };
    if begins(V1_BEGIN) {
        read_line(octets)
    } else if begins(V2_SIGNATURE) {
        read_binary(octets)
    } else {
        Err(ProxyError::None)
    }
}

/// §2.1: `PROXY` SP (`TCP4` / `TCP6`) SP source SP destination SP port SP port CRLF, or
/// `PROXY UNKNOWN` with anything behind it.
fn read_line(octets: &[u8]) -> Result<ProxyRead, ProxyError> {
    let line = &octets[..octets.len().min(V1_OCTETS_MAX)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if line.len() < V1_OCTETS_MAX {
            Ok(ProxyRead::Partial)
        } else {
            Err(ProxyError::Line)
        };
    };
    let text = line[..end].strip_suffix(b"\r").ok_or(ProxyError::Line)?;
    let text = std::str::from_utf8(text).map_err(|_| ProxyError::Line)?;
    let words: Vec<&str> = text.split(' ').collect();
    let header = match words[..] {
        ["PROXY", "UNKNOWN", ..] => ProxyHeader::Own,
        [
            "PROXY",
            family @ ("TCP4" | "TCP6"),
            source,
            destination,
            source_port,
            destination_port,
        ] => {
            let end = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().map_err(|_| ProxyError::Line)?;
                // §2.1: no sign, no leading zero.
                let plain = port.bytes().all(|b| b.is_ascii_digit())
                    && (port == "0" || !port.starts_with('0'));
                let port = port.parse().ok().filter(|_| plain).ok_or(ProxyError::Line)?;
                let fits = ip.is_ipv4() == (family == "TCP4");
                fits.then(|| SocketAddr::new(ip, port)).ok_or(ProxyError::Line)
            };
            ProxyHeader::Client {
                source: end(source, source_port)?,
                destination: end(destination, destination_port)?,
            }
        }
        _ => return Err(ProxyError::Line),
    };
    Ok(ProxyRead::Whole { octets: end + 1, header })
}

/// §2.2: signature, version and command, family and protocol, length, addresses, TLVs (which say
/// nothing that counts here and are passed over).
fn read_binary(octets: &[u8]) -> Result<ProxyRead, ProxyError> {
    let Some(&[version, family, high, low]) = octets
        .get(V2_SIGNATURE.len()..V2_FIXED_OCTETS)
        .and_then(|fixed| <&[u8; 4]>::try_from(fixed).ok())
    else {
        return Ok(ProxyRead::Partial);
    };
    let length = V2_FIXED_OCTETS + usize::from(u16::from_be_bytes([high, low]));
    if length > PROXY_OCTETS_MAX {
        return Err(ProxyError::TooLong(length));
    }
    let is_own = match version {
        0x20 => true,
        0x21 => false,
        other => return Err(ProxyError::Version(other)),
    };
    let Some(block) = octets.get(V2_FIXED_OCTETS..length) else { return Ok(ProxyRead::Partial) };
    let header = match family {
        // §2.2: LOCAL, and a family that is not told: what follows is passed over.
        _ if is_own => ProxyHeader::Own,
        0x11 => ends_v4(block).ok_or(ProxyError::Binary)?,
        0x21 => ends_v6(block).ok_or(ProxyError::Binary)?,
        // UNSPEC, and Unix sockets: the client is on the proxy's own machine.
        0x00 | 0x31 => ProxyHeader::Own,
        _ => return Err(ProxyError::Binary),
    };
    Ok(ProxyRead::Whole { octets: length, header })
}

fn ends_v4(block: &[u8]) -> Option<ProxyHeader> {
    let (source, rest) = block.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    client(Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), rest)
}

fn ends_v6(block: &[u8]) -> Option<ProxyHeader> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    client(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), rest)
}

fn client(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Option<ProxyHeader> {
    let (source_port, rest) = ports.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    Some(ProxyHeader::Client {
        source: SocketAddr::new(source, u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(destination, u16::from_be_bytes(*destination_port)),
    })
}
