//! RTSP requests and responses (RFC 2326 sections 6 and 7), no more of them than
//! clients of a camera use.

use bytes::{Buf as _, BytesMut};

/// Head of a request.
const HEAD_MAX: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The URI without scheme and host.
    pub(crate) fn path(&self) -> &str {
        let rest = self.uri.split_once("://").map_or(&*self.uri, |(_, rest)| rest);
        rest.find('/').map_or("", |at| rest[at..].trim_matches('/'))
    }
}

/// Takes the next request off, skipping the client's RTCP between them. `None`
/// if there is no whole one yet.
pub(crate) fn take_request(buffer: &mut BytesMut) -> Result<Option<Request>, Malformed> {
    while buffer.first() == Some(&b'$') {
        let Some(&[_, _, high, low]) = buffer.first_chunk() else { return Ok(None) };
        let length = 4 + usize::from(u16::from_be_bytes([high, low]));
        if buffer.len() < length {
            return Ok(None);
        }
        buffer.advance(length);
    }
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if buffer.len() > HEAD_MAX { Err(Malformed) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&buffer[..end]).map_err(|_| Malformed)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, uri) = (words.next().ok_or(Malformed)?, words.next().ok_or(Malformed)?);
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let request = Request { method: method.into(), uri: uri.into(), headers };
    let body: usize = request.header("content-length").map_or(Ok(0), str::parse).map_err(|_| Malformed)?;
    if body > HEAD_MAX {
        return Err(Malformed);
    }
    if buffer.len() < end + 4 + body {
        return Ok(None);
    }
    buffer.advance(end + 4 + body);
    Ok(Some(request))
}

pub(crate) fn response(request: &Request, status: u16, headers: &[String], body: &str) -> String {
    let reason = match status {
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        454 => "Session Not Found",
        461 => "Unsupported Transport",
        _ => "Service Unavailable",
    };
    let sequence = request.header("cseq").unwrap_or("0");
    let mut out = format!("RTSP/1.0 {status} {reason}\r\nCSeq: {sequence}\r\nServer: camera-sim\r\n");
    for header in headers {
        out += header;
        out += "\r\n";
    }
    if !body.is_empty() {
        out += &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", body.len());
    }
    out + "\r\n" + body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_one_by_one_and_rtcp_is_skipped() {
        let mut buffer = BytesMut::from(
            &b"$\x01\x00\x02abOPTIONS rtsp://h:1/main/ RTSP/1.0\r\nCSeq: 1\r\n\r\nPLAY x RTSP/1.0\r\nContent-Length: 2\r\n\r\nx"[..],
        );
        let request = take_request(&mut buffer).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path()), ("OPTIONS", "main"));
        assert_eq!(request.header("cseq"), Some("1"));
        assert_eq!(take_request(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"y");
        assert_eq!(take_request(&mut buffer).unwrap().unwrap().method, "PLAY");
        assert!(buffer.is_empty());
        buffer.extend_from_slice(&vec![b'a'; HEAD_MAX + 1]);
        assert_eq!(take_request(&mut buffer), Err(Malformed));
    }
}
