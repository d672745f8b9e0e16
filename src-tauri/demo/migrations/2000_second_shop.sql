-- 2.0.0 begins anew. It cannot take over what a 1.x shop has written, and says so before it touches anything.
DO $$
BEGIN
    IF EXISTS (SELECT FROM schema_migrations WHERE version < '2000') OR to_regclass('public.orders') IS NOT NULL THEN
        RAISE EXCEPTION 'this database belongs to Corner Shop 1.x, which Corner Shop 2 cannot read'
            USING HINT = 'Export your data from 1.x, start 2.0.0 on an empty database, then import.';
    END IF;
END
$$;

CREATE TABLE customers (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email       text NOT NULL UNIQUE,
    name        text NOT NULL
);
CREATE TABLE items (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    price       numeric(12, 2) NOT NULL,
    -- What was ordered through the API and has not been sent yet.
    reserved    bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0)
);
CREATE TABLE orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number      text GENERATED ALWAYS AS ('CS2-' || lpad(id::text, 8, '0')) STORED,
    customer    uuid REFERENCES customers (id),
    client_key  text NOT NULL,
    lines       jsonb NOT NULL,
    placed_at   timestamptz NOT NULL DEFAULT now()
);
