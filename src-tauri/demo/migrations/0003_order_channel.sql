-- 1.1.0: where an order came from becomes a column of its own, filled from the details.
ALTER TABLE orders ADD COLUMN channel text;
UPDATE orders SET channel = coalesce(details ->> 'channel', 'shop');
ALTER TABLE orders ALTER COLUMN channel SET NOT NULL, ALTER COLUMN channel SET DEFAULT 'shop';
CREATE INDEX orders_channel ON orders (channel);
