-- Makes the role that backs up the databases of :wanted. It reads everything, row by row security or not, and changes
-- nothing. Each change prints a line.
SELECT 'CREATE ROLE backup LOGIN', 'SELECT ''role backup: made'''
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'backup') \gexec
SELECT 'ALTER ROLE backup LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS CONNECTION LIMIT 4',
  'SELECT ''role backup: may log in, read all rows, and rules nothing'''
FROM pg_roles WHERE rolname = 'backup' AND (NOT rolcanlogin OR rolsuper OR rolcreatedb OR rolcreaterole
  OR rolreplication OR NOT rolbypassrls OR rolconnlimit <> 4) \gexec
SELECT 'GRANT pg_read_all_data TO backup', 'SELECT ''role backup: reads all data'''
WHERE NOT pg_has_role('backup', 'pg_read_all_data', 'MEMBER') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO backup', datname),
  format('SELECT %L', format('database %s: CONNECT granted to backup', datname))
FROM pg_database WHERE NOT has_database_privilege('backup', datname, 'CONNECT')
  AND (datname = 'postgres' OR datname IN (SELECT w ->> 'name' FROM json_array_elements(:'wanted') AS w)) \gexec
