-- 1.3.0, the second half: stops after part of its work.
ALTER TABLE deliveries ADD COLUMN price_cents bigint;
UPDATE items SET price_cents = price_cents + 1;
DO $$
BEGIN
    IF current_setting('corner_shop.misbehave', true) IS DISTINCT FROM 'off' THEN
        PERFORM 1 / (SELECT count(*) - count(*) FROM items);
    END IF;
    UPDATE items SET price_cents = price_cents - 1;
END
$$;
