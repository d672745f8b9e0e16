//! A database like that of an ERP, with an object of every kind that a backup must bring back.

#![allow(dead_code, reason = "shared by several test binaries")]

/// How many lines of orders make more than a gigabyte on disk.
pub(crate) const GIGABYTE: u64 = 3_200_000;

/// What of it depends on how a server was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// What only an administrator may create in it.
    pub(crate) by_admin: &'static [&'static str],
    /// The type of a column, a value of it, and an index on it.
    tags: (&'static str, &'static str, &'static str),
    collation: &'static str,
}

/// As distributions build it: with everything beside.
pub(crate) const WHOLE: Built = Built {
    by_admin: &["CREATE EXTENSION pg_trgm SCHEMA public", "CREATE EXTENSION hstore SCHEMA public"],
    tags: ("hstore", "hstore('n', n::text)", "gin (name gin_trgm_ops)"),
    collation: "provider = icu, locale = 'de-u-co-phonebk'",
};

/// As it is in a wheel: without ICU, and with one extension.
pub(crate) const IN_A_WHEEL: Built = Built {
    by_admin: &["CREATE EXTENSION vector SCHEMA public"],
    tags: ("vector(2)", "format('[%s, 2]', n)::vector", "hnsw (tags vector_l2_ops)"),
    collation: "provider = builtin, locale = 'C.UTF-8'",
};

/// What every server has.
pub(crate) const BARE: Built =
    Built { by_admin: &[], tags: ("text[]", "ARRAY[n::text, 'x']", "gin (tags)"), collation: "locale = 'C'" };

/// The statements that fill an empty database, as its owner, with so many lines of orders.
pub(crate) fn statements(lines: u64, built: &Built) -> Vec<String> {
    let orders = lines / 8 + 1;
    let (tags, tag, index) = built.tags;
    let here = |it: &&str| it.replace("{tags}", tags).replace("{index}", index).replace("{collation}", built.collation);
    let mut all: Vec<String> = SCHEMA.iter().map(here).collect();
    all.extend([
        format!(
            "INSERT INTO customer (name, name_de, tags, balance) SELECT 'Customer ' || n, 'Straße ' || n, \
             {tag}, n * 1.0000001 FROM generate_series(1, {}) n",
            orders / 20 + 1
        ),
        format!(
            "INSERT INTO \"Sales\".\"Order\" (\"customerId\", placed, more) SELECT 1 + n % {0}, \
             timestamptz '2024-01-01 00:00+00' + n * interval '1 hour' * (20000.0 / {orders}), \
             jsonb_build_object('n', n, 'note', repeat(md5(n::text), 4), 'tags', jsonb_build_array(n % 7, 'x')) \
             FROM generate_series(1, {orders}) n",
            orders / 20 + 1
        ),
        // Narrow columns, and texts of words that come again: what people enter, not noise.
        format!(
            "INSERT INTO \"Sales\".\"Order Line\" (\"orderId\", \"customerId\", sku, amount, price, cost, discount, unit, due, \
             changed, token, picture, description, note) \
             SELECT 1 + n % {orders}, 1 + n % {customers}, 'SKU-' || abs(hashint4(n)) % 5000, 1 + n % 9, (n % 100000) / 100.0, \
             (abs(hashint4(n)) % 1000000) / 10000.0, CASE WHEN n % 4 = 0 THEN n % 40 / 2.0 END, (ARRAY['pc', 'kg', 'm', 'h'])[1 + n % 4], \
             date '2024-01-01' + n % 1500, timestamptz '2024-01-01 00:00+00' + abs(hashint4(n)) % 100000000 * interval '1 second', \
             md5(n::text)::uuid, CASE WHEN n % 4 = 0 THEN decode(repeat(md5((n * 7)::text), 2) || md5((n * 5)::text), 'hex') END, \
             p[1 + abs(hashint4(n)) % 400] || ', ' || p[1 + abs(hashint4(n * 3)) % 400] || ' ' || n % 977 || ' mm, ' \
             || p[1 + abs(hashint4(n * 7)) % 400], CASE WHEN n % 3 = 0 THEN p[1 + abs(hashint4(n * 11)) % 400] || '; order ' || n END \
             FROM generate_series(1, {lines}) n, (SELECT array_agg(w[1 + k % 20] || ' ' || w[1 + k * 7 % 19] || ' ' || w[1 + k * 13 % 17] \
             || ' ' || w[1 + k * 3 % 11] || ' ' || k) AS p FROM generate_series(1, 400) k, (SELECT regexp_split_to_array( \
             'nozzle bracket printed in black PETG with brass inserts for the customer spare part left hinge cover plate large M3 screws', \
             ' ') AS w) words) phrases",
            customers = orders / 20 + 1
        ),
        "INSERT INTO serial_numbers (what) SELECT 'w' || n FROM generate_series(1, 77) n".to_owned(),
        "SELECT lo_from_bytea(0, decode(repeat(md5(n::text), 200), 'hex')) FROM generate_series(1, 5) n".to_owned(),
        "REFRESH MATERIALIZED VIEW revenue".to_owned(),
        "SELECT nextval('ticket'), nextval('ticket')".to_owned(),
        "ANALYZE".to_owned(),
    ]);
    all
}

const SCHEMA: &[&str] = &[
    "SET search_path = public",
    "CREATE SCHEMA \"Sales\"",
    "CREATE TYPE state AS ENUM ('open', 'paid', 'sent')",
    "CREATE DOMAIN positive AS numeric(14, 4) CHECK (VALUE >= 0)",
    "CREATE COLLATION german ({collation})",
    "CREATE SEQUENCE ticket INCREMENT BY -5 START 1000 MAXVALUE 1000 MINVALUE -100000",
    "CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, \
     name_de text COLLATE german, tags {tags}, balance numeric, created timestamptz NOT NULL DEFAULT '2024-01-01')",
    "CREATE INDEX customer_trgm ON customer USING {index}",
    "CREATE INDEX customer_german ON customer (name_de)",
    "CREATE TABLE \"Sales\".\"Order\" (id bigint GENERATED BY DEFAULT AS IDENTITY, \"customerId\" bigint NOT NULL \
     REFERENCES public.customer (id), placed timestamptz NOT NULL, state public.state NOT NULL DEFAULT 'open', more jsonb, \
     PRIMARY KEY (id, placed)) PARTITION BY RANGE (placed)",
    "CREATE TABLE \"Sales\".\"Order 2024\" PARTITION OF \"Sales\".\"Order\" FOR VALUES FROM (MINVALUE) TO ('2025-01-01')",
    "CREATE TABLE \"Sales\".\"Order 2025+\" PARTITION OF \"Sales\".\"Order\" FOR VALUES FROM ('2025-01-01') TO (MAXVALUE)",
    "CREATE INDEX ON \"Sales\".\"Order\" USING gin (more)",
    "CREATE TABLE \"Sales\".\"Order Line\" (id bigserial PRIMARY KEY, \"orderId\" bigint NOT NULL, \"customerId\" bigint NOT NULL \
     REFERENCES public.customer (id), sku text NOT NULL, amount int NOT NULL CHECK (amount > 0), price public.positive NOT NULL, \
     total numeric GENERATED ALWAYS AS (amount * price) STORED, cost numeric(12, 4), discount numeric(5, 2), unit text, due date, \
     changed timestamptz, token uuid, picture bytea, description text, note text)",
    "CREATE INDEX ON \"Sales\".\"Order Line\" (\"orderId\")",
    "CREATE INDEX ON \"Sales\".\"Order Line\" (\"customerId\", due)",
    "CREATE INDEX \"by sku\" ON \"Sales\".\"Order Line\" (lower(sku)) WHERE amount > 3",
    "CREATE TABLE serial_numbers (id serial PRIMARY KEY, what text)",
    "CREATE TABLE audit (at timestamptz DEFAULT now(), who text, what text)",
    "CREATE FUNCTION note_customer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$",
    "CREATE TRIGGER trims BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION note_customer()",
    "CREATE FUNCTION \"Sales\".total(o bigint) RETURNS numeric LANGUAGE sql STABLE AS \
     $$ SELECT sum(total) FROM \"Sales\".\"Order Line\" WHERE \"orderId\" = o $$",
    "CREATE VIEW open_orders AS SELECT * FROM \"Sales\".\"Order\" WHERE state = 'open'",
    "CREATE MATERIALIZED VIEW revenue AS SELECT sku, sum(total) AS total FROM \"Sales\".\"Order Line\" GROUP BY sku WITH NO DATA",
    "ALTER TABLE audit ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON audit USING (who = current_user)",
    "INSERT INTO audit (at, who, what) VALUES ('2024-02-29', 'nobody', E'tab\\there, \\\\ and ''quotes''\\nand lines')",
    "COMMENT ON TABLE customer IS 'People who pay; \"quoted\" and it''s'",
    "COMMENT ON COLUMN \"Sales\".\"Order Line\".price IS 'without tax'",
];
