#!/bin/sh
# Run by PostgreSQL's image when it founds the database: the role that services connect as. It owns nothing; `earlybell migrate
# --grant-to earlybell_services` gives it the rows.
set -eu

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=password="$(cat "${SERVICES_PASSWORD_FILE:-/run/secrets/services_password}")" <<'SQL'
CREATE ROLE earlybell_services LOGIN PASSWORD :'password';
SQL
