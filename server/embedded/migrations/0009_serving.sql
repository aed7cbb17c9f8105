-- containers that serve models, and what they reported over time (milliseconds since 1970)
CREATE TABLE container (
  id TEXT NOT NULL, company TEXT NOT NULL, info TEXT NOT NULL, url TEXT, registered INTEGER NOT NULL,
  timeout INTEGER NOT NULL, updated INTEGER NOT NULL, uptime_sec INTEGER, requests INTEGER, requests_min REAL,
  latency_ms INTEGER, cpu_count INTEGER, gpu_count INTEGER, PRIMARY KEY (company, id)
) WITHOUT ROWID;
CREATE INDEX container_url ON container(company, url);

CREATE TABLE container_report (
  container TEXT NOT NULL, company TEXT NOT NULL, url TEXT NOT NULL, at INTEGER NOT NULL, figures TEXT NOT NULL
);
CREATE INDEX container_report_url ON container_report(company, url, at);
CREATE INDEX container_report_at ON container_report(at);
