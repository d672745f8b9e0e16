-- How fast what is at work moves, in words, where that can be measured; it goes with every step.
ALTER TABLE system_updates ADD COLUMN rate TEXT;
