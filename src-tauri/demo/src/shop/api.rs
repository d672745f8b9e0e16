//! What Corner Shop 2 takes from programs: customers, items, and orders with their lines, each as JSON.
//!
//! It holds what comes in to the shop's own rules, which its tables do not know: an e-mail address has an @, a price is not
//! negative, an order gets a number and reserves what was ordered. Where the shop has a key (`SHOP_API_KEY`), a request
//! says it as a bearer token.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::pages::Shop;
use crate::server::decoded;

/// What is sent back is made by the database itself, so that no number is rounded on its way.
const CUSTOMER: &str = "json_build_object('id', id, 'email', email, 'name', name)::text";
const ITEM: &str = "json_build_object('sku', sku, 'name', name, 'price', price, 'reserved', reserved)::text";
const ORDER: &str = "json_build_object('id', id, 'number', number, 'customer', customer, 'client_key', client_key, \
    'lines', lines, 'placed_at', to_char(placed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))::text";

pub(super) fn routes(shop: &Arc<Shop>) -> Router<Arc<Shop>> {
    Router::new()
        .route("/api/v2/customers", post(new_customer).get(find_customer))
        .route("/api/v2/customers/check", post(check_customer))
        .route("/api/v2/customers/{id}", get(customer).patch(change_customer).delete(remove_customer))
        .route("/api/v2/items", post(new_item))
        .route("/api/v2/items/{sku}", get(item).patch(change_item).delete(remove_item))
        .route("/api/v2/orders", post(new_order).get(find_order))
        .route("/api/v2/orders/{id}", get(order).delete(remove_order))
        .route_layer(middleware::from_fn_with_state(Arc::clone(shop), with_key))
}

async fn with_key(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    let said = request.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    match shop.settings().value("SHOP_API_KEY") {
        Some(key) if said != Some(&format!("Bearer {key}")) => no(StatusCode::UNAUTHORIZED, "who is there?"),
        _ => next.run(request).await,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Customer {
    email: Option<String>,
    name: Option<String>,
}

impl Customer {
    fn fault(&self) -> Option<&'static str> {
        let has_at =
            |it: &String| it.split_once('@').is_some_and(|(one, other)| !one.is_empty() && other.contains('.'));
        (!self.email.as_ref().is_none_or(has_at)).then_some("email: this is no e-mail address")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    sku: Option<String>,
    name: Option<String>,
    price: Option<Box<RawValue>>,
}

impl Item {
    fn price(&self) -> Option<String> {
        self.price.as_ref().map(|it| it.get().trim_matches('"').to_owned())
    }
    fn fault(&self) -> Option<&'static str> {
        self.price().is_some_and(|it| it.starts_with('-')).then_some("price: it must not be negative")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    customer: String,
    client_key: String,
    #[serde(default)]
    placed_at: Option<String>,
    lines: Box<RawValue>,
}

/// What is asked for by `name`.
fn asked(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').filter_map(|it| it.split_once('='));
    pairs.find(|(it, _)| *it == name).map(|(_, value)| decoded(value))
}

async fn new_customer(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    let it: Customer = match read(&body) {
        Ok(it) => it,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    if let Some(fault) = it.fault() {
        return no(StatusCode::UNPROCESSABLE_ENTITY, fault);
    }
    let sql = format!("INSERT INTO customers (email, name) VALUES ($1, $2) RETURNING {CUSTOMER}");
    one(&shop, &sql, &[&it.email, &it.name], StatusCode::CREATED).await
}

async fn check_customer(body: Bytes) -> Response {
    let it: Customer = match read(&body) {
        Ok(it) => it,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    match it.fault() {
        Some(fault) => no(StatusCode::UNPROCESSABLE_ENTITY, fault),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn find_customer(State(shop): State<Arc<Shop>>, uri: Uri) -> Response {
    some(&shop, &format!("SELECT {CUSTOMER} FROM customers WHERE email = $1"), &[&asked(&uri, "email")]).await
}

async fn customer(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Response {
    one(&shop, &format!("SELECT {CUSTOMER} FROM customers WHERE id::text = $1"), &[&id], StatusCode::OK).await
}

async fn change_customer(State(shop): State<Arc<Shop>>, Path(id): Path<String>, body: Bytes) -> Response {
    let it: Customer = match read(&body) {
        Ok(it) => it,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    if let Some(fault) = it.fault() {
        return no(StatusCode::UNPROCESSABLE_ENTITY, fault);
    }
    let sql = format!(
        "UPDATE customers SET email = coalesce($2, email), name = coalesce($3, name) WHERE id::text = $1 RETURNING {CUSTOMER}"
    );
    one(&shop, &sql, &[&id, &it.email, &it.name], StatusCode::OK).await
}

async fn remove_customer(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Response {
    one(&shop, &format!("DELETE FROM customers WHERE id::text = $1 RETURNING {CUSTOMER}"), &[&id], StatusCode::OK).await
}

async fn new_item(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    let it: Item = match read(&body) {
        Ok(it) => it,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    if let Some(fault) = it.fault() {
        return no(StatusCode::UNPROCESSABLE_ENTITY, fault);
    }
    let sql = format!("INSERT INTO items (sku, name, price) VALUES ($1, $2, $3::text::numeric) RETURNING {ITEM}");
    one(&shop, &sql, &[&it.sku, &it.name, &it.price()], StatusCode::CREATED).await
}

async fn item(State(shop): State<Arc<Shop>>, Path(sku): Path<String>) -> Response {
    one(&shop, &format!("SELECT {ITEM} FROM items WHERE sku = $1"), &[&sku], StatusCode::OK).await
}

async fn change_item(State(shop): State<Arc<Shop>>, Path(sku): Path<String>, body: Bytes) -> Response {
    let it: Item = match read(&body) {
        Ok(it) => it,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    if let Some(fault) = it.fault() {
        return no(StatusCode::UNPROCESSABLE_ENTITY, fault);
    }
    let sql = format!(
        "UPDATE items SET name = coalesce($2, name), price = coalesce($3::text::numeric, price) WHERE sku = $1 RETURNING {ITEM}"
    );
    one(&shop, &sql, &[&sku, &it.name, &it.price()], StatusCode::OK).await
}

async fn remove_item(State(shop): State<Arc<Shop>>, Path(sku): Path<String>) -> Response {
    let ordered = "SELECT sku FROM items WHERE sku = $1 AND reserved > 0";
    match ask(&shop, ordered, &[&sku]).await {
        Ok(found) if !found.is_empty() => return no(StatusCode::CONFLICT, "it was ordered"),
        Ok(_) => {}
        Err(refused) => return refused,
    }
    one(&shop, &format!("DELETE FROM items WHERE sku = $1 RETURNING {ITEM}"), &[&sku], StatusCode::OK).await
}

/// An order, with what was ordered reserved in the same statement: all of it, or none.
async fn new_order(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    let it: Order = match read(&body) {
        Ok(it) => it,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    let unknown = "SELECT coalesce(l->>'item_id', 'nothing') FROM json_array_elements($1::text::json) l \
         WHERE NOT EXISTS (SELECT FROM items i WHERE i.sku = l->>'item_id') OR (l->>'quantity')::bigint < 1 LIMIT 1";
    let lines = it.lines.get();
    match ask(&shop, unknown, &[&lines]).await {
        Ok(found) => {
            if let Some(sku) = found.first() {
                return no(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    &format!("lines: {sku} is no item, or none of it is ordered"),
                );
            }
        }
        Err(refused) => return refused,
    }
    let sql = format!(
        "WITH reserved AS (UPDATE items i SET reserved = i.reserved + l.ordered FROM (SELECT l->>'item_id' AS sku, \
         sum((l->>'quantity')::bigint) AS ordered FROM json_array_elements($4::text::json) l GROUP BY 1) l WHERE i.sku = l.sku) \
         INSERT INTO orders (customer, client_key, placed_at, lines) VALUES ($1::text::uuid, $2, \
         coalesce($3::text::timestamptz, now()), $4::text::jsonb) RETURNING {ORDER}"
    );
    one(&shop, &sql, &[&it.customer, &it.client_key, &it.placed_at, &lines], StatusCode::CREATED).await
}

async fn find_order(State(shop): State<Arc<Shop>>, uri: Uri) -> Response {
    some(&shop, &format!("SELECT {ORDER} FROM orders WHERE client_key = $1"), &[&asked(&uri, "client_key")]).await
}

async fn order(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Response {
    one(&shop, &format!("SELECT {ORDER} FROM orders WHERE id::text = $1"), &[&id], StatusCode::OK).await
}

/// What was ordered is free again.
async fn remove_order(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Response {
    let sql = format!(
        "WITH gone AS (DELETE FROM orders WHERE id::text = $1 RETURNING *), \
         free AS (UPDATE items i SET reserved = i.reserved - l.ordered FROM (SELECT l->>'item_id' AS sku, \
         sum((l->>'quantity')::bigint) AS ordered FROM gone, jsonb_array_elements(gone.lines) l GROUP BY 1) l WHERE i.sku = l.sku) \
         SELECT {ORDER} FROM gone"
    );
    one(&shop, &sql, &[&id], StatusCode::OK).await
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

async fn ask(shop: &Shop, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<String>, Response> {
    let client = shop.pool().lend().await;
    let client = client.map_err(|error| no(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")))?;
    let rows = client.query(sql, parameters).await.map_err(|error| refused(&error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn one(shop: &Shop, sql: &str, parameters: &[&(dyn ToSql + Sync)], code: StatusCode) -> Response {
    match ask(shop, sql, parameters).await {
        Err(refused) => refused,
        Ok(found) => match found.into_iter().next() {
            Some(text) => (code, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
            None => no(StatusCode::NOT_FOUND, "there is no such thing"),
        },
    }
}

async fn some(shop: &Shop, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Response {
    match ask(shop, sql, parameters).await {
        Err(refused) => refused,
        Ok(found) => {
            let text = format!("{{\"found\":[{}]}}", found.join(","));
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
    }
}

fn refused(error: &tokio_postgres::Error) -> Response {
    let Some(said) = error.as_db_error() else { return no(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()) };
    let detail = said.detail().map(|it| format!(": {it}")).unwrap_or_default();
    let words = format!("{}{detail}", said.message());
    match said.code() {
        code if *code == SqlState::UNIQUE_VIOLATION || *code == SqlState::FOREIGN_KEY_VIOLATION => {
            no(StatusCode::CONFLICT, &words)
        }
        // What the data is to blame for.
        code if code.code().starts_with("22") || code.code().starts_with("23") => {
            no(StatusCode::UNPROCESSABLE_ENTITY, &words)
        }
        _ => no(StatusCode::SERVICE_UNAVAILABLE, &words),
    }
}

fn no(code: StatusCode, why: &str) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], json!({ "error": why }).to_string()).into_response()
}
