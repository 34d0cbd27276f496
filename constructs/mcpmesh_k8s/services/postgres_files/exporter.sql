-- Brings the role of the exporter to what it may: enter :database, and see the statistics that pg_monitor sees. It reads
-- no table. Each change prints a line.
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('databases')) AS locked \gset
SELECT 'CREATE ROLE exporter LOGIN', $$SELECT 'role exporter: made'$$ WHERE to_regrole('exporter') IS NULL \gexec
-- It keeps one session, and opens one for each collector of metrics that asks at the same time.
SELECT 'ALTER ROLE exporter LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS '
    'CONNECTION LIMIT 5 VALID UNTIL ''infinity''',
  $$SELECT 'role exporter: may log in, five times at once, and rules nothing'$$
FROM pg_roles WHERE rolname = 'exporter' AND (NOT rolcanlogin OR NOT rolinherit OR rolsuper OR rolcreatedb
  OR rolcreaterole OR rolreplication OR rolbypassrls OR rolconnlimit <> 5 OR rolvaliduntil < 'infinity') \gexec
SELECT format('REVOKE %s FROM exporter', roleid::regrole),
  format('SELECT %L', format('role exporter: no member of %s any more', roleid::regrole))
FROM pg_auth_members WHERE member = to_regrole('exporter') AND roleid <> 'pg_monitor'::regrole \gexec
SELECT 'GRANT pg_monitor TO exporter', $$SELECT 'role exporter: sees statistics'$$
WHERE NOT pg_has_role('exporter', 'pg_monitor', 'MEMBER') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM exporter', datname),
  format('SELECT %L', format('database %s: closed to exporter', datname))
FROM pg_database, aclexplode(datacl) WHERE grantee = to_regrole('exporter')
  AND (datname <> :'database' OR privilege_type <> 'CONNECT') GROUP BY datname \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO exporter', :'database'),
  format('SELECT %L', format('database %s: CONNECT granted to exporter', :'database'))
WHERE NOT has_database_privilege('exporter', :'database', 'CONNECT') \gexec
COMMIT;
