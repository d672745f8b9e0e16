//! One request on one connection, never repeated: what happened to it is known, or known to be unknown.

use std::time::Duration;

use anyhow::{Result, anyhow};
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How a request ended.
#[derive(Debug)]
pub enum Ended {
    /// Whole answer: status and body.
    Answered(u16, Bytes),
    /// Nobody listened; the request was not sent.
    NotSent(anyhow::Error),
    /// It was sent, at least in part, and no whole answer came.
    Unknown(anyhow::Error),
}

/// Sends one request to a port of 127.0.0.1.
pub async fn send(port: u16, method: Method, path: &str, body: Bytes, within: Duration) -> Ended {
    let connected = tokio::time::timeout(within, TcpStream::connect(("127.0.0.1", port))).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ended::NotSent(error.into()),
        Err(_) => return Ended::NotSent(anyhow!("no connection within {within:?}")),
    };
    match tokio::time::timeout(within, exchange(stream, method, path, body)).await {
        Ok(Ok((status, body))) => Ended::Answered(status, body),
        Ok(Err(error)) => Ended::Unknown(error),
        Err(_) => Ended::Unknown(anyhow!("no answer within {within:?}")),
    }
}

async fn exchange(stream: TcpStream, method: Method, path: &str, body: Bytes) -> Result<(u16, Bytes)> {
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1")
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    driving.abort();
    Ok((status, body))
}
