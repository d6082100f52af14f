//! The dumps that are restored, made by `pg_dump` from what is generated here.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use crate::peer::Peer;

/// pgbench's tables at this scale and three with text, indexes and foreign keys: 200 MB as plain SQL.
const PGBENCH_SCALE: &str = "10";
const SHOP: &str = "
create table customer (id int, name text not null, email text not null, city text not null, note text, joined date not null);
create table purchase (id int, customer_id int not null, placed_at timestamptz not null, status text not null,
                       total numeric(10, 2) not null);
create table item (id int, purchase_id int not null, sku text not null, n int not null, price numeric(10, 2) not null);
insert into customer
select n, 'Customer ' || md5(n::text), left(md5((n * 7)::text), 12) || '@example.org', 'City ' || (n * 7919::bigint % 4000),
       repeat(md5((n * 3)::text) || ' ', 1 + n % 5), date '2015-01-01' + n % 4000
from generate_series(1, 200000) n;
insert into purchase
select n, 1 + (n * 7919::bigint % 200000), timestamptz '2020-01-01 00:00Z' + n * interval '97 s',
       (array['paid', 'sent', 'open', 'back'])[1 + n % 4], (n * 31 % 99999) / 100.0
from generate_series(1, 700000) n;
insert into item
select n, 1 + (n * 104729::bigint % 700000), 'SKU-' || (n * 13 % 20000), 1 + n % 9, (n * 17 % 9999) / 100.0
from generate_series(1, 1000000) n;
alter table customer add primary key (id);
alter table purchase add primary key (id);
alter table item add primary key (id);
create index on customer (city);
create index on customer (lower(email));
create index on purchase (customer_id);
create index on purchase (placed_at);
create index on purchase (status, total);
create index on item (purchase_id);
create index on item (sku);
alter table purchase add foreign key (customer_id) references customer;
alter table item add foreign key (purchase_id) references purchase;
";

/// The same dump in two formats.
pub struct Dumps {
    pub plain: PathBuf,
    pub custom: PathBuf,
}

/// Makes them in the database `src` of the peer.
pub fn make(peer: &Peer, dir: &Path) -> Dumps {
    peer.sql("postgres", &["create database src template template0"]);
    let filled = peer
        .client("pgbench")
        .args(["-i", "-q", "-s", PGBENCH_SCALE, "src"])
        .stderr(Stdio::null())
        .status();
    assert!(filled.is_ok_and(|status| status.success()), "pgbench -i failed");
    peer.sql("src", &[SHOP]);
    let dumps = Dumps {
        plain: dir.join("plain.sql"),
        custom: dir.join("custom.dump"),
    };
    for (format, file) in [("plain", &dumps.plain), ("custom", &dumps.custom)] {
        let file = fs::File::create(file).expect("a file for the dump");
        let dumped = peer
            .client("pg_dump")
            .args(["--format", format, "src"])
            .stdout(file)
            .status();
        assert!(dumped.is_ok_and(|status| status.success()), "pg_dump failed");
    }
    peer.sql("postgres", &["drop database src"]);
    dumps
}

/// Writes a script that is a dump of its own.
pub fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("writing a script");
    path
}
