-- Who and what is there, as JSON.
SELECT json_build_object(
  'version', current_setting('server_version'),
  'superuser', current_user,
  'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE NOT datistemplate),
  'roles', (
    SELECT json_agg(json_build_object('name', rolname, 'superuser', rolsuper, 'inherit', rolinherit, 'login',
      rolcanlogin, 'member_of', ARRAY(
        SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1
      )) ORDER BY rolname)
    FROM pg_roles r WHERE rolname !~ '^pg_'
  ),
  'sessions', (
    SELECT coalesce(json_agg(json_build_object('database', datname, 'role', usename, 'client',
      coalesce(nullif(application_name, ''), host(client_addr), 'the socket')) ORDER BY pid), '[]')
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname IS NOT NULL AND usename <> 'exporter'
  )
);
