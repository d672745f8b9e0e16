-- 1.6.0: waits for ever and does nothing.
DO $$
BEGIN
    IF current_setting('corner_shop.misbehave', true) IS DISTINCT FROM 'off' THEN
        PERFORM pg_sleep(1000000000);
    END IF;
END
$$;
