-- Gives what the superuser of the source had in a schema to a role of the target. What an extension brought stays the
-- superuser's, and a sequence of a column follows its table. In the cluster nobody may use the schema public unless it
-- is granted.
SELECT format('ALTER %s %s OWNER TO %I', CASE i.type
  WHEN 'statistics object' THEN 'STATISTICS' WHEN 'function' THEN 'ROUTINE' WHEN 'procedure' THEN 'ROUTINE'
  WHEN 'aggregate' THEN 'ROUTINE' ELSE i.type END, i.identity, :'new')
FROM pg_shdepend s, pg_identify_object(s.classid, s.objid, s.objsubid) AS i
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.deptype = 'o'
  AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_authid WHERE rolname = :'old')
  AND (i.type <> 'default acl' AND i.schema = quote_ident(:'schema')
    OR i.type = 'schema' AND i.identity = quote_ident(:'schema') OR i.type = 'large object' AND :'schema' = '')
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid AND (d.deptype = 'e'
      OR d.deptype IN ('a', 'i') AND i.type = 'sequence' AND d.refclassid = 'pg_class'::regclass)
  ) \gexec
SELECT format('GRANT USAGE, CREATE ON SCHEMA public TO %I', :'new') WHERE :'schema' = 'public' \gexec
