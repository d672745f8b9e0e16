//! Taking connections and giving each its one answer.

use std::{
    convert::Infallible,
    net::TcpListener as StdListener,
    sync::{Mutex, PoisonError, mpsc},
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time,
};

use super::{PageText, answer};

/// So many clients at once; further ones wait for one of them to be done.
const MOST_CLIENTS: usize = 256;
/// What a client may take to say what it wants, and to hear the answer.
const SLOWEST_REQUEST: Duration = Duration::from_secs(5);
const SLOWEST_CLIENT: Duration = Duration::from_secs(15);
/// What clients that are connected get when the page goes down, to hear their answer to the end.
const FAREWELL: Duration = Duration::from_millis(500);
/// What is read of what a client sends, so that it listens to the answer.
const MOST_SENT: usize = 1024 * 1024;

pub(super) async fn serve(
    listener: StdListener,
    text: &Mutex<PageText>,
    mut ended: oneshot::Receiver<()>,
    say_down: &mpsc::Sender<()>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut clients = JoinSet::new();
    loop {
        let is_full = clients.len() >= MOST_CLIENTS;
        tokio::select! {
            biased;
            _ = &mut ended => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            accepted = listener.accept(), if !is_full => match accepted {
                Ok((stream, _)) => {
                    let text = text.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    clients.spawn(time::timeout(SLOWEST_CLIENT, attend(stream, text)));
                }
                // Too many open files, or a client that left in the queue: neither is a reason to go down.
                Err(_) => time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
    drop(listener);
    // Nobody may be waiting to hear it any longer.
    let _ = say_down.send(());
    let _ = time::timeout(FAREWELL, async { while clients.join_next().await.is_some() {} }).await;
}

/// One connection, one answer. What breaks on the way is the client's affair.
async fn attend(stream: TcpStream, text: PageText) {
    let service = service_fn(|request: Request<Incoming>| {
        let text = text.clone();
        async move {
            let (head, body) = request.into_parts();
            let _ = time::timeout(SLOWEST_REQUEST, Limited::new(body, MOST_SENT).collect()).await;
            Ok::<_, Infallible>(answer::answer(&head, &text))
        }
    });
    // Without keep-alive a client asks anew the next time, and then hears the application.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
