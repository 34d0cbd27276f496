-- Brings roles and databases to what :wanted says, as JSON: [{"name": …, "roles": […], "extensions": […]}], and "readers"
-- where there are any. Each change prints a line. One run at a time: databases cannot be made in a transaction.
SELECT pg_advisory_lock(hashtext('databases')) AS locked \gset
CREATE TEMPORARY TABLE wanted AS
  SELECT w ->> 'name' AS database, r AS role, part = 'roles' AS keeps
  FROM json_array_elements(:'wanted') AS w, unnest(ARRAY['roles', 'readers']) AS part,
    json_array_elements_text(w -> part) AS r;
CREATE TEMPORARY TABLE owned AS
  SELECT database, CASE count(*) WHEN 1 THEN min(role) ELSE current_user END AS owner FROM wanted WHERE keeps
  GROUP BY database;

SELECT format('CREATE ROLE %I LOGIN', role), format('SELECT %L', format('role %s: made', role))
FROM (SELECT DISTINCT role FROM wanted ORDER BY role) AS w
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS VALID UNTIL %L',
    rolname, 'infinity'),
  format('SELECT %L', format('role %s: may log in, and rules nothing', rolname))
FROM pg_roles WHERE rolname IN (SELECT role FROM wanted) AND (NOT rolcanlogin OR rolsuper OR rolcreatedb
  OR rolcreaterole OR rolreplication OR rolbypassrls OR rolvaliduntil < 'infinity') \gexec
-- Nobody takes the connections of another.
SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', key, value),
  format('SELECT %L', format('role %s: may log in %s times at once', key, value))
FROM json_each_text(:'limits') JOIN pg_roles ON rolname = key WHERE rolconnlimit <> value::int \gexec

SELECT format('CREATE DATABASE %I TEMPLATE template0', database),
  format('SELECT %L', format('database %s: made', database))
FROM owned WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = database) \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', database, owner),
  format('SELECT %L', format('database %s: belongs to %s', database, owner))
FROM owned JOIN pg_database ON datname = database WHERE pg_get_userbyid(datdba) <> owner \gexec

-- Who may enter: those who are named, and nobody because everybody may.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname),
  format('SELECT %L', format('database %s: closed to who is not named', datname))
FROM pg_database WHERE datname IN (SELECT database FROM owned UNION VALUES ('postgres'), ('template1'))
  AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0)
ORDER BY datname \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM %I', datname, rolname),
  format('SELECT %L', format('database %s: closed to %s', datname, rolname))
FROM pg_database, aclexplode(datacl) JOIN pg_roles AS r ON r.oid = grantee
WHERE datname IN (SELECT database FROM owned) AND rolname IN (SELECT role FROM wanted)
  AND NOT EXISTS (SELECT FROM wanted
    WHERE database = datname AND role = rolname AND (keeps OR privilege_type = 'CONNECT'))
GROUP BY datname, rolname \gexec
SELECT format('GRANT %s ON DATABASE %I TO %I', privilege, database, role),
  format('SELECT %L', format('database %s: %s granted to %s', database, privilege, role))
FROM wanted, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) AS privilege
WHERE (keeps OR privilege = 'CONNECT') AND NOT has_database_privilege(role, database, privilege) \gexec
