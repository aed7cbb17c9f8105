-- The name of a metric and variant once, with the hashes clients address it by: a series has its number. The indexes
-- below are walked from their best value to fill a page ordered by a last, smallest or largest value.
CREATE TABLE metric_name (
  id INTEGER PRIMARY KEY, metric TEXT NOT NULL, variant TEXT NOT NULL, metric_hash TEXT NOT NULL,
  variant_hash TEXT NOT NULL, UNIQUE (metric, variant)
);
CREATE INDEX metric_name_hash ON metric_name(metric_hash, variant_hash);
INSERT INTO metric_name (metric, variant, metric_hash, variant_hash)
  SELECT metric, variant, metric_hash, variant_hash FROM series GROUP BY metric, variant;
ALTER TABLE series ADD COLUMN name INTEGER NOT NULL DEFAULT 0;
UPDATE series SET name =
  (SELECT n.id FROM metric_name n WHERE n.metric = series.metric AND n.variant = series.variant);
DROP INDEX series_value;
DROP INDEX series_object;
ALTER TABLE series DROP COLUMN metric_hash;
ALTER TABLE series DROP COLUMN variant_hash;
CREATE INDEX series_object ON series(object, name, value);
CREATE INDEX series_value ON series(name, value, object);
CREATE INDEX series_min ON series(name, min_value, object);
CREATE INDEX series_max ON series(name, max_value, object);

-- Counts what was forgotten: what a reader remembers of objects without a metric holds while this stays the same.
CREATE TABLE forgotten (n INTEGER NOT NULL);
INSERT INTO forgotten VALUES (0);
CREATE TRIGGER series_gone AFTER DELETE ON series BEGIN UPDATE forgotten SET n = n + 1; END;
CREATE TRIGGER task_gone AFTER DELETE ON task BEGIN UPDATE forgotten SET n = n + 1; END;
CREATE TRIGGER model_gone AFTER DELETE ON model BEGIN UPDATE forgotten SET n = n + 1; END;
