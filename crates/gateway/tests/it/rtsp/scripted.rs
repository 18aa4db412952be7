//! A camera whose answers a test writes out.

use std::net::SocketAddr;
use std::sync::Arc;

use model::CameraAccess;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What to write after a request, and whether to hang up then.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) hang_up: bool,
}

/// Answers every request of every connection until the test ends.
pub(super) async fn camera(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> CameraAccess {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            // A client that leaves is no failure of the test.
            tokio::spawn(async move { drop(serve(client, &*answer).await) });
        }
    });
    access(addr)
}

pub(super) fn access(addr: SocketAddr) -> CameraAccess {
    CameraAccess {
        url: format!("rtsp://{addr}/main").parse().unwrap(),
        sub_url: None,
        username: None,
        password: None,
        certificate: None,
        onvif_url: None,
    }
}

async fn serve(mut client: TcpStream, answer: &(impl Fn(&str) -> Answer + Sync)) -> std::io::Result<()> {
    let mut head = Vec::new();
    loop {
        head.push(client.read_u8().await?);
        if head.ends_with(b"\r\n\r\n") {
            let Answer { bytes, hang_up } = answer(&String::from_utf8_lossy(&head));
            client.write_all(&bytes).await?;
            if hang_up {
                return client.shutdown().await;
            }
            head.clear();
        }
    }
}

/// A response to this request, as the RFC wants it.
pub(super) fn response(request: &str, status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let sequence = request.lines().find(|line| line.starts_with("CSeq:")).unwrap_or("CSeq: 0");
    let length = body.len();
    let head = format!("RTSP/1.0 {status}\r\n{sequence}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// One H.264 stream, described well, up to what follows the answer to PLAY.
pub(super) fn playing(request: &str, sdp: &[u8], packets: &[u8]) -> Answer {
    let method = request.split(' ').next().unwrap_or_default();
    let mut hang_up = false;
    let bytes = match method {
        "DESCRIBE" => response(request, "200 OK", "Content-Type: application/sdp\r\n", sdp),
        "SETUP" => {
            let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n";
            response(request, "200 OK", transport, b"")
        }
        "PLAY" => {
            hang_up = true;
            [&response(request, "200 OK", "Session: 1\r\n", b"")[..], packets].concat()
        }
        _ => response(request, "200 OK", "", b""),
    };
    Answer { bytes, hang_up }
}

pub(super) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=camera\r\nt=0 0\r\na=control:*\r\n\
     m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
     a=fmtp:96 packetization-mode=1;profile-level-id=42c01e;sprop-parameter-sets=Z0LAHtkAoD2h,aM4xsg==\r\n\
     a=control:video\r\n";
