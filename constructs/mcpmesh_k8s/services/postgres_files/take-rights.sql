-- Prints statements that give a database what stands beside it: the owner and the grants. Who may enter a database, and
-- what the schema public is for, is the target's to say and not the dump's.
SELECT format('ALTER DATABASE %I OWNER TO %I;', :'new', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = current_database();
SELECT format('GRANT %s ON DATABASE %I TO %s%s;', privilege_type, :'new',
  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database();
SELECT 'REVOKE ALL ON SCHEMA public FROM PUBLIC;' FROM pg_namespace WHERE nspname = 'public';
SELECT format('GRANT %s ON SCHEMA public TO %s%s;', privilege_type,
  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE nspname = 'public';
SELECT format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I;', nspname, rolname)
FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner
WHERE NOT rolsuper AND nspname <> 'public' AND nspname !~ '^pg_' AND nspname <> 'information_schema';
