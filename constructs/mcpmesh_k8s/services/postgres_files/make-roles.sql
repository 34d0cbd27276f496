-- Makes roles, memberships as (group, member), and stand-ins for superusers of the source: all given as JSON.
BEGIN;
SELECT format('CREATE ROLE %I NOLOGIN %s', r ->> 'name', CASE WHEN (r ->> 'inherit')::bool THEN 'INHERIT' ELSE
  'NOINHERIT' END) FROM json_array_elements(:'roles') AS r \gexec
SELECT format('GRANT %I TO %I', m ->> 0, m ->> 1) FROM json_array_elements(:'members') AS m \gexec
SELECT format('CREATE ROLE %I NOLOGIN', s) FROM json_array_elements_text(:'superusers') AS s \gexec
SELECT format('COMMENT ON ROLE %I IS %L', s, :'mark') FROM json_array_elements_text(:'superusers') AS s \gexec
COMMIT;
