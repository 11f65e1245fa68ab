-- One role and one database a service of the hub, made once, when PostgreSQL starts with an empty volume. The password is the
-- last field of the service's own secret, which is a libpq password file (host:port:database:user:password).

\set password `cut -d: -f5 /run/secrets/postgres_master_data`
CREATE ROLE master_data LOGIN PASSWORD :'password';
CREATE DATABASE master_data OWNER master_data;
REVOKE ALL ON DATABASE master_data FROM PUBLIC;

\set password `cut -d: -f5 /run/secrets/postgres_production`
CREATE ROLE production LOGIN PASSWORD :'password';
CREATE DATABASE production OWNER production;
REVOKE ALL ON DATABASE production FROM PUBLIC;

\set password `cut -d: -f5 /run/secrets/postgres_inventory`
CREATE ROLE inventory LOGIN PASSWORD :'password';
CREATE DATABASE inventory OWNER inventory;
REVOKE ALL ON DATABASE inventory FROM PUBLIC;

\set password `cut -d: -f5 /run/secrets/postgres_quality`
CREATE ROLE quality LOGIN PASSWORD :'password';
CREATE DATABASE quality OWNER quality;
REVOKE ALL ON DATABASE quality FROM PUBLIC;

\set password `cut -d: -f5 /run/secrets/postgres_maintenance`
CREATE ROLE maintenance LOGIN PASSWORD :'password';
CREATE DATABASE maintenance OWNER maintenance;
REVOKE ALL ON DATABASE maintenance FROM PUBLIC;

\set password `cut -d: -f5 /run/secrets/postgres_gateway`
CREATE ROLE gateway LOGIN PASSWORD :'password';
CREATE DATABASE gateway OWNER gateway;
REVOKE ALL ON DATABASE gateway FROM PUBLIC;

\set password `cut -d: -f5 /run/secrets/postgres_operations`
CREATE ROLE operations LOGIN PASSWORD :'password';
CREATE DATABASE operations OWNER operations;
REVOKE ALL ON DATABASE operations FROM PUBLIC;
