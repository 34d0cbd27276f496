-- Brings one database, that of the connection, to what :wanted says: extensions, schemas, and who may use them. Each
-- change prints a line.
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('databases')) AS locked \gset
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
  SELECT r AS role, json_array_length(w -> 'roles') > 1 AND NOT EXISTS (
    -- Who keeps tables in public goes on there: in a new schema of its own it would make them again, empty.
    SELECT FROM pg_class WHERE relnamespace = to_regnamespace('public') AND relowner = to_regrole(r)
  ) AS apart
  FROM json_array_elements(:'wanted') AS w, json_array_elements_text(w -> 'roles') AS r
  WHERE w ->> 'name' = current_database();
CREATE TEMPORARY TABLE extension ON COMMIT DROP AS
  SELECT e AS name FROM json_array_elements(:'wanted') AS w, json_array_elements_text(w -> 'extensions') AS e
  WHERE w ->> 'name' = current_database();

SELECT format('CREATE EXTENSION %I SCHEMA public', name),
  format('SELECT %L', format('database %s: extension %s made', current_database(), name))
FROM extension WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = name) \gexec

SELECT 'REVOKE ALL ON SCHEMA public FROM PUBLIC',
  format('SELECT %L', format('database %s: schema public closed to who is not named', current_database()))
FROM pg_namespace WHERE nspname = 'public'
  AND EXISTS (SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE grantee = 0) \gexec
SELECT format('CREATE SCHEMA %I AUTHORIZATION %I', role, role),
  format('SELECT %L', format('database %s: schema %s made', current_database(), role))
FROM wanted WHERE apart AND to_regnamespace(quote_ident(role)) IS NULL \gexec
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, nspname),
  format('SELECT %L', format('database %s: schema %s belongs to %s', current_database(), nspname, nspname))
FROM wanted JOIN pg_namespace ON nspname = role WHERE apart AND nspowner <> to_regrole(quote_ident(role)) \gexec
SELECT format('GRANT %s ON SCHEMA %I TO %I', privilege, schema, role),
  format('SELECT %L', format('database %s: %s on schema %s granted to %s', current_database(), privilege, schema, role))
FROM (
  SELECT role, CASE WHEN apart THEN role ELSE 'public' END AS schema, privilege
  FROM wanted, unnest(ARRAY['USAGE', 'CREATE']) AS privilege
  UNION SELECT role, 'public', 'USAGE' FROM wanted WHERE EXISTS (SELECT FROM extension)
) AS w WHERE EXISTS (SELECT FROM pg_namespace WHERE nspname = schema)
  AND NOT has_schema_privilege(role, schema, privilege) \gexec
COMMIT;
