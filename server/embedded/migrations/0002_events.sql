-- Points of a scalar series, 24 bytes each (iteration, milliseconds, value), appended in blocks: a long series is
-- read as a few large rows, and a batch of a thousand points is one row written. Later points replace earlier ones of
-- the same iteration when they are read.
DROP TABLE IF EXISTS scalar;
CREATE TABLE scalar_block (
  id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series(id) ON DELETE CASCADE, n INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX scalar_block_series ON scalar_block(series);

CREATE TABLE vector (
  series INTEGER NOT NULL REFERENCES series(id) ON DELETE CASCADE, iter INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  event TEXT NOT NULL, PRIMARY KEY (series, iter)
);
CREATE INDEX image_url ON image(series, url);
