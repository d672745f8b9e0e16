//! Real sockets, raw requests.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Instant,
};

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn text() -> PageText {
    PageText {
        application: "Tom & Sons <shop>".to_owned(),
        sentence: "The data is being brought to the new version.".to_owned(),
        progress: Some(40),
    }
}

fn raised() -> Page {
    Page::raise(HERE, 0, text(), Duration::from_secs(5)).unwrap()
}

fn ask(page: &Page, request: &str) -> String {
    let mut stream = TcpStream::connect(page.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn can_bind(address: SocketAddr) -> bool {
    // A child that another test starts just now has the socket too, until it becomes its program.
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if TcpListener::bind(address).is_ok() {
            return true;
        }
        thread::yield_now();
    }
    false
}

#[test]
fn people_see_a_page_that_reloads_itself_and_loads_nothing() {
    let page = raised();
    let answer = ask(&page, "GET /orders?x=1 HTTP/1.1\r\nHost: shop\r\nAccept: text/html,*/*;q=0.8\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    for header in
        ["content-type: text/html; charset=utf-8", "retry-after: 10", "cache-control: no-store", "connection: close"]
    {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(body.contains("<h1>Tom &amp; Sons &lt;shop&gt; is being updated</h1>"), "{body}");
    assert!(
        body.contains("http-equiv=\"refresh\"") && body.contains("Your data is safe") && body.contains("40 % done")
    );
    for foreign in ["<script", "http://", "https://", "url(", "src="] {
        assert!(!body.contains(foreign), "{foreign}");
    }
}

#[test]
fn programs_get_json_whatever_they_ask() {
    let page = raised();
    for request in [
        "GET /api/v1/orders HTTP/1.1\r\nHost: shop\r\nAccept: application/json\r\n\r\n",
        "POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
        "DELETE /orders/1 HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let answer = ask(&page, request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 503 "), "{request}: {head}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((json["status"].as_str(), json["progress"].as_u64()), (Some("maintenance"), Some(40)));
    }
}

#[test]
fn a_question_for_the_head_is_answered_without_a_body() {
    let page = raised();
    let answer = ask(&page, "HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n");
    assert!(answer.contains(" 503 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn what_is_told_later_is_shown_later() {
    let page = raised();
    page.update("Nearly there.", Some(250));
    let answer = ask(&page, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    assert!(answer.contains("Nearly there.") && answer.contains("\"progress\":100"), "{answer}");
    page.update("Nobody knows.", None);
    assert!(ask(&page, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n").contains("\"progress\":null"));
}

#[test]
fn the_port_is_free_when_the_page_is_down_whoever_is_still_connected() {
    let page = raised();
    let address = page.address();
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    // Others are served meanwhile.
    assert!(ask(&page, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n").contains(" 503 "));
    let begun = Instant::now();
    page.lower();
    assert!(begun.elapsed() < Duration::from_secs(1), "lowered in {:?}", begun.elapsed());
    assert!(can_bind(address));
    drop(silent);
}

#[test]
fn a_page_for_everybody_answers_on_addresses_of_both_kinds() {
    let pages = Page::raise_everywhere(0, &text(), Duration::from_secs(5)).unwrap();
    let port = pages[0].address().port();
    let has_six = TcpListener::bind(("::1", 0)).is_ok();
    for address in ["127.0.0.1"].into_iter().chain(has_six.then_some("::1")) {
        let mut stream = TcpStream::connect((address, port)).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 503 "), "{address}: {answer}");
    }
    let error = Page::raise_everywhere(port, &text(), Duration::ZERO).unwrap_err();
    assert_eq!(error.class, "port_taken");
    pages.into_iter().for_each(Page::lower);
    assert!(can_bind((HERE, port).into()));
}

#[test]
fn a_dropped_page_is_down_too() {
    let page = raised();
    let address = page.address();
    drop(page);
    assert!(can_bind(address));
}

#[test]
fn the_page_waits_for_an_application_that_is_just_letting_go_of_its_port() {
    let before = TcpListener::bind((HERE, 0)).unwrap();
    let port = before.local_addr().unwrap().port();
    let error = Page::raise(HERE, port, text(), Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.class, "port_taken");
    #[cfg(target_os = "linux")]
    assert!(error.message.contains(&format!("(process {})", std::process::id())), "{}", error.message);

    let (begin, begun) = mpsc::channel();
    let letting_go = thread::spawn(move || {
        begun.recv().unwrap();
        drop(before);
    });
    begin.send(()).unwrap();
    let page = Page::raise(HERE, port, text(), Duration::from_secs(10)).unwrap();
    assert_eq!(page.address().port(), port);
    letting_go.join().unwrap();
}

#[test]
fn more_clients_than_it_takes_at_once_wait_and_are_served() {
    let page = raised();
    let crowd: Vec<TcpStream> = (0..300).filter_map(|_| TcpStream::connect(page.address()).ok()).collect();
    assert!(crowd.len() > 256);
    assert!(ask(&page, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n").contains(" 503 "));
}
