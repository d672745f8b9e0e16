-- 1.8.0: every order has a currency. The shop says which one (SHOP_CURRENCY) before it migrates.
ALTER TABLE orders ADD COLUMN currency text;
UPDATE orders SET currency = coalesce(nullif(current_setting('corner_shop.currency', true), ''), 'EUR');
ALTER TABLE orders ALTER COLUMN currency SET NOT NULL, ALTER COLUMN currency SET DEFAULT 'EUR';
