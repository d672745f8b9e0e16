//! The shop's HTTP face.
//!
//! `/health` is up only when the database answers and has exactly this release's schema: an old shop
//! on a new database, or the other way round, is not healthy.

use std::{future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::SimpleQueryMessage;

use super::api;
use super::migrations;
use super::orders::{self, Taken, Trouble};
use super::pool::{Pool, explain};
use super::settings::Settings;
use super::uploads;

/// Requests that are not finished by then are cut off.
const GRACE: Duration = Duration::from_millis(900);

#[derive(Debug)]
pub(super) struct Shop {
    settings: Settings,
    pool: Pool,
    /// Connections of its own for the question of health, so that it never queues behind orders.
    health: Pool,
    schema: Vec<String>,
}

impl Shop {
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// Serves until it is told to stop, then finishes what has begun.
pub(super) async fn serve(settings: Settings) -> Result<()> {
    settings.check_needs()?;
    let bind = settings.value("SHOP_BIND").unwrap_or_else(|| "127.0.0.1".to_owned());
    let port: u16 = settings.required("SHOP_PORT")?.parse().context("SHOP_PORT is not a port")?;
    let address = SocketAddr::new(bind.parse().context("SHOP_BIND is not an address")?, port);
    let shop = Shop {
        pool: Pool::new(settings.database()?),
        health: Pool::new(settings.database()?),
        schema: migrations::expected(&settings)?,
        settings: settings.clone(),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::time::sleep(Duration::from_secs(settings.faults.slow_start_seconds.into())).await;

    let listener = match settings.value("SHOP_SOCKET") {
        Some(number) => crate::socket::given(&number)?,
        None => TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?,
    };
    println!("Corner Shop {} listens on http://{address}", settings.behaviour.version);
    let (stop, stopped) = tokio::sync::watch::channel(());
    let mut begun = stopped.clone();
    let serving = axum::serve(listener, router(shop)).with_graceful_shutdown(async move {
        // Told, or the teller is gone: both mean stop.
        let _ = begun.changed().await;
    });
    let told = async {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if !settings.faults.never_stop {
                break;
            }
            println!("asked to stop, and does not");
        }
        stop.send_replace(());
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = future::IntoFuture::into_future(serving) => ended?,
        () = told => println!("some requests took too long and were cut off"),
    }
    println!("Corner Shop has stopped");
    Ok(())
}

fn router(shop: Shop) -> Router {
    let shop = Arc::new(shop);
    // The first shop takes orders alone.
    let second = if shop.settings.behaviour.second_shop { api::routes(&shop) } else { Router::new() };
    Router::new()
        .route("/", get(front_page))
        .route("/health", get(health))
        .route("/api/v1/system/version", get(version))
        .route("/api/v1/orders", post(place_order))
        .route("/api/v1/orders/count", get(count_orders))
        .route("/api/v1/uploads", get(list_uploads))
        .route("/api/v1/uploads/{name}", post(upload).get(download))
        .merge(second)
        .layer(DefaultBodyLimit::max(8 << 20))
        .with_state(shop)
}

async fn health(State(shop): State<Arc<Shop>>) -> Response {
    let version = shop.settings.reported_version();
    let (status, database, code) = match check(&shop).await {
        Ok(()) if shop.settings.behaviour.never_healthy => {
            ("starting", "ok".to_owned(), StatusCode::SERVICE_UNAVAILABLE)
        }
        Ok(()) => ("ok", "ok".to_owned(), StatusCode::OK),
        Err(error) => ("down", format!("{error:#}"), StatusCode::SERVICE_UNAVAILABLE),
    };
    answer(code, &json!({ "status": status, "database": database, "version": version }))
}

async fn check(shop: &Shop) -> Result<()> {
    let client = shop.health.lend().await?;
    // Asked often: one round trip. Without the table it is an error, which is not healthy either.
    let rows = client.simple_query(migrations::APPLIED).await.map_err(explain)?;
    let applied: Vec<&str> = rows
        .iter()
        .filter_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    ensure!(
        applied == shop.schema,
        "the schema is {}, this release needs {}",
        applied.last().unwrap_or(&"empty"),
        shop.schema.last().map_or("empty", String::as_str)
    );
    Ok(())
}

async fn version(State(shop): State<Arc<Shop>>) -> Response {
    answer(StatusCode::OK, &json!({ "version": shop.settings.reported_version() }))
}

async fn place_order(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    if shop.settings.behaviour.never_healthy {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "the shop is starting");
    }
    let order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return failure(StatusCode::BAD_REQUEST, error),
    };
    match orders::take(&shop.pool, shop.settings.behaviour.second_shop, &order).await {
        Ok(Taken::Stored { id, number }) => answer(StatusCode::CREATED, &json!({ "id": id, "number": number })),
        Ok(Taken::Refused(why)) => failure(StatusCode::BAD_REQUEST, why),
        Err(Trouble::NotStored(error)) => failure(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}")),
        Err(Trouble::Unknown(error)) => failure(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}

async fn count_orders(State(shop): State<Arc<Shop>>) -> Response {
    match count(&shop).await {
        Ok(count) => answer(StatusCode::OK, &json!({ "count": count })),
        Err(error) => failure(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}")),
    }
}

async fn count(shop: &Shop) -> Result<i64> {
    Ok(shop.pool.lend().await?.query_one("SELECT count(*) FROM orders", &[]).await?.get(0))
}

async fn list_uploads(State(shop): State<Arc<Shop>>) -> Response {
    match uploads::list(&shop.settings.uploads()) {
        Ok(names) => answer(StatusCode::OK, &json!({ "count": names.len(), "names": names })),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}

async fn upload(State(shop): State<Arc<Shop>>, Path(name): Path<String>, body: Bytes) -> Response {
    match uploads::store(&shop.settings.uploads(), &name, &body) {
        Ok(()) => answer(StatusCode::CREATED, &json!({ "name": name, "size": body.len() })),
        Err(error) => failure(StatusCode::BAD_REQUEST, format!("{error:#}")),
    }
}

async fn download(State(shop): State<Arc<Shop>>, Path(name): Path<String>) -> Response {
    let content = uploads::path(&shop.settings.uploads(), &name).and_then(|path| Ok(std::fs::read(path)?));
    match content {
        Ok(content) => ([(header::CONTENT_TYPE, "application/octet-stream")], content).into_response(),
        Err(error) => failure(StatusCode::NOT_FOUND, error),
    }
}

async fn front_page(State(shop): State<Arc<Shop>>) -> Response {
    match latest_orders(&shop).await {
        Ok((count, rows)) => Html(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Corner Shop</title></head>\n\
             <body><h1>Corner Shop</h1>\n<p>Version <b id=\"version\">{}</b>, <span id=\"orders\">{count}</span> orders</p>\n\
             <table><tr><th>Order</th><th>Placed</th></tr>\n{rows}</table></body></html>\n",
            escape(shop.settings.reported_version())
        ))
        .into_response(),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Html(format!("<h1>Corner Shop is closed</h1><p>{}</p>\n", escape(&format!("{error:#}")))),
        )
            .into_response(),
    }
}

async fn latest_orders(shop: &Shop) -> Result<(i64, String)> {
    let count = count(shop).await?;
    let rows = shop
        .pool
        .lend()
        .await?
        .query("SELECT id, placed_at::timestamp(0)::text FROM orders ORDER BY id DESC LIMIT 20", &[])
        .await?;
    let row = |row: &tokio_postgres::Row| {
        format!("<tr><td>{}</td><td>{}</td></tr>\n", row.get::<_, i64>(0), escape(row.get(1)))
    };
    Ok((count, rows.iter().map(row).collect()))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn failure(code: StatusCode, why: impl ToString) -> Response {
    answer(code, &json!({ "error": why.to_string() }))
}

fn answer(code: StatusCode, body: &serde_json::Value) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
