//! How long nobody could shop: from the last good answer before to the first good one after.
//!
//! Good answers are the acknowledged orders, and a look at `/health` every few milliseconds.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use axum::body::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(8);
/// Gaps from here on are listed.
const LISTED: Duration = Duration::from_millis(250);

/// The good answers so far, and the gaps between them.
#[derive(Debug)]
pub(super) struct Watch {
    last: Option<Moment>,
    longest: Option<(Moment, Moment)>,
    listed: Vec<(Moment, Moment)>,
    answers: u64,
    ended_away: bool,
}

type Moment = (Instant, DateTime<Utc>);

impl Watch {
    pub(super) fn new() -> Self {
        Self { last: None, longest: None, listed: Vec::new(), answers: 0, ended_away: false }
    }

    /// A good answer has just come.
    pub(super) fn good(&mut self) {
        self.answers += 1;
        self.until_now();
    }

    /// Nobody looks any more. Whatever is missing until now counts.
    pub(super) fn close(&mut self) {
        self.ended_away = self.last.is_none_or(|(last, _)| last.elapsed() >= LISTED);
        self.until_now();
    }

    fn until_now(&mut self) {
        let now = (Instant::now(), Utc::now());
        if let Some(last) = self.last {
            let gap = now.0 - last.0;
            if self.longest.is_none_or(|(from, to)| gap > to.0 - from.0) {
                self.longest = Some((last, now));
            }
            if gap >= LISTED {
                self.listed.push((last, now));
            }
        }
        self.last = Some(now);
    }

    /// Adds `away_seconds` and what belongs to it.
    pub(super) fn describe(&self, answer: &mut Value) {
        let gap =
            |(from, to): &(Moment, Moment)| json!({ "seconds": seconds(to.0 - from.0), "from": from.1, "to": to.1 });
        answer["away_seconds"] = json!(self.longest.map_or(0.0, |(from, to)| seconds(to.0 - from.0)));
        answer["away"] = json!(self.listed.iter().map(gap).collect::<Vec<_>>());
        answer["ended_away"] = json!(self.ended_away);
        answer["good_answers"] = json!(self.answers);
    }
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Looks until it is stopped.
pub(super) async fn poll(port: u16, watch: Rc<RefCell<Watch>>) {
    let mut connection = None;
    loop {
        let looked = tokio::time::timeout(Duration::from_secs(2), look(port, &mut connection)).await;
        match looked {
            Ok(Ok(true)) => watch.borrow_mut().good(),
            Ok(Ok(false)) => {}
            // A new connection next time.
            Ok(Err(_)) | Err(_) => connection = None,
        }
        tokio::time::sleep(EVERY).await;
    }
}

type Sender = http1::SendRequest<Empty<Bytes>>;

async fn look(port: u16, connection: &mut Option<Sender>) -> Result<bool> {
    let mut sender = match connection.take().filter(|it| !it.is_closed()) {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            let (sender, driving) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driving);
            sender
        }
    };
    sender.ready().await?;
    let request = Request::get("/health").header(header::HOST, "127.0.0.1").body(Empty::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    *connection = Some(sender);
    if status != 200 {
        return Ok(false);
    }
    let told: Value = serde_json::from_slice(&body).map_err(|_| anyhow!("not the shop"))?;
    Ok(told["status"] == "ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_the_time_away_also_at_the_end() {
        let mut watch = Watch::new();
        watch.good();
        let now = Instant::now();
        watch.last = now.checked_sub(Duration::from_secs(3)).map(|last| (last, Utc::now()));
        watch.good();
        watch.last = now.checked_sub(Duration::from_secs(5)).map(|last| (last, Utc::now()));
        watch.close();
        let mut answer = json!({});
        watch.describe(&mut answer);
        assert!((answer["away_seconds"].as_f64().unwrap() - 5.0).abs() < 0.5);
        assert_eq!(answer["away"].as_array().unwrap().len(), 2);
        assert_eq!(answer["ended_away"], true);
    }
}
