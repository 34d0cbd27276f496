-- Lets the readers of one database, that of the connection, read all that its roles keep and will make, and nothing else.
-- It comes after the schemas. Each change prints a line.
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('databases')) AS locked \gset
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
  SELECT r AS role, to_regrole(quote_ident(r)) AS oid, part FROM json_array_elements(:'wanted') AS w,
    unnest(ARRAY['roles', 'readers']) AS part, json_array_elements_text(w -> part) AS r
  WHERE w ->> 'name' = current_database();
CREATE TEMPORARY TABLE keeper ON COMMIT DROP AS SELECT role, oid FROM wanted WHERE part = 'roles';
CREATE TEMPORARY TABLE reader ON COMMIT DROP AS SELECT role, oid FROM wanted WHERE part = 'readers';

SELECT format('REVOKE %s ON SCHEMA %I FROM %I', privilege_type, nspname, role),
  format('SELECT %L', format('database %s: %s on schema %s taken from %s', current_database(), privilege_type, nspname,
    role))
FROM pg_namespace, aclexplode(nspacl) JOIN reader ON oid = grantee WHERE privilege_type <> 'USAGE' \gexec
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, role),
  format('SELECT %L', format('database %s: USAGE on schema %s granted to %s', current_database(), nspname, role))
FROM pg_namespace, reader WHERE (nspname = 'public' OR nspowner IN (SELECT oid FROM keeper))
  AND NOT has_schema_privilege(role, nspname, 'USAGE') ORDER BY nspname \gexec

-- What is there.
SELECT format('REVOKE %s ON %s FROM %I', privilege_type, c.oid::regclass, role),
  format('SELECT %L', format('database %s: %s on %s taken from %s', current_database(), privilege_type, c.oid::regclass,
    role))
FROM pg_class AS c, aclexplode(relacl) JOIN reader AS r ON r.oid = grantee
WHERE relowner <> grantee AND privilege_type <> 'SELECT' \gexec
SELECT format('GRANT SELECT ON %s TO %I', c.oid::regclass, r.role),
  format('SELECT %L', format('database %s: SELECT on %s granted to %s', current_database(), c.oid::regclass, r.role))
FROM pg_class AS c JOIN keeper AS k ON k.oid = relowner, reader AS r WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT has_table_privilege(r.role, c.oid, 'SELECT') ORDER BY c.oid \gexec
-- What will be made.
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT %s TO %I', k.role, privilege, r.role),
  format('SELECT %L', format('database %s: %s that %s will make granted to %s', current_database(), privilege, k.role,
    r.role))
FROM keeper AS k, reader AS r, (VALUES ('SELECT ON TABLES', 'r'), ('USAGE ON SCHEMAS', 'n')) AS p (privilege, kind)
WHERE NOT EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl)
  WHERE defaclrole = k.oid AND defaclnamespace = 0 AND defaclobjtype = kind AND grantee = r.oid) \gexec
COMMIT;
