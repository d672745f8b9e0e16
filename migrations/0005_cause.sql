-- Why the way forward was left: kept beside `error`, which is of the last ending, so that a way back that fails at first
-- and is finished later ends with the reason why there was one.
ALTER TABLE system_updates ADD COLUMN cause TEXT;
