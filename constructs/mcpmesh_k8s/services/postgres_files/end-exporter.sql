-- Its sessions are no client's, and a database that is renamed has none. It comes back by itself.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'exporter'
