//! The judge is judged.

use crate::support::Demo;

/// What the shopper has to measure.
const AWAY: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::test]
async fn the_shopper_counts_what_was_acknowledged_and_how_long_the_shop_was_away() {
    let demo = Demo::new();
    demo.run("shop", &["--seconds", "0", "--rate", "40", "--background"]);
    let process = liftlock_demo::detached::Identity::in_file(&demo.shop_dir().join("run/shop.json")).unwrap();
    process.end(std::time::Duration::from_secs(5)).unwrap();
    // Away for longer than forty orders take: a quick start would let none of them meet a closed shop.
    tokio::time::sleep(AWAY).await;
    demo.run("up", &[]);
    let answer = demo.run("shop-stop", &[]);
    assert!(answer["acknowledged"].as_i64().unwrap() > 0, "{answer}");
    assert!(answer["turned_away"].as_i64().unwrap() > 0, "{answer}");
    assert!(answer["away_seconds"].as_f64().unwrap() >= AWAY.as_secs_f64(), "{answer}");
    let wrong = ["lost", "duplicated", "unexpected"].map(|name| answer[name].as_i64().unwrap());
    assert_eq!(wrong, [0, 0, 0], "{answer}");

    // A test's command has no standard input: its caller is as good as gone.
    let alone = demo.run("shop", &["--seconds", "600", "--with-caller"]);
    assert!(alone["seconds"].as_f64().unwrap() < 60.0, "{alone}");
}

#[tokio::test]
async fn an_order_that_vanishes_or_is_there_twice_does_not_escape_the_shopper() {
    let demo = Demo::new();
    let admin = demo.admin("corner_shop").await;
    // One order vanishes and another is doubled on its way in.
    admin
        .batch_execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.client_key LIKE '%-2' THEN
                     DELETE FROM orders WHERE client_key LIKE 'shopper-%-1';
                 ELSIF NEW.client_key LIKE '%-3' THEN
                     INSERT INTO orders (customer_id, client_key)
                         SELECT customer_id, client_key FROM orders WHERE client_key LIKE 'shopper-%-2';
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER spoil AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION spoil()",
        )
        .await
        .unwrap();
    let answer = demo.run("shop", &["--seconds", "2", "--rate", "5"]);
    // The double has no lines: it is lost as well.
    assert_eq!((answer["lost"].as_i64(), answer["duplicated"].as_i64()), (Some(2), Some(1)), "{answer}");
    let run = answer["wrong"]["lost"][0].as_str().unwrap().trim_end_matches("-1");
    assert_eq!(answer["wrong"]["incomplete"][0], format!("{run}-2"));
}
