//! A window of Tauri with one sentence in it: the peer that the figures of Liftlock's window are measured beside.

use std::process::ExitCode;

use tauri::http::Response;
use tauri::{WebviewUrl, WebviewWindowBuilder};

const PAGE: &[u8] = b"<!doctype html><title>Empty</title><p>Nothing here.</p>";

fn main() -> ExitCode {
    let built = tauri::Builder::default()
        .register_uri_scheme_protocol("empty", |_, _| {
            let page = Response::builder().header("content-type", "text/html").body(PAGE);
            page.unwrap_or_else(|_| Response::new(PAGE))
        })
        .setup(|app| {
            let page = WebviewUrl::CustomProtocol("empty://localhost/".parse()?);
            // Whoever looks for the window looks for this title.
            WebviewWindowBuilder::new(app, "main", page).title("Liftlock").inner_size(960.0, 640.0).build()?;
            Ok(())
        })
        .run(tauri::generate_context!());
    if built.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
