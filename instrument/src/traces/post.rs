//! HTTP by hand over the standard library's sockets, for spans: no runtime, no second HTTP stack, every wait bounded.

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(5);
/// More of an answer than this is not read.
const BODY_MAX: u64 = 64 << 10;

/// A client with one kept connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Post {
    kept: Arc<Mutex<Option<Connection>>>,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::Tls>,
    /// Status of the last answer; 0 when there was none.
    pub(crate) status: Arc<AtomicU16>,
}

type Connection = BufReader<Stream>;

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

impl HttpClient for Post {
    // The trait's async method, written out: it spares a procedural macro.
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move { self.send(&request) })
    }
}

impl Post {
    /// One that can speak to `https://` too.
    #[cfg(feature = "tls")]
    pub(crate) fn with(tls: super::tls::Tls) -> Self {
        Post { tls: Some(tls), ..Post::default() }
    }

    fn open(&self, request: &Request<Bytes>) -> Result<Connection, HttpError> {
        let secure = request.uri().scheme_str() == Some("https");
        let stream = connect(request, if secure { 443 } else { 80 })?;
        #[cfg(feature = "tls")]
        if secure {
            let tls = self.tls.as_ref().ok_or("no TLS was set up")?;
            let host = request.uri().host().unwrap_or_default();
            let stream = tls.wrap(host.trim_start_matches('[').trim_end_matches(']'), stream)?;
            return Ok(BufReader::new(Stream::Tls(Box::new(stream))));
        }
        if secure {
            return Err("https:// needs the feature `tls`".into());
        }
        Ok(BufReader::new(Stream::Plain(stream)))
    }

    pub(crate) fn send(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.status.store(0, Ordering::Relaxed);
        // A kept connection may have been closed by the other side meanwhile: one more try on a new one.
        let kept = self.kept.lock().take();
        let answer = match kept.map(|c| exchange(c, request)) {
            Some(Ok(answer)) => answer,
            _ => exchange(self.open(request)?, request)?,
        };
        self.status.store(answer.status, Ordering::Relaxed);
        *self.kept.lock() = answer.connection;
        let mut response = Response::builder().status(answer.status);
        if let Some(after) = answer.retry_after {
            response = response.header(http::header::RETRY_AFTER, after);
        }
        Ok(response.body(answer.body)?)
    }
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Bytes,
    connection: Option<Connection>,
}

fn connect(request: &Request<Bytes>, port: u16) -> Result<TcpStream, HttpError> {
    let host = request.uri().host().ok_or("the endpoint has no host")?;
    let port = request.uri().port_u16().unwrap_or(port);
    let mut last: HttpError = "the endpoint's name has no address".into();
    for address in (host.trim_start_matches('[').trim_end_matches(']'), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn exchange(mut connection: Connection, request: &Request<Bytes>) -> Result<Answer, HttpError> {
    let mut head = Vec::with_capacity(512);
    let authority = request.uri().authority().map_or("", |a| a.as_str());
    write!(head, "{} {} HTTP/1.1\r\nhost: {authority}\r\n", request.method(), request.uri().path())?;
    for (name, value) in request.headers() {
        if name != http::header::HOST && name != http::header::CONTENT_LENGTH {
            write!(head, "{name}: ")?;
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }
    write!(head, "content-length: {}\r\n\r\n", request.body().len())?;
    let stream = connection.get_mut();
    stream.write_all(&head)?;
    stream.write_all(request.body())?;
    stream.flush()?;
    read_answer(connection)
}

fn read_answer(mut connection: Connection) -> Result<Answer, HttpError> {
    let mut line = String::new();
    let next = |connection: &mut Connection, line: &mut String| -> Result<(), HttpError> {
        line.clear();
        if connection.by_ref().take(8 << 10).read_line(line)? == 0 {
            return Err("the collector closed the connection without an answer".into());
        }
        Ok(())
    };
    next(&mut connection, &mut line)?;
    let status: u16 =
        line.split(' ').nth(1).and_then(|s| s.trim().parse().ok()).ok_or("not an HTTP answer")?;
    let (mut length, mut keep, mut retry_after) = (None, line.starts_with("HTTP/1.1"), None);
    for _ in 0..100 {
        next(&mut connection, &mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse::<u64>().ok(),
            "connection" if value.eq_ignore_ascii_case("close") => keep = false,
            "retry-after" => retry_after = Some(value.to_owned()),
            _ => {}
        }
    }
    // Without a length (chunks, or up to the end) the body is not needed and the connection is not kept.
    let wanted = length.unwrap_or(0).min(BODY_MAX);
    let mut body = Vec::new();
    connection.by_ref().take(wanted).read_to_end(&mut body)?;
    let whole = length == Some(body.len() as u64);
    Ok(Answer { status, retry_after, body: body.into(), connection: (keep && whole).then_some(connection) })
}
