-- with the value in it, a filter on a metric is answered from the index alone
DROP INDEX series_object;
CREATE INDEX series_object ON series(object, metric_hash, variant_hash, value);
