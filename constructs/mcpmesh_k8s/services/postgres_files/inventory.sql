-- One line of JSON for each table, sequence and owner. A checksum is a sum over rows, so their order does not matter,
-- and what rows look like as text depends on nothing that the two servers may have set differently.
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog;
SET LOCAL row_security = off;
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL timezone = 'UTC';
SET LOCAL lc_monetary = 'C';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SELECT json_build_array('size', pg_database_size(current_database()));
SELECT format(
  'SELECT json_build_array(%L, %L, count(*), '
    'coalesce(sum((''x'' || left(md5(ROW(t.*)::text), 15))::bit(60)::bigint), 0)::text) FROM ONLY %I.%I AS t',
  'count', 'table ' || format('%I.%I', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
ORDER BY nspname, relname \gexec
SELECT format(
  'SELECT json_build_array(%L, %L, last_value, CASE WHEN is_called THEN ''called'' ELSE ''not called'' END) FROM %I.%I',
  'count', 'sequence ' || format('%I.%I', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind = 'S' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
ORDER BY nspname, relname \gexec
SELECT json_build_array('count', 'large objects', count(*),
  coalesce(sum(('x' || left(md5(oid::text::bytea || lo_get(oid)), 15))::bit(60)::bigint), 0)::text)
FROM pg_largeobject_metadata;
SELECT DISTINCT json_build_array('owner', nspname, pg_get_userbyid(o.owner))::text
FROM (
  SELECT 'pg_class'::regclass, oid, relnamespace, relowner FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, proowner FROM pg_proc
  UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, typowner FROM pg_type
  UNION ALL SELECT 'pg_namespace'::regclass, oid, oid, nspowner FROM pg_namespace
) AS o (class, oid, schema, owner) JOIN pg_namespace n ON n.oid = o.schema
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = o.class AND objid = o.oid AND deptype = 'e')
UNION SELECT json_build_array('owner', '', pg_get_userbyid(lomowner))::text FROM pg_largeobject_metadata
ORDER BY 1;
