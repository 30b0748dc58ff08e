use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::{ClientTls, Trust};

/// TLS over a connection of a command of its own, which may block: import from another server. The
/// chain and the name are verified against the public roots, unless `insecure`.
///
/// # Errors
/// The handshake's, the certificate's among them.
pub fn blocking_tls(
    host: &str,
    stream: TcpStream,
    insecure: bool,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let config = if insecure {
        ClientTls::new(&Trust::public()).map_err(io::Error::other)?.config()
    } else {
        Arc::new(Trust::public().verifying_config().map_err(io::Error::other)?)
    };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}
