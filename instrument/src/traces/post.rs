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
    kept: Arc<Mutex<Option<BufReader<TcpStream>>>>,
    /// Status of the last answer; 0 when there was none.
    pub(crate) status: Arc<AtomicU16>,
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
    fn send(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.status.store(0, Ordering::Relaxed);
        // A kept connection may have been closed by the other side meanwhile: one more try on a new one.
        let kept = self.kept.lock().take();
        let answer = match kept.map(|c| exchange(c, request)) {
            Some(Ok(answer)) => answer,
            _ => exchange(open(request)?, request)?,
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
    connection: Option<BufReader<TcpStream>>,
}

fn open(request: &Request<Bytes>) -> Result<BufReader<TcpStream>, HttpError> {
    let host = request.uri().host().ok_or("the endpoint has no host")?;
    let port = request.uri().port_u16().unwrap_or(80);
    let mut last: HttpError = "the endpoint's name has no address".into();
    for address in (host.trim_start_matches('[').trim_end_matches(']'), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                stream.set_nodelay(true)?;
                return Ok(BufReader::new(stream));
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn exchange(mut connection: BufReader<TcpStream>, request: &Request<Bytes>) -> Result<Answer, HttpError> {
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
    read_answer(connection)
}

fn read_answer(mut connection: BufReader<TcpStream>) -> Result<Answer, HttpError> {
    let mut line = String::new();
    let next = |connection: &mut BufReader<TcpStream>, line: &mut String| -> Result<(), HttpError> {
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
