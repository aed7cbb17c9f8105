-- whether one task has a metric, and its value, without walking all the values of that metric
CREATE INDEX series_object ON series(object, metric_hash, variant_hash);
